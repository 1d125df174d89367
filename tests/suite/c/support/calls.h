/*
 * Calls of one socket that a worker makes.
 */

#ifndef CALLS_H
#define CALLS_H

#include "sock.h"

typedef struct {
    sock_t *socket;
    sock_t *other;
    const char *port;
    anjay_net_error_t error;
    char buffer[64];
    size_t length;
} call_t;

/* For worker_start(), with a call_t: receive, and receive_from. */
void receive_one(void *call);
void receive_one_from(void *call);

#endif /* CALLS_H */
