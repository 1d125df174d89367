/*
 * A name server with a script: each question has its answer, which may come
 * late, never, or be a failure. It counts what it was asked. UDP, and TCP for
 * answers that are too long.
 */

#ifndef DNS_H
#define DNS_H

#include "check.h"

enum { DNS_ANY_TYPE = 0, DNS_A = 1, DNS_AAAA = 28 };

enum { DNS_NOERROR = 0, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_REFUSED = 5 };

/* `delay_ms` of answers that never come. */
#define DNS_SILENT (-1)

typedef struct {
    const char *name;      /* NULL: every name */
    int type;
    const char *addresses; /* literals with blanks between them; may be NULL */
    int rcode;
    int delay_ms;
} dns_record_t;

typedef struct dns dns_t;

/* Listens on port 53 of that address, in the namespace of the calling thread, until
   the case ends.
   The first record that fits answers; without one the name does not exist.
   Records stay the caller's. */
dns_t *dns_start(const char *literal, const dns_record_t *records, size_t count);

/* From now on these. */
void dns_script(dns_t *dns, const dns_record_t *records, size_t count);

/* How many such questions came; NULL for every name. */
int dns_asked(dns_t *dns, const char *name, int type);

/* Waits until at least so many came. */
void dns_await(dns_t *dns, const char *name, int type, int count);

/* Ends it earlier. */
void dns_stop(dns_t **dns);

#endif /* DNS_H */
