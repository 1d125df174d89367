#include "calls.h"

void receive_one(void *arg) {
    call_t *call = (call_t *) arg;
    call->error = V(call->socket)->receive(call->socket, &call->length,
                                           call->buffer, sizeof(call->buffer));
}

void receive_one_from(void *arg) {
    call_t *call = (call_t *) arg;
    char host[64];
    char port[8];
    call->error = V(call->socket)->receive_from(
            call->socket, &call->length, call->buffer, sizeof(call->buffer),
            host, sizeof(host), port, sizeof(port));
}
