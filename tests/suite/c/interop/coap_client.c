/*
 * A CoAP client through the v-table:
 *
 *     coap_client udp|tcp HOST PORT get|put PATH [PAYLOAD]
 *
 * prints the payload of the answer.
 */

#include "coap.h"

#include <stdio.h>

int main(int argc, char **argv) {
    check_begin("coap_client");
    if (argc < 6) {
        fprintf(stderr, "usage: coap_client udp|tcp HOST PORT get|put PATH [PAYLOAD]\n");
        return 2;
    }
    bool tcp = strcmp(argv[1], "tcp") == 0;
    bool put = strcmp(argv[4], "put") == 0;
    sock_t *socket = tcp ? new_tcp(NULL) : new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, argv[2], argv[3]));
    set_timeout_us(socket, MS(10000));

    coap_message_t request = { .code = COAP_CSM };
    if (tcp) {
        coap_send(socket, true, &request);
    }
    request.code = put ? COAP_PUT : COAP_GET;
    request.id = 0x1234;
    request.token_length = 4;
    memcpy(request.token, "tokn", 4);
    snprintf(request.path, sizeof(request.path), "%s", argv[5]);
    snprintf(request.payload, sizeof(request.payload), "%s", argc > 6 ? argv[6] : "");
    coap_send(socket, tcp, &request);
    coap_message_t answer;
    do {
        answer = coap_receive(socket, tcp);
        /* Settings and acknowledgements come before it. */
    } while (answer.code == COAP_EMPTY || answer.code == COAP_CSM);
    CHECK_INT(request.token_length, answer.token_length);
    CHECK_BYTES(request.token, answer.token, request.token_length);
    if (put) {
        CHECK(answer.code == COAP_CREATED || answer.code == COAP_CHANGED);
    } else {
        CHECK_INT(COAP_CONTENT, answer.code);
    }
    if (!tcp) {
        CHECK_INT(COAP_ACK, answer.type);
        CHECK_INT(request.id, answer.id);
    }
    printf("%s\n", answer.payload);
    dispose(&socket);
    return 0;
}
