/*
 * What happens to a socket at the very moment when it is connected again after a
 * change of the network: another thread sends, its interface goes. The moments are
 * those of the system calls, which are made here.
 */

#include "fixture.h"
#include "netns.h"

#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char HOSTS[] = "127.0.0.1 localhost\n";

/* Called right after the kernel has dissolved a connection, until it returns
   false. */
static bool (*after_dissolving)(int fd);

/* Called right before the kernel connects this descriptor. */
static void (*before_connecting)(void);
static int descriptor = -1;

/* In the place of the C library's, for the library under test as well. */
int own_connect(int fd, const struct sockaddr *address, socklen_t size) __asm__("connect");

int own_connect(int fd, const struct sockaddr *address, socklen_t size) {
    void (*act)(void) = before_connecting;
    int result;
    if (act && fd == descriptor && address->sa_family != AF_UNSPEC) {
        before_connecting = NULL;
        act();
    }
    result = (int) syscall(SYS_connect, fd, address, size);
    if (after_dissolving && address->sa_family == AF_UNSPEC
            && !after_dissolving(fd)) {
        after_dissolving = NULL;
    }
    return result;
}

static void replace_addresses(void) {
    run("ip addr del " HOME_V4 "/24 dev eth0");
    run("ip addr del " HOME_V6 "/64 dev eth0");
    run("ip addr add 192.0.2.7/24 dev eth0");
    run("ip addr add 2001:db8::7/64 dev eth0 nodad");
}

/* ------------------------------------------------------- other threads --- */

static int sends_left;

/* What a send of another thread does to a socket without a port: the kernel
   chooses one, before it finds that there is no peer. */
static bool send_meanwhile(int fd) {
    CHECK_INT(-1, send(fd, "meanwhile", 9, MSG_DONTWAIT));
    return --sends_left > 0;
}

SLOW_TEST_EACH(port_stays_while_other_threads_send, CONNECTIONS) {
    int family = it->family;
    const char *bound = it->bound;
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *socket = new_udp(NULL);
    char port[8];
    if (bound) {
        CHECK_OK(V(socket)->bind(socket, bound, "0"));
    }
    CHECK_OK(V(socket)->connect(socket, away_literal(family), peer.port));
    strcpy(port, local_port(socket));
    replace_addresses();
    sends_left = 5;
    after_dissolving = send_meanwhile;
    /* IPv6 looks at its source with the second one. */
    while (sends_left == 5) {
        send_text(socket, "hello");
    }
    peer_drain(&peer);
    CHECK_STR(port, await_hello(socket, &peer).port);
    after_dissolving = NULL;
    CHECK_STR(port, local_port(socket));
}

/* ------------------------------------------------- the interface, again --- */

static bool remove_interface(int fd) {
    (void) fd;
    run("ip link del eth0");
    return false;
}

SLOW_TEST_EACH(port_stays_when_the_interface_goes_at_that_moment, CONNECTIONS) {
    int family = it->family;
    const char *bound = it->bound;
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *socket = new_udp(&config);
    char port[8];
    if (bound) {
        CHECK_OK(V(socket)->bind(socket, bound, "0"));
    }
    CHECK_OK(V(socket)->connect(socket, away_literal(family), peer.port));
    strcpy(port, local_port(socket));
    cable_remake(&cable);
    after_dissolving = remove_interface;
    send_text(socket, "lost");
    CHECK(!after_dissolving);
    cable_lay(&cable, "eth0", "eth0");
    cable_number(&cable);
    CHECK_STR(port, await_hello(socket, &peer).port);
    CHECK_STR(port, local_port(socket));
}

/* --------------------------------------------------- a receive meanwhile --- */

static struct {
    sock_t *socket;
    peer_t stranger;
    sender_t home;
} meanwhile;

static void hear_a_stranger(void) {
    peer_reply(&meanwhile.stranger, &meanwhile.home, "stranger");
    CHECK(wait_for(descriptor, POLLIN, 5000));
}

/* Another thread's send, for which the socket is connected again. */
static void connect_again(void) {
    descriptor = descriptor_of(meanwhile.socket);
    before_connecting = hear_a_stranger;
    while (before_connecting) {
        send_text(meanwhile.socket, "hello");
    }
}

/* Called before the next receive of the kernel. */
static void (*before_receiving)(void);

ssize_t own_recvmsg(int fd, struct msghdr *message, int flags) __asm__("recvmsg");

ssize_t own_recvmsg(int fd, struct msghdr *message, int flags) {
    void (*act)(void) = before_receiving;
    before_receiving = NULL;
    if (act) {
        act();
    }
    return syscall(SYS_recvmsg, fd, message, flags);
}

static const int64_t TIMEOUTS[] = { 0, MS(50) };

/* Whether it waits or not. */
SLOW_TEST_ROWS(strangers_are_not_heard_at_that_moment, int i,
               LEN(CONNECTIONS) * LEN(TIMEOUTS), row) {
    const connection_t *connection = &CONNECTIONS[i / LEN(TIMEOUTS)];
    int family = connection->family;
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *socket = meanwhile.socket = new_udp(NULL);
    char buffer[16];
    size_t length;
    meanwhile.stranger = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    if (connection->bound) {
        CHECK_OK(V(socket)->bind(socket, connection->bound, "0"));
    }
    CHECK_OK(V(socket)->connect(socket, away_literal(family), peer.port));
    set_timeout_us(socket, MS(50));
    CHECK_ERR(ETIMEDOUT, V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    set_timeout_us(socket, TIMEOUTS[i % LEN(TIMEOUTS)]);
    replace_addresses();
    memset(&meanwhile.home, 0, sizeof(meanwhile.home));
    meanwhile.home.size =
            make_address(&meanwhile.home.address,
                         family == AF_INET6 ? "2001:db8::7" : "192.0.2.7",
                         atoi(local_port(socket)));
    before_receiving = connect_again;
    CHECK_ERR(ETIMEDOUT, V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    peer_reply(&peer, &meanwhile.home, "hello, client");
    CHECK(wait_for(descriptor_of(socket), POLLIN, 5000));
    expect_text(socket, "hello, client");
}
