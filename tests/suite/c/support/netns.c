#include "netns.h"

#include "sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *away_literal(int family) {
    return family == AF_INET6 ? AWAY_V6 : AWAY_V4;
}

const char *any_literal(int family) {
    return family == AF_INET6 ? "::" : "0.0.0.0";
}

const connection_t CONNECTIONS[5] = { { AF_INET, NULL },
                                   { AF_INET, "0.0.0.0" },
                                   { AF_INET, "::" },
                                   { AF_INET6, NULL },
                                   { AF_INET6, "::" } };

const char *server_literal(int family) {
    return family == AF_INET6 ? SERVER_V6 : SERVER_V4;
}

/* ------------------------------------------------------------ commands --- */

static void run_list(const char *format, va_list args) {
    char command[1024];
    int status;
    CHECK(vsnprintf(command, sizeof(command), format, args)
          < (int) sizeof(command));
    status = system(command);
    if (status != 0) {
        FAIL("status %d of: %s", status, command);
    }
}

void run(const char *format, ...) {
    va_list args;
    va_start(args, format);
    run_list(format, args);
    va_end(args);
}

void run_away(const cable_t *cable, const char *format, ...) {
    va_list args;
    netns_go(&cable->away);
    va_start(args, format);
    run_list(format, args);
    va_end(args);
    netns_go(&cable->home);
}

static void write_over(const char *path, const char *text, int flags) {
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags);
    if (fd < 0) {
        FAIL("can't open %s", path);
    }
    CHECK_INT(strlen(text), SYS(write(fd, text, strlen(text))));
    SYS(close(fd));
}

void set_sysctl(const char *name, const char *value) {
    char path[256];
    snprintf(path, sizeof(path), "/proc/sys/%s", name);
    write_over(path, value, 0);
}

void rewrite_file(const char *path, const char *text) {
    write_over(path, text, O_TRUNC);
}

/* ---------------------------------------------------------- namespaces --- */

/* Addresses are usable at once, and no host asks for routers. */
static void prepare(void) {
    set_sysctl("net/ipv6/conf/default/accept_dad", "0");
    set_sysctl("net/ipv6/conf/default/dad_transmits", "0");
    set_sysctl("net/ipv6/conf/default/router_solicitations", "0");
    run("ip link set lo up");
}

void add_own_address(const char *literal) {
    int64_t give_up = now_us() + MS(10000);
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, literal, 0);
    int fd = (int) SYS(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    run("ip addr add %s/128 dev lo nodad", literal);
    SYS(bind(fd, (struct sockaddr *) &address, size));
    SYS(getsockname(fd, (struct sockaddr *) &address, &size));
    do {
        CHECK(now_us() < give_up);
        sendto(fd, "", 1, 0, (struct sockaddr *) &address, size);
    } while (!wait_for(fd, POLLIN, 1));
    SYS(close(fd));
}

netns_t netns_here(void) {
    netns_t ns;
    ns.fd = held((int) SYS(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)));
    return ns;
}

void netns_go(const netns_t *ns) {
    SYS(setns(ns->fd, CLONE_NEWNET));
}

netns_t netns_new(void) {
    netns_t before = netns_here();
    netns_t made;
    SYS(unshare(CLONE_NEWNET));
    prepare();
    made = netns_here();
    netns_go(&before);
    close_held(before.fd);
    return made;
}

/* -------------------------------------------------------------- cables --- */

static void lay(const netns_t *to, const char *here, const char *there) {
    run("ip link add %s type veth peer name %s netns /proc/%d/fd/%d", here,
        there, (int) getpid(), to->fd);
    run("ip link set %s up", here);
}

void cable_lay(const cable_t *cable, const char *home, const char *away) {
    lay(&cable->away, home, away);
    run_away(cable, "ip link set %s up", away);
}

void cable_number(const cable_t *cable) {
    run("ip addr add " HOME_V4 "/24 dev eth0");
    run("ip addr add " HOME_V6 "/64 dev eth0 nodad");
    run_away(cable, "ip addr add " AWAY_V4 "/24 dev eth0");
    run_away(cable, "ip addr add " AWAY_V6 "/64 dev eth0 nodad");
}

void cable_introduce(const cable_t *cable) {
    static const int FAMILIES[] = { AF_INET, AF_INET6 };
    size_t i;
    for (i = 0; i < LEN(FAMILIES); ++i) {
        const char *host = away_literal(FAMILIES[i]);
        peer_t peer = peer_in(&cable->away, SOCK_DGRAM, host, 0);
        sock_t *socket = new_udp(NULL);
        CHECK_OK(V(socket)->connect(socket, host, peer.port));
        send_text(socket, "hello");
        peer_expect(&peer, "hello");
        dispose(&socket);
        peer_close(&peer);
    }
}

void cable_remake(const cable_t *cable) {
    unsigned before = if_nametoindex("eth0");
    run("ip link del eth0");
    cable_lay(cable, "eth0", "eth0");
    cable_number(cable);
    CHECK(if_nametoindex("eth0") != before);
}

/* A fresh network; the files of the sandbox are there only once. */
static void enter(const char *hosts, const char *resolv_conf) {
    static bool is_inside;
    if (is_inside) {
        SYS(unshare(CLONE_NEWNET));
        rewrite_file("/etc/hosts", hosts);
        CHECK(resolv_conf == NULL);
    } else {
        sandbox_enter(hosts, resolv_conf);
        is_inside = true;
    }
    prepare();
}

cable_t netns_bare_cable(const char *hosts, const char *resolv_conf) {
    cable_t cable;
    enter(hosts, resolv_conf);
    cable.home = netns_here();
    cable.away = netns_new();
    cable_lay(&cable, "eth0", "eth0");
    return cable;
}

cable_t netns_cable(const char *hosts, const char *resolv_conf) {
    cable_t cable = netns_bare_cable(hosts, resolv_conf);
    cable_number(&cable);
    return cable;
}

routed_t netns_routed(int mtu) {
    routed_t routed;
    cable_t *cable = &routed.cable;
    *cable = netns_cable("127.0.0.1 localhost\n", NULL);
    routed.server = netns_new();
    run("ip route add default via " AWAY_V4);
    run("ip route add default via " AWAY_V6);
    netns_go(&cable->away);
    set_sysctl("net/ipv4/ip_forward", "1");
    set_sysctl("net/ipv6/conf/all/forwarding", "1");
    /* Every report is sent, however many there are. */
    set_sysctl("net/ipv4/icmp_ratelimit", "0");
    set_sysctl("net/ipv4/icmp_msgs_per_sec", "100000");
    set_sysctl("net/ipv4/icmp_msgs_burst", "100000");
    set_sysctl("net/ipv6/icmp/ratelimit", "0");
    lay(&routed.server, "eth1", "eth0");
    run("ip link set eth1 mtu %d", mtu);
    run("ip addr add 198.51.100.1/24 dev eth1");
    run("ip addr add 2001:db8:1::1/64 dev eth1 nodad");
    netns_go(&routed.server);
    run("ip link set eth0 mtu %d up", mtu);
    run("ip addr add " SERVER_V4 "/24 dev eth0");
    run("ip addr add " SERVER_V6 "/64 dev eth0 nodad");
    run("ip route add default via 198.51.100.1");
    run("ip route add default via 2001:db8:1::1");
    netns_go(&cable->home);
    return routed;
}

/* --------------------------------------------------------------- peers --- */

peer_t peer_at(int type, const char *literal, int port) {
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, literal, port);
    peer_t peer;
    int on = 1;
    memset(&peer, 0, sizeof(peer));
    peer.family = address.ss_family;
    peer.host = literal;
    peer.fd = held((int) SYS(socket(peer.family, type | SOCK_CLOEXEC, 0)));
    SYS(setsockopt(peer.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
    SYS(bind(peer.fd, (struct sockaddr *) &address, size));
    if (type == SOCK_STREAM) {
        SYS(listen(peer.fd, 4096));
    }
    port_text(port_of(peer.fd), peer.port);
    return peer;
}

peer_t peer_in(const netns_t *ns, int type, const char *literal, int port) {
    netns_t here = netns_here();
    peer_t peer;
    netns_go(ns);
    peer = peer_at(type, literal, port);
    netns_go(&here);
    close_held(here.fd);
    return peer;
}

sender_t peer_expect_from(const peer_t *peer, const char *text) {
    char buffer[2048];
    sender_t sender;
    ssize_t length;
    memset(&sender, 0, sizeof(sender));
    sender.size = sizeof(sender.address);
    CHECK(wait_for(peer->fd, POLLIN, 10000));
    length = SYS(recvfrom(peer->fd, buffer, sizeof(buffer) - 1, 0,
                          (struct sockaddr *) &sender.address, &sender.size));
    buffer[length] = '\0';
    CHECK_STR(text, buffer);
    CHECK_INT(0, getnameinfo((struct sockaddr *) &sender.address, sender.size,
                             sender.host, sizeof(sender.host), sender.port,
                             sizeof(sender.port),
                             NI_NUMERICHOST | NI_NUMERICSERV));
    return sender;
}

sender_t await_hello(sock_t *socket, const peer_t *peer) {
    int64_t give_up = now_us() + MS(10000);
    do {
        CHECK(now_us() < give_up);
        send_text(socket, "hello");
    } while (!wait_for(peer->fd, POLLIN, 200));
    return peer_expect_from(peer, "hello");
}

sender_t home_at(int family, const char *port) {
    sender_t home;
    memset(&home, 0, sizeof(home));
    home.size = make_address(&home.address,
                             family == AF_INET6 ? HOME_V6 : HOME_V4,
                             atoi(port));
    return home;
}

void peer_reply(const peer_t *peer, const sender_t *to, const char *text) {
    CHECK_INT(strlen(text),
              SYS(sendto(peer->fd, text, strlen(text), 0,
                         (const struct sockaddr *) &to->address, to->size)));
}

int peer_drain(const peer_t *peer) {
    char byte;
    int count = 0;
    while (recv(peer->fd, &byte, 1, MSG_DONTWAIT) >= 0) {
        ++count;
    }
    return count;
}

void peer_skip(const peer_t *peer, const char *text) {
    char buffer[2048];
    size_t size = strlen(text);
    while (wait_for(peer->fd, POLLIN, 10000)
           && recv(peer->fd, buffer, sizeof(buffer), MSG_PEEK) == (ssize_t) size
           && memcmp(text, buffer, size) == 0) {
        SYS(recv(peer->fd, buffer, sizeof(buffer), 0));
    }
}

void await_error(int fd) {
    CHECK(wait_for(fd, 0, 5000));
}
