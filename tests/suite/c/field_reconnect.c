/*
 * What happens to a socket at the very moment when it is connected again after a
 * change of the network: another thread sends, its interface goes. The moments are
 * those of the system calls, which are made here.
 */

#include "netns.h"
#include "sock.h"

#include <net/if.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char HOSTS[] = "127.0.0.1 localhost\n";

/* Called right after the kernel has dissolved a connection, until it returns
   false. */
static bool (*after_dissolving)(int fd);

/* In the place of the C library's, for the library under test as well. */
int own_connect(int fd, const struct sockaddr *address, socklen_t size) __asm__("connect");

int own_connect(int fd, const struct sockaddr *address, socklen_t size) {
    int result = (int) syscall(SYS_connect, fd, address, size);
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

/* Sends until it arrives. */
static sender_t await_hello(sock_t *socket, const peer_t *peer) {
    int64_t give_up = now_us() + MS(10000);
    do {
        CHECK(now_us() < give_up);
        send_text(socket, "hello");
    } while (!wait_for(peer->fd, POLLIN, 200));
    return peer_expect_from(peer, "hello");
}

/* ------------------------------------------------------- other threads --- */

static int sends_left;

/* What a send of another thread does to a socket without a port: the kernel
   chooses one, before it finds that there is no peer. */
static bool send_meanwhile(int fd) {
    CHECK_INT(-1, send(fd, "meanwhile", 9, MSG_DONTWAIT));
    return --sends_left > 0;
}

SLOW_TEST(port_stays_while_other_threads_send) {
    size_t i;
    for (i = 0; i < LEN(CONNECTIONS); ++i) {
        int family = CONNECTIONS[i].family;
        const char *bound = CONNECTIONS[i].bound;
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
            send_text(socket, "early");
        }
        peer_drain(&peer);
        CHECK_STR(port, await_hello(socket, &peer).port);
        after_dissolving = NULL;
        CHECK_STR(port, local_port(socket));
        dispose(&socket);
        peer_close(&peer);
        cable_close(&cable);
    }
}

/* ------------------------------------------------- the interface, again --- */

static bool remove_interface(int fd) {
    (void) fd;
    run("ip link del eth0");
    return false;
}

SLOW_TEST(port_stays_when_the_interface_goes_at_that_moment) {
    size_t i;
    for (i = 0; i < LEN(CONNECTIONS); ++i) {
        int family = CONNECTIONS[i].family;
        const char *bound = CONNECTIONS[i].bound;
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
        dispose(&socket);
        peer_close(&peer);
        cable_close(&cable);
    }
}
