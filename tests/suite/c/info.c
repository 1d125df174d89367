/*
 * Who am I, who is the other: the get_* methods.
 */

#include "peer.h"
#include "sock.h"

#include <poll.h>
#include <stdlib.h>

typedef anjay_net_error_t (*getter_t)(sock_t *, char *, size_t);

TEST(bound_socket_knows_itself_only) {
    static const int TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                 ANJAY_NET_SOCKET_TYPE_UDP };
    size_t i;
    for (i = 0; i < LEN(TYPES); ++i) {
        sock_t *socket = new_socket(TYPES[i], NULL);
        char text[64];
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
        CHECK_ERR(ENOTCONN, V(socket)->get_remote_host(socket, text, 64));
        CHECK_ERR(ENOBUFS, V(socket)->get_remote_hostname(socket, text, 64));
        CHECK_ERR(ENOBUFS, V(socket)->get_remote_port(socket, text, 64));
        CHECK_STR("127.0.0.1", local_host(socket));
        CHECK_INT(port_of(descriptor_of(socket)),
                  atoi(local_port(socket)));
        CHECK_OK(V(socket)->get_interface_name(socket, text));
        CHECK_STR("lo", text);
        dispose(&socket);
    }
}

TEST(connected_socket_knows_both_ends) {
    peer_t peer = peer_udp(AF_INET6);
    sock_t *socket = new_udp(NULL);
    char text[64];
    CHECK_OK(V(socket)->connect(socket, "::1", peer.port));
    CHECK_STR("::1", remote_host(socket));
    CHECK_STR(peer.port, remote_port(socket));
    CHECK_OK(V(socket)->get_remote_hostname(socket, text, sizeof(text)));
    CHECK_STR("::1", text);
    CHECK_STR("::1", local_host(socket));
    CHECK_INT(port_of(descriptor_of(socket)), atoi(local_port(socket)));
    CHECK_OK(V(socket)->get_interface_name(socket, text));
    CHECK_STR("lo", text);
    dispose(&socket);
    peer_close(&peer);
}

TEST(hostname_is_remembered_as_given) {
    static const char *const NAMES[] = { "127.0.0.1", "localhost" };
    peer_t peer = peer_udp(AF_INET);
    config_t config = ipv4_config();
    size_t i;
    for (i = 0; i < LEN(NAMES); ++i) {
        sock_t *socket = new_udp(&config);
        char text[64];
        CHECK_OK(V(socket)->connect(socket, NAMES[i], peer.port));
        CHECK_OK(V(socket)->get_remote_hostname(socket, text, sizeof(text)));
        CHECK_STR(NAMES[i], text);
        CHECK_STR("127.0.0.1", remote_host(socket));
        CHECK_STR(peer.port, remote_port(socket));
        dispose(&socket);
    }
    peer_close(&peer);
}

TEST(hostname_in_brackets_is_remembered_as_given) {
    peer_t peer = peer_udp(AF_INET6);
    sock_t *socket = new_udp(NULL);
    char text[64];
    CHECK_OK(V(socket)->connect(socket, "[::1]", peer.port));
    CHECK_OK(V(socket)->get_remote_hostname(socket, text, sizeof(text)));
    CHECK_STR("[::1]", text);
    CHECK_STR("::1", remote_host(socket));
    dispose(&socket);
    peer_close(&peer);
}

TEST(hostname_and_port_are_forgotten_by_close) {
    peer_t peer = peer_udp(AF_INET);
    config_t config = ipv4_config();
    sock_t *socket = new_udp(&config);
    char text[64];
    CHECK_OK(V(socket)->connect(socket, "localhost", peer.port));
    CHECK_OK(V(socket)->close(socket));
    CHECK_ERR(EBADF, V(socket)->get_remote_hostname(socket, text, 64));
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_ERR(ENOBUFS, V(socket)->get_remote_hostname(socket, text, 64));
    CHECK_ERR(ENOBUFS, V(socket)->get_remote_port(socket, text, 64));
    dispose(&socket);
    peer_close(&peer);
}

/* Every size up to the text with its NUL: refused without a byte written past
   the buffer; from there on: the text. */
static void check_sizes(sock_t *socket, getter_t get, const char *expected) {
    size_t fits = strlen(expected) + 1;
    size_t size;
    for (size = 0; size <= fits + 2; ++size) {
        char buffer[80];
        char poison[80];
        memset(buffer, 'x', sizeof(buffer));
        memset(poison, 'x', sizeof(poison));
        if (size < fits) {
            CHECK_ERR(ERANGE, get(socket, buffer, size));
        } else {
            CHECK_OK(get(socket, buffer, size));
            CHECK_STR(expected, buffer);
        }
        CHECK_BYTES(poison, buffer + size, sizeof(buffer) - size);
    }
}

TEST(buffers_may_fit_exactly_and_are_not_overrun) {
    peer_t peer = peer_udp(AF_INET);
    config_t config = ipv4_config();
    sock_t *socket = new_udp(&config);
    char own_port[8];
    CHECK_OK(V(socket)->connect(socket, "localhost", peer.port));
    port_text(port_of(descriptor_of(socket)), own_port);
    check_sizes(socket, V(socket)->get_remote_host, "127.0.0.1");
    check_sizes(socket, V(socket)->get_remote_hostname, "localhost");
    check_sizes(socket, V(socket)->get_remote_port, peer.port);
    check_sizes(socket, V(socket)->get_local_host, "127.0.0.1");
    check_sizes(socket, V(socket)->get_local_port, own_port);
    dispose(&socket);
    peer_close(&peer);
}

TEST(v4mapped_addresses_print_in_plain_form) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("::", NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK_STR("127.0.0.1", remote_host(socket));
    CHECK_STR("127.0.0.1", local_host(socket));
    check_sizes(socket, V(socket)->get_remote_host, "127.0.0.1");
    check_sizes(socket, V(socket)->get_local_host, "127.0.0.1");
    dispose(&socket);
    peer_close(&peer);
}

/* The reference looks for an interface that owns ::ffff:127.0.0.1. */
TEST(interface_of_a_v4mapped_address_is_found) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("::", NULL);
    char name[ANJAY_NET_IF_NAMESIZE];
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK_INT(ANJAY_NET_AF_INET6,
              get_opt(socket, ANJAY_NET_SOCKET_OPT_ADDR_FAMILY).addr_family);
    CHECK_OK(V(socket)->get_interface_name(socket, name));
    CHECK_STR("lo", name);
    dispose(&socket);
    peer_close(&peer);
}

TEST(configured_interface_is_told_in_every_state) {
    config_t config = default_config();
    sock_t *socket;
    char name[ANJAY_NET_IF_NAMESIZE + 1];
    strcpy(config.interface_name, "lo");
    socket = new_udp(&config);
    memset(name, 'x', sizeof(name));
    CHECK_OK(V(socket)->get_interface_name(socket, name));
    CHECK_STR("lo", name);
    CHECK_INT('x', name[ANJAY_NET_IF_NAMESIZE]);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_OK(V(socket)->get_interface_name(socket, name));
    CHECK_STR("lo", name);
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->get_interface_name(socket, name));
    CHECK_STR("lo", name);
    dispose(&socket);
}

TEST(system_socket_pointer_is_stable_until_close) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    const void *pointer;
    CHECK(V(socket)->get_system_socket(socket) == NULL);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    pointer = V(socket)->get_system_socket(socket);
    CHECK(pointer != NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK(pointer == V(socket)->get_system_socket(socket));
    send_text(socket, "x");
    CHECK(pointer == V(socket)->get_system_socket(socket));
    CHECK_INT(atoi(local_port(socket)), port_of(*(const int *) pointer));
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK(pointer == V(socket)->get_system_socket(socket));
    CHECK_OK(V(socket)->close(socket));
    CHECK(V(socket)->get_system_socket(socket) == NULL);
    dispose(&socket);
    peer_close(&peer);
}

TEST(system_socket_can_be_polled) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK(!wait_for(descriptor_of(socket), POLLIN, 0));
    peer_send_to(&peer, local_port(socket), "x", 1);
    CHECK(wait_for(descriptor_of(socket), POLLIN, 5000));
    expect_text(socket, "x");
    CHECK(!wait_for(descriptor_of(socket), POLLIN, 0));
    dispose(&socket);
    peer_close(&peer);
}
