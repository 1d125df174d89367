/*
 * Who am I, who is the other: the get_* methods.
 */

#include "fixture.h"

#include <poll.h>
#include <stdlib.h>

static void check_interface(const char *expected, sock_t *socket) {
    char name[ANJAY_NET_IF_NAMESIZE + 1];
    memset(name, 'x', sizeof(name));
    CHECK_OK(V(socket)->get_interface_name(socket, name));
    CHECK_STR(expected, name);
    CHECK_INT('x', name[ANJAY_NET_IF_NAMESIZE]);
}

/* A method fails in a way that is not one of the size. */
#define CHECK_UNKNOWN(Code, Method, Socket)                               \
    do {                                                                  \
        char text[64];                                                    \
        CHECK_ERR(Code, V(Socket)->Method((Socket), text, sizeof(text))); \
    } while (0)

TEST_EACH_TYPE(bound_socket_knows_itself_only) {
    sock_t *socket = bound_socket(type, "127.0.0.1", NULL);
    CHECK_UNKNOWN(ENOTCONN, get_remote_host, socket);
    CHECK_UNKNOWN(ENOBUFS, get_remote_hostname, socket);
    CHECK_UNKNOWN(ENOBUFS, get_remote_port, socket);
    CHECK_STR("127.0.0.1", local_host(socket));
    CHECK_INT(port_of(descriptor_of(socket)), atoi(local_port(socket)));
    check_interface("lo", socket);
}

TEST(connected_socket_knows_both_ends) {
    peer_t peer;
    sock_t *socket = connected_pair_of(UDP, AF_INET6, NULL, &peer);
    CHECK_REMOTE("::1", peer.port, socket);
    CHECK_STR("::1", remote_hostname(socket));
    CHECK_STR("::1", local_host(socket));
    CHECK_INT(port_of(descriptor_of(socket)), atoi(local_port(socket)));
    check_interface("lo", socket);
}

static void check_remembers(const char *name, const char *address) {
    sock_t *socket = new_udp(&(config_t){ .address_family = name[0] == '[' ? V6 : V4 });
    CHECK_OK(V(socket)->connect(socket, name, "5683"));
    CHECK_STR(name, remote_hostname(socket));
    CHECK_REMOTE(address, "5683", socket);
}

TEST(hostname_is_remembered_as_given) {
    check_remembers("127.0.0.1", "127.0.0.1");
    check_remembers("localhost", "127.0.0.1");
}

TEST(hostname_in_brackets_is_remembered_as_given) {
    check_remembers("[::1]", "::1");
}

TEST(hostname_and_port_are_forgotten_by_close) {
    config_t config = ipv4_config();
    sock_t *socket = new_udp(&config);
    CHECK_OK(V(socket)->connect(socket, "localhost", "5683"));
    CHECK_OK(V(socket)->close(socket));
    CHECK_UNKNOWN(EBADF, get_remote_hostname, socket);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_UNKNOWN(ENOBUFS, get_remote_hostname, socket);
    CHECK_UNKNOWN(ENOBUFS, get_remote_port, socket);
}

/* Every size up to the text with its NUL: refused without a byte written past
   the buffer; from there on: the text. */
static void check_sizes(sock_t *socket, getter_t get, const char *expected) {
    size_t fits = strlen(expected) + 1;
    for (size_t size = 0; size <= fits + 2; ++size) {
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
    config_t config = ipv4_config();
    sock_t *socket = new_udp(&config);
    char own_port[8];
    CHECK_OK(V(socket)->connect(socket, "localhost", "5683"));
    port_text(port_of(descriptor_of(socket)), own_port);
    check_sizes(socket, V(socket)->get_remote_host, "127.0.0.1");
    check_sizes(socket, V(socket)->get_remote_hostname, "localhost");
    check_sizes(socket, V(socket)->get_remote_port, "5683");
    check_sizes(socket, V(socket)->get_local_host, "127.0.0.1");
    check_sizes(socket, V(socket)->get_local_port, own_port);
}

/* A dual-stack socket that is connected to an IPv4 peer. */
static sock_t *mapped(void) {
    sock_t *socket = bound_udp("::", NULL);
    connect_to_peer(socket, UDP, AF_INET);
    CHECK_INT(V6, get_opt(socket, ANJAY_NET_SOCKET_OPT_ADDR_FAMILY).addr_family);
    return socket;
}

TEST(v4mapped_addresses_print_in_plain_form) {
    sock_t *socket = mapped();
    check_sizes(socket, V(socket)->get_remote_host, "127.0.0.1");
    check_sizes(socket, V(socket)->get_local_host, "127.0.0.1");
}

/* The reference looks for an interface that owns ::ffff:127.0.0.1. */
TEST(interface_of_a_v4mapped_address_is_found) {
    check_interface("lo", mapped());
}

TEST(configured_interface_is_told_in_every_state) {
    sock_t *socket = new_udp(&(config_t){ .interface_name = "lo" });
    check_interface("lo", socket);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    check_interface("lo", socket);
    CHECK_OK(V(socket)->close(socket));
    check_interface("lo", socket);
}

TEST(system_socket_pointer_is_stable_until_close) {
    sock_t *socket = new_udp(NULL);
    CHECK_NO_DESCRIPTOR(socket);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    const void *pointer = V(socket)->get_system_socket(socket);
    CHECK(pointer != NULL);
    connect_to_peer(socket, UDP, AF_INET);
    CHECK(pointer == V(socket)->get_system_socket(socket));
    send_text(socket, "x");
    CHECK(pointer == V(socket)->get_system_socket(socket));
    CHECK_INT(atoi(local_port(socket)), port_of(*(const int *) pointer));
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK(pointer == V(socket)->get_system_socket(socket));
    CHECK_OK(V(socket)->close(socket));
    CHECK_NO_DESCRIPTOR(socket);
}

TEST(system_socket_can_be_polled) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    CHECK(!wait_for(descriptor_of(socket), POLLIN, 0));
    peer_say(&peer, socket, "x");
    CHECK(wait_for(descriptor_of(socket), POLLIN, 5000));
    expect_text(socket, "x");
    CHECK(!wait_for(descriptor_of(socket), POLLIN, 0));
}
