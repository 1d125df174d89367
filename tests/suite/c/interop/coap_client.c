/*
 * A CoAP client through the v-table:
 *
 *     coap_client udp|tcp HOST PORT get|put PATH [PAYLOAD]
 *
 * prints the payload of the answer.
 */

#include "coap.h"
#include "sock.h"

#include <stdio.h>
#include <stdlib.h>

/* Bytes of a stream that have arrived and are not used yet. */
static uint8_t pending[8192];
static size_t pending_length;

static void send_message(sock_t *socket, bool tcp, const coap_message_t *message) {
    uint8_t data[COAP_MAX];
    size_t length = coap_write(tcp, message, data);
    CHECK_OK(V(socket)->send(socket, data, length));
}

static void receive_datagram(sock_t *socket, coap_message_t *message) {
    uint8_t data[COAP_MAX];
    size_t length;
    CHECK_OK(V(socket)->receive(socket, &length, data, sizeof(data)));
    CHECK(coap_read(false, data, length, message));
}

static void receive_frame(sock_t *socket, coap_message_t *message) {
    size_t frame;
    while ((frame = coap_frame_length(pending, pending_length)) == 0
           || frame > pending_length) {
        size_t length;
        CHECK(frame <= sizeof(pending));
        CHECK_OK(V(socket)->receive(socket, &length, pending + pending_length,
                                    sizeof(pending) - pending_length));
        CHECK(length > 0); /* not the end of the stream */
        pending_length += length;
    }
    CHECK(coap_read(true, pending, frame, message));
    memmove(pending, pending + frame, pending_length - frame);
    pending_length -= frame;
}

/* The answer with that token; settings and acknowledgements before it are
   passed over. */
static coap_message_t receive_answer(sock_t *socket,
                                     bool tcp,
                                     const coap_message_t *request) {
    coap_message_t answer;
    do {
        if (tcp) {
            receive_frame(socket, &answer);
        } else {
            receive_datagram(socket, &answer);
        }
    } while (answer.code == COAP_EMPTY || answer.code == COAP_CSM);
    CHECK_INT(request->token_length, answer.token_length);
    CHECK_BYTES(request->token, answer.token, request->token_length);
    return answer;
}

int main(int argc, char **argv) {
    coap_message_t request;
    coap_message_t answer;
    sock_t *socket;
    bool tcp;
    bool put;
    check_begin("coap_client");
    if (argc < 6) {
        fprintf(stderr, "usage: coap_client udp|tcp HOST PORT get|put PATH "
                        "[PAYLOAD]\n");
        return 2;
    }
    tcp = strcmp(argv[1], "tcp") == 0;
    put = strcmp(argv[4], "put") == 0;
    socket = tcp ? new_tcp(NULL) : new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, argv[2], argv[3]));
    set_timeout_us(socket, MS(10000));

    memset(&request, 0, sizeof(request));
    if (tcp) {
        request.code = COAP_CSM;
        send_message(socket, true, &request);
    }
    request.code = put ? COAP_PUT : COAP_GET;
    request.id = 0x1234;
    request.token_length = 4;
    memcpy(request.token, "tokn", 4);
    snprintf(request.path, sizeof(request.path), "%s", argv[5]);
    if (argc > 6) {
        snprintf(request.payload, sizeof(request.payload), "%s", argv[6]);
    }
    send_message(socket, tcp, &request);
    answer = receive_answer(socket, tcp, &request);
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
