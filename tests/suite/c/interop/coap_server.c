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
#include "sock.h"

#include <stdio.h>
#include <stdlib.h>

/* The answer to a request. */
static coap_message_t answer_to(const coap_message_t *request) {
    coap_message_t answer = *request;
    CHECK_INT(COAP_GET, request->code);
    answer.code = COAP_CONTENT;
    answer.type = request->type == COAP_CON ? COAP_ACK : COAP_NON;
    answer.path[0] = '\0';
    snprintf(answer.payload, sizeof(answer.payload), "you asked for %s",
             request->path);
    return answer;
}

static void serve_bound(sock_t *server) {
    uint8_t data[COAP_MAX];
    size_t length;
    char host[64];
    char port[16];
    coap_message_t request;
    coap_message_t answer;
    CHECK_OK(V(server)->receive_from(server, &length, data, sizeof(data), host,
                                     sizeof(host), port, sizeof(port)));
    CHECK(coap_read(false, data, length, &request));
    answer = answer_to(&request);
    length = coap_write(false, &answer, data);
    CHECK_OK(V(server)->send_to(server, data, length, host, port));
}

static void serve_accepted(sock_t *server, const config_t *config) {
    uint8_t data[COAP_MAX];
    size_t length;
    coap_message_t request;
    coap_message_t answer;
    sock_t *socket = new_udp(config);
    CHECK_OK(V(server)->accept(server, socket));
    CHECK_OK(V(socket)->receive(socket, &length, data, sizeof(data)));
    CHECK(coap_read(false, data, length, &request));
    answer = answer_to(&request);
    length = coap_write(false, &answer, data);
    CHECK_OK(V(socket)->send(socket, data, length));
    dispose(&socket);
}

static void send_message(sock_t *socket, const coap_message_t *message) {
    uint8_t data[COAP_MAX];
    size_t length = coap_write(true, message, data);
    CHECK_OK(V(socket)->send(socket, data, length));
}

/* Handles one message; false after the request was answered. */
static bool handle(sock_t *socket, const coap_message_t *message) {
    coap_message_t answer;
    memset(&answer, 0, sizeof(answer));
    switch (message->code) {
    case COAP_CSM:
        return true;
    case COAP_PING:
        answer = *message;
        answer.code = COAP_PONG;
        send_message(socket, &answer);
        return true;
    default:
        answer = answer_to(message);
        send_message(socket, &answer);
        return false;
    }
}

static void serve_stream(sock_t *server) {
    uint8_t data[8192];
    size_t length = 0;
    size_t received;
    coap_message_t message;
    sock_t *socket = new_tcp(NULL);
    bool waiting = true;
    CHECK_OK(V(server)->accept(server, socket));
    memset(&message, 0, sizeof(message));
    message.code = COAP_CSM;
    send_message(socket, &message);
    while (waiting) {
        size_t frame = coap_frame_length(data, length);
        if (frame == 0 || frame > length) {
            CHECK(length < sizeof(data));
            CHECK_OK(V(socket)->receive(socket, &received, data + length,
                                        sizeof(data) - length));
            CHECK(received > 0);
            length += received;
            continue;
        }
        CHECK(coap_read(true, data, frame, &message));
        memmove(data, data + frame, length - frame);
        length -= frame;
        waiting = handle(socket, &message);
    }
    /* Until the client hangs up. */
    do {
        CHECK_OK(V(socket)->receive(socket, &received, data, sizeof(data)));
    } while (received > 0);
    dispose(&socket);
}

int main(int argc, char **argv) {
    config_t config = reuse_config();
    sock_t *server;
    check_begin("coap_server");
    if (argc != 3) {
        fprintf(stderr, "usage: coap_server bind|accept|tcp HOST\n");
        return 2;
    }
    server = strcmp(argv[1], "tcp") == 0 ? new_tcp(&config) : new_udp(&config);
    CHECK_OK(V(server)->bind(server, argv[2], "0"));
    printf("PORT %s\n", local_port(server));
    fflush(stdout);
    if (strcmp(argv[1], "bind") == 0) {
        serve_bound(server);
    } else if (strcmp(argv[1], "accept") == 0) {
        serve_accepted(server, &config);
    } else {
        serve_stream(server);
    }
    dispose(&server);
    return 0;
}
