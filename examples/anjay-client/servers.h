/* The objects that select the server: Security and Server. */

#ifndef SERVERS_H
#define SERVERS_H

#include <anjay/anjay.h>

/*
 * Registers both objects with one server. `identity` and `key` are for DTLS
 * with a pre-shared key, or NULL for plain CoAP. 0 or a negative value.
 */
int servers_install(anjay_t *anjay, const char *uri, const char *identity, const char *key);

#endif /* SERVERS_H */
