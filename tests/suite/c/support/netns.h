/*
 * A network of several hosts: namespaces joined by veth cables, with routes,
 * rules and firewalls made by `ip`, `tc` and `nft`. All of it is gone when the
 * process ends. Call sandbox_enter() first, or one of the functions here that
 * do: the test's own host is the namespace that it made. Needs root.
 */

#ifndef NETNS_H
#define NETNS_H

#include "peer.h"
#include "sock.h"

/* The two ends of the cable that netns_cable() lays. */
#define HOME_V4 "192.0.2.1"
#define HOME_V6 "2001:db8::1"
#define AWAY_V4 "192.0.2.2"
#define AWAY_V6 "2001:db8::2"

/* The address of the far end in that family. */
const char *away_literal(int family);

/* The wildcard of that family. */
const char *any_literal(int family);

/* The ways in which a datagram socket comes to a peer; `bound` is NULL for one that
   was not bound before. */
typedef struct {
    int family;
    const char *bound;
} connection_t;

extern const connection_t CONNECTIONS[5];

/* Runs a command in the namespace of the calling thread; it must succeed. */
__attribute__((format(printf, 1, 2))) void run(const char *format, ...);

/* Writes to a file below /proc/sys, such as "net/ipv4/tcp_retries2". */
void set_sysctl(const char *name, const char *value);

/* Replaces the text of /etc/resolv.conf or /etc/hosts inside the sandbox. */
void rewrite_file(const char *path, const char *text);

/* A namespace, held by a descriptor until the case ends. */
typedef struct {
    int fd;
} netns_t;

/* A new one, with its loopback interface up. */
netns_t netns_new(void);

/* The one that the calling thread is in. */
netns_t netns_here(void);

/* Moves the calling thread there. Sockets stay where they were made. */
void netns_go(const netns_t *ns);

/* Gives lo an IPv6 address and waits for its route, which a worker of the kernel adds
   later: until then what is sent there is lost. */
void add_own_address(const char *literal);

/* The test's own host and another one. */
typedef struct {
    netns_t home;
    netns_t away;
} cable_t;

/* sandbox_enter() with these hosts, and a cable from eth0 here to eth0 of
   another host, both with an address of each family. The routing tables have
   nothing but the networks on the cable. Called again, it begins with a fresh
   network. */
cable_t netns_cable(const char *hosts, const char *resolv_conf);

/* The same without any address but those that IPv6 gives each link. */
cable_t netns_bare_cable(const char *hosts, const char *resolv_conf);

/* Lays (again) a cable with these ends, without any address. */
void cable_lay(const cable_t *cable, const char *home, const char *away);

/* Gives the ends named eth0 their addresses. */
void cable_number(const cable_t *cable);

/* Lets the hosts know each other's links, by both families: the first packets of a new
   cable may be late. */
void cable_introduce(const cable_t *cable);

/* Deletes eth0 here and lays it again, with its addresses and another index. */
void cable_remake(const cable_t *cable);

/* Runs a command at the far end. */
__attribute__((format(printf, 2, 3))) void
run_away(const cable_t *cable, const char *format, ...);

/* A router between home (eth0, HOME_*) and a server behind a link of a smaller
   MTU. */
typedef struct {
    cable_t cable; /* `away` is the router */
    netns_t server;
} routed_t;

#define SERVER_V4 "198.51.100.2"
#define SERVER_V6 "2001:db8:1::2"

const char *server_literal(int family);

routed_t netns_routed(int mtu);

/* A UDP socket or TCP listener of the test at exactly that place (port 0: any)
   in the namespace of the calling thread, and in another one, until the case ends. */
peer_t peer_at(int type, const char *literal, int port);
peer_t peer_in(const netns_t *ns, int type, const char *literal, int port);

/* Where a datagram came from. */
typedef struct {
    struct sockaddr_storage address;
    socklen_t size;
    char host[64];
    char port[8];
} sender_t;

/* Waits for a datagram with that text; any other fails the test. */
sender_t peer_expect_from(const peer_t *peer, const char *text);

/* Sends until it arrives: a link that has just been made loses datagrams. */
sender_t await_hello(sock_t *socket, const peer_t *peer);

/* Where a socket with that port is reached from away. */
sender_t home_at(int family, const char *port);

/* A datagram back to it. */
void peer_reply(const peer_t *peer, const sender_t *to, const char *text);

/* Takes what has arrived; gives how many datagrams that were. */
int peer_drain(const peer_t *peer);

/* Waits for a datagram with another text, and takes those before it away. */
void peer_skip(const peer_t *peer, const char *text);

/* Waits until the kernel has an error for the socket with that descriptor. */
void await_error(int fd);

#endif /* NETNS_H */
