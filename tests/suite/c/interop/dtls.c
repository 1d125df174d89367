/*
 * DTLS 1.2 by OpenSSL, whose datagrams travel through our UDP v-table:
 *
 *     dtls client HOST PORT CERTIFICATE TEXT
 *     dtls server HOST CERTIFICATE KEY
 *     dtls routed CERTIFICATE KEY
 *
 * The client trusts that certificate, sends the text, and prints what comes
 * back. The server prints "PORT n", accepts one client, sends back all that it
 * hears, and ends when the client says so.
 *
 * "routed" is a client with a certificate, behind a router with a smaller MTU, in
 * networks of this process (root). The server sends an empty datagram first.
 */

#include "anjay_net.h"
#include "netns.h"
#include "sock.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ------------------------------------- an OpenSSL BIO over our socket --- */

static int bio_write(BIO *bio, const char *data, int length) {
    sock_t *socket = (sock_t *) BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    CHECK_OK(V(socket)->send(socket, data, (size_t) length));
    return length;
}

static int bio_read(BIO *bio, char *buffer, int size) {
    sock_t *socket = (sock_t *) BIO_get_data(bio);
    size_t length;
    anjay_net_error_t error = V(socket)->receive(socket, &length, buffer, (size_t) size);
    BIO_clear_retry_flags(bio);
    if (error.code == ANJAY_NET_ERRNO_ETIMEDOUT) {
        BIO_set_retry_read(bio);
        return -1;
    }
    CHECK_OK(error);
    return (int) length;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    sock_t *socket = (sock_t *) BIO_get_data(bio);
    (void) number;
    (void) pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
        return get_opt(socket, ANJAY_NET_SOCKET_OPT_INNER_MTU).mtu;
    default:
        return 0;
    }
}

static BIO *bio_over(BIO_METHOD *method, sock_t *socket) {
    BIO *bio;
    CHECK(BIO_meth_set_write(method, bio_write) == 1);
    CHECK(BIO_meth_set_read(method, bio_read) == 1);
    CHECK(BIO_meth_set_ctrl(method, bio_ctrl) == 1);
    bio = BIO_new(method);
    CHECK(bio != NULL);
    BIO_set_data(bio, socket);
    BIO_set_init(bio, 1);
    return bio;
}

/* ----------------------------------------------------------- session --- */

static void fail_with_openssl_errors(const char *what) {
    ERR_print_errors_fp(stderr);
    FAIL("%s failed", what);
}

/* Repeats an operation of OpenSSL until it is done; lost datagrams are sent
   again when their time has come. */
static int until_done(SSL *ssl, int (*step)(SSL *, void *, int), void *data, int size) {
    for (;;) {
        int result = step(ssl, data, size);
        if (result > 0) {
            return result;
        }
        switch (SSL_get_error(ssl, result)) {
        case SSL_ERROR_WANT_READ:
            if (DTLSv1_handle_timeout(ssl) < 0) {
                fail_with_openssl_errors("DTLSv1_handle_timeout");
            }
            break;
        case SSL_ERROR_ZERO_RETURN:
            return 0;
        default:
            fail_with_openssl_errors("OpenSSL");
        }
    }
}

static int step_handshake(SSL *ssl, void *data, int size) {
    (void) data;
    (void) size;
    return SSL_do_handshake(ssl);
}

static int step_read(SSL *ssl, void *data, int size) {
    return SSL_read(ssl, data, size);
}

static SSL_CTX *new_context(void) {
    SSL_CTX *context = SSL_CTX_new(DTLS_method());
    CHECK(context != NULL);
    CHECK(SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) == 1);
    return context;
}

static void run_client(SSL *ssl, const char *text) {
    char buffer[2048];
    int length = (int) strlen(text);
    SSL_set_connect_state(ssl);
    until_done(ssl, step_handshake, NULL, 0);
    CHECK_INT(X509_V_OK, SSL_get_verify_result(ssl));
    CHECK_STR("DTLSv1.2", SSL_get_version(ssl));
    CHECK_INT(length, SSL_write(ssl, text, length));
    length = until_done(ssl, step_read, buffer, sizeof(buffer) - 1);
    buffer[length] = '\0';
    printf("%s\n", buffer);
    SSL_shutdown(ssl);
}

static void run_server(SSL *ssl) {
    char buffer[2048];
    int length;
    SSL_set_accept_state(ssl);
    until_done(ssl, step_handshake, NULL, 0);
    while ((length = until_done(ssl, step_read, buffer, sizeof(buffer))) > 0) {
        CHECK_INT(length, SSL_write(ssl, buffer, length));
    }
}

/* A UDP socket accepted from the first client of a bound one. */
static sock_t *accept_client(const char *host) {
    config_t config = reuse_config();
    sock_t *server = bound_udp(host, &config);
    sock_t *socket = new_udp(&config);
    printf("PORT %s\n", local_port(server));
    fflush(stdout);
    CHECK_OK(V(server)->accept(server, socket));
    dispose(&server);
    return socket;
}

static void use_identity(SSL_CTX *context, char **files) {
    CHECK(SSL_CTX_use_certificate_file(context, files[0], SSL_FILETYPE_PEM) == 1);
    CHECK(SSL_CTX_use_PrivateKey_file(context, files[1], SSL_FILETYPE_PEM) == 1);
}

/* Both sides of "routed" show this certificate, and trust it. */
static void trust(SSL_CTX *context, const char *certificate) {
    CHECK(SSL_CTX_load_verify_locations(context, certificate, NULL) == 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

/* One client of a descriptor, by OpenSSL alone. */
static void serve_descriptor(SSL_CTX *context, int fd) {
    struct sockaddr_storage client;
    socklen_t size = sizeof(client);
    struct timeval timeout = { 0, 100000 };
    BIO *bio = BIO_new_dgram(fd, BIO_NOCLOSE);
    SSL *ssl = SSL_new(context);
    CHECK(bio != NULL && ssl != NULL);
    SYS(recvfrom(fd, NULL, 0, MSG_PEEK, (struct sockaddr *) &client, &size));
    SYS(connect(fd, (struct sockaddr *) &client, size));
    SYS(send(fd, "", 0, 0));
    SYS(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
    BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &client);
    SSL_set_bio(ssl, bio, bio);
    run_server(ssl);
    SSL_free(ssl);
}

static SSL *ssl_over(SSL_CTX *context, BIO_METHOD *method, sock_t *socket) {
    BIO *bio;
    SSL *ssl;
    /* Short, so that OpenSSL looks at its own clock in between. */
    set_timeout_us(socket, MS(100));
    bio = bio_over(method, socket);
    ssl = SSL_new(context);
    CHECK(ssl != NULL);
    SSL_set_bio(ssl, bio, bio);
    return ssl;
}

static void run_routed(SSL_CTX *context, BIO_METHOD *method, int family) {
    routed_t routed = netns_routed(1280);
    peer_t peer = peer_in(&routed.server, SOCK_DGRAM, server_literal(family), 0);
    sock_t *socket = new_udp(NULL);
    SSL *ssl;
    int status;
    pid_t server = (pid_t) SYS(fork());
    if (server == 0) {
        alarm(60);
        serve_descriptor(context, peer.fd);
        _exit(0);
    }
    CHECK_OK(V(socket)->connect(socket, server_literal(family), peer.port));
    CHECK_INT(1500, get_opt(socket, ANJAY_NET_SOCKET_OPT_MTU).mtu);
    ssl = ssl_over(context, method, socket);
    run_client(ssl, "through a router");
    SYS(waitpid(server, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_INT(0, WEXITSTATUS(status));
    CHECK_INT(1280, get_opt(socket, ANJAY_NET_SOCKET_OPT_MTU).mtu);
    CHECK_INT(1, stats_of(socket).dropped_empty);
    SSL_free(ssl);
    dispose(&socket);
    peer_close(&peer);
}

int main(int argc, char **argv) {
    bool client = argc == 6 && strcmp(argv[1], "client") == 0;
    bool routed = argc == 4 && strcmp(argv[1], "routed") == 0;
    SSL_CTX *context;
    SSL *ssl;
    BIO_METHOD *method;
    sock_t *socket;
    check_begin("dtls");
    if (!client && !routed && !(argc == 5 && strcmp(argv[1], "server") == 0)) {
        fprintf(stderr,
                "usage: dtls client HOST PORT CERTIFICATE TEXT\n"
                "       dtls server HOST CERTIFICATE KEY\n"
                "       dtls routed CERTIFICATE KEY\n");
        return 2;
    }
    context = new_context();
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "anjay_net");
    CHECK(method != NULL);
    if (routed) {
        use_identity(context, argv + 2);
        trust(context, argv[2]);
        run_routed(context, method, AF_INET);
        run_routed(context, method, AF_INET6);
        SSL_CTX_free(context);
        BIO_meth_free(method);
        return 0;
    }
    if (client) {
        CHECK(SSL_CTX_load_verify_locations(context, argv[4], NULL) == 1);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        socket = new_udp(NULL);
        CHECK_OK(V(socket)->connect(socket, argv[2], argv[3]));
    } else {
        use_identity(context, argv + 3);
        socket = accept_client(argv[2]);
    }
    ssl = ssl_over(context, method, socket);

    if (client) {
        run_client(ssl, argv[5]);
    } else {
        run_server(ssl);
    }

    CHECK(bytes_sent(socket) > 0);
    CHECK(bytes_received(socket) > 0);
    SSL_free(ssl);
    SSL_CTX_free(context);
    BIO_meth_free(method);
    dispose(&socket);
    return 0;
}
