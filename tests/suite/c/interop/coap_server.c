/*
 * A CoAP server through the v-table:
 *
 *     coap_server bind|accept|tcp HOST
 *
 * prints "PORT n", answers one GET with "you asked for PATH", and ends when
 * it has done so. `bind` serves UDP with receive_from and send_to, `accept`
 * serves it on an accepted socket.
 */

#include "coap.h"

#include <stdio.h>

/* The answer to a request. */
static coap_message_t answer_to(const coap_message_t *request) {
    coap_message_t answer = *request;
    CHECK_INT(COAP_GET, request->code);
    answer.code = COAP_CONTENT;
    answer.type = request->type == COAP_CON ? COAP_ACK : COAP_NON;
    answer.path[0] = '\0';
    snprintf(answer.payload, sizeof(answer.payload), "you asked for %s", request->path);
    return answer;
}

static void serve_bound(sock_t *server) {
    uint8_t data[COAP_MAX];
    size_t length;
    char host[64];
    char port[16];
    CHECK_OK(V(server)->receive_from(
            server, &length, data, sizeof(data), host, sizeof(host), port, sizeof(port)));
    coap_message_t request = coap_read(false, data, length);
    coap_message_t answer = answer_to(&request);
    length = coap_write(false, &answer, data);
    CHECK_OK(V(server)->send_to(server, data, length, host, port));
}

static void serve_accepted(sock_t *socket) {
    coap_message_t request = coap_receive(socket, false);
    coap_message_t answer = answer_to(&request);
    coap_send(socket, false, &answer);
}

static void serve_stream(sock_t *socket) {
    coap_message_t answer = { .code = COAP_CSM };
    coap_send(socket, true, &answer);
    while (answer.code != COAP_CONTENT) {
        coap_message_t message = coap_receive(socket, true);
        if (message.code == COAP_PING) {
            answer = message;
            answer.code = COAP_PONG;
            coap_send(socket, true, &answer);
        } else if (message.code != COAP_CSM) {
            answer = answer_to(&message);
            coap_send(socket, true, &answer);
        }
    }
    /* Until the client hangs up. */
    size_t length;
    do {
        char sink[1024];
        CHECK_OK(V(socket)->receive(socket, &length, sink, sizeof(sink)));
    } while (length > 0);
}

int main(int argc, char **argv) {
    config_t config = reuse_config();
    check_begin("coap_server");
    if (argc != 3) {
        fprintf(stderr, "usage: coap_server bind|accept|tcp HOST\n");
        return 2;
    }
    bool tcp = strcmp(argv[1], "tcp") == 0;
    sock_t *server = tcp ? listening_tcp(argv[2], &config) : bound_udp(argv[2], &config);
    printf("PORT %s\n", local_port(server));
    fflush(stdout);
    if (strcmp(argv[1], "bind") == 0) {
        serve_bound(server);
    } else {
        sock_t *socket = tcp ? new_tcp(&config) : new_udp(&config);
        CHECK_OK(V(server)->accept(server, socket));
        if (tcp) {
            serve_stream(socket);
        } else {
            serve_accepted(socket);
        }
        dispose(&socket);
    }
    dispose(&server);
    return 0;
}
