/*
 * TCP connect to a name with several addresses, some of which do not answer.
 * All in a network of the test's own.
 */

#include "peer.h"
#include "sandbox.h"
#include "sock.h"

#include <stdlib.h>
#include <unistd.h>

static const char HOSTS[] = "127.0.0.1 localhost\n"
                            "127.0.0.1 both\n"
                            "::1 both\n"
                            "127.0.1.1 pool\n"
                            "127.0.1.2 pool\n"
                            "127.0.1.3 pool\n"
                            "127.0.1.4 pool\n";

/* A listener at exactly that place. */
static peer_t listen_on(const char *literal, const char *port) {
    struct sockaddr_storage address;
    peer_t peer;
    socklen_t size = make_address(&address, literal, atoi(port));
    memset(&peer, 0, sizeof(peer));
    peer.family = address.ss_family;
    peer.host = literal;
    strcpy(peer.port, port);
    peer.fd = (int) SYS(socket(peer.family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    SYS(bind(peer.fd, (struct sockaddr *) &address, size));
    SYS(listen(peer.fd, 16));
    return peer;
}

/* The reference waits 10 s for the first address. */
TEST(silent_ipv6_address_costs_a_quarter_of_a_second) {
    blackhole_t hole;
    peer_t listener;
    sock_t *socket;
    int64_t start;
    int before;
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    hole = blackhole_open(AF_INET6);
    listener = listen_on("127.0.0.1", hole.listener.port);
    socket = new_tcp(NULL);
    before = count_descriptors();
    start = now_us();
    CHECK_OK(V(socket)->connect(socket, "both", listener.port));
    CHECK_WAITED(start, MS(250), MS(1500));
    CHECK_STR("127.0.0.1", remote_host(socket));
    /* The losing attempt is closed. */
    CHECK_INT(before + 1, count_descriptors());
    dispose(&socket);
    peer_close(&listener);
    blackhole_close(&hole);
}

SLOW_TEST(silent_ipv4_address_does_not_matter_when_ipv6_answers) {
    blackhole_t hole;
    peer_t listener;
    sock_t *socket;
    int64_t start;
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    /* Whoever waits for its turn is seen to. */
    sandbox_set_attempt_delay(2000);
    hole = blackhole_open(AF_INET);
    listener = listen_on("::1", hole.listener.port);
    socket = new_tcp(NULL);
    start = now_us();
    CHECK_OK(V(socket)->connect(socket, "both", listener.port));
    CHECK_WAITED(start, 0, MS(1900));
    CHECK_STR("::1", remote_host(socket));
    dispose(&socket);
    peer_close(&listener);
    blackhole_close(&hole);
}

SLOW_TEST(refused_address_starts_the_next_at_once) {
    peer_t listener;
    sock_t *socket;
    int64_t start;
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    /* Whoever waits for its turn is seen to. */
    sandbox_set_attempt_delay(2000);
    listener = peer_listen(AF_INET);
    socket = new_tcp(NULL);
    start = now_us();
    CHECK_OK(V(socket)->connect(socket, "both", listener.port));
    CHECK_WAITED(start, 0, MS(1900));
    CHECK_STR("127.0.0.1", remote_host(socket));
    dispose(&socket);
    peer_close(&listener);
}

TEST(every_address_is_tried) {
    peer_t listener;
    peer_t peer;
    int round;
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    listener = listen_on("127.0.1.3", "5683");
    /* In random order: the only good one is last now and then. */
    for (round = 0; round < 20; ++round) {
        sock_t *socket = new_tcp(NULL);
        CHECK_OK(V(socket)->connect(socket, "pool", "5683"));
        CHECK_STR("127.0.1.3", remote_host(socket));
        peer = peer_accept(&listener);
        peer_close(&peer);
        dispose(&socket);
    }
    peer_close(&listener);
}

TEST(error_of_the_last_attempt_is_returned) {
    sock_t *socket;
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    socket = new_tcp(NULL);
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, "pool", "5683"));
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, "both", "5683"));
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
}

/* The stored endpoint goes first, alone for a quarter of a second. */
TEST(preferred_endpoint_starts_the_race) {
    blackhole_t hole;
    peer_t listener;
    config_t config = default_config();
    endpoint_t preferred;
    anjay_net_addrinfo_t *list;
    sock_t *socket;
    int64_t start;
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    hole = blackhole_open(AF_INET);
    listener = listen_on("::1", hole.listener.port);
    list = avs_net_addrinfo_resolve_ex(ANJAY_NET_SOCKET_TYPE_TCP,
                                       ANJAY_NET_AF_INET4, "127.0.0.1",
                                       hole.listener.port, 0, NULL);
    CHECK(list != NULL);
    CHECK_INT(0, avs_net_addrinfo_next(list, &preferred));
    avs_net_addrinfo_delete(&list);
    config.preferred_endpoint = &preferred;
    socket = new_tcp(&config);
    start = now_us();
    CHECK_OK(V(socket)->connect(socket, "both", hole.listener.port));
    CHECK_WAITED(start, MS(250), MS(1500));
    CHECK_STR("::1", remote_host(socket));
    dispose(&socket);
    peer_close(&listener);
    blackhole_close(&hole);
}
