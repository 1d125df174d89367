/*
 * Just enough CoAP (RFC 7252, and RFC 8323 for TCP) to talk to libcoap.
 */

#ifndef COAP_H
#define COAP_H

#include "sock.h"

enum {
    COAP_EMPTY = 0x00,
    COAP_GET = 0x01,
    COAP_PUT = 0x03,
    COAP_CREATED = 0x41, /* 2.01 */
    COAP_CHANGED = 0x44, /* 2.04 */
    COAP_CONTENT = 0x45, /* 2.05 */
    COAP_CSM = 0xE1,     /* 7.01, the first message on TCP */
    COAP_PING = 0xE2,
    COAP_PONG = 0xE3
};

enum { COAP_CON = 0, COAP_NON = 1, COAP_ACK = 2, COAP_RST = 3 };

typedef struct {
    int type;    /* UDP only */
    uint16_t id; /* UDP only */
    uint8_t code;
    uint8_t token[8];
    size_t token_length;
    char path[64]; /* segments joined with '/', without a leading one */
    char payload[1200];
} coap_message_t;

/* Sends the message to the socket's peer. */
void coap_send(sock_t *socket, bool tcp, const coap_message_t *message);

/* The next message from there, whole. */
coap_message_t coap_receive(sock_t *socket, bool tcp);

/* A datagram's bytes, of COAP_MAX at the most, and back. */
enum { COAP_MAX = 1500 };
size_t coap_write(bool tcp, const coap_message_t *message, uint8_t *out);
coap_message_t coap_read(bool tcp, const uint8_t *data, size_t length);

#endif /* COAP_H */
