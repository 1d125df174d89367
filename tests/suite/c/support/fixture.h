/*
 * What makes cases short: tables of them, and one line for each exchange, list
 * of addresses, or call that waits.
 */

#ifndef FIXTURE_H
#define FIXTURE_H

#include "pair.h"
#include "sandbox.h"

#include <sys/resource.h>

enum { TCP = ANJAY_NET_SOCKET_TYPE_TCP, UDP = ANJAY_NET_SOCKET_TYPE_UDP };
enum { ANY = ANJAY_NET_AF_UNSPEC, V4 = ANJAY_NET_AF_INET4, V6 = ANJAY_NET_AF_INET6 };

/* A case for both types, or for AF_INET and AF_INET6. */
#define TEST_EACH_TYPE(Name) TEST_ROWS(Name, int type, 2, row ? UDP : TCP)
#define TEST_EACH_FAMILY(Name) TEST_ROWS(Name, int family, 2, row ? AF_INET6 : AF_INET)
#define SLOW_TEST_EACH_TYPE(Name) SLOW_TEST_ROWS(Name, int type, 2, row ? UDP : TCP)
#define SLOW_TEST_EACH_FAMILY(Name) SLOW_TEST_ROWS(Name, int family, 2, row ? AF_INET6 : AF_INET)

/* ---------------------------------------------------------- exchanges --- */

/* One in each direction. */
void check_exchange(sock_t *socket, const peer_t *peer);

/* A receive into a buffer of that size gives this code and this text, and
   writes nothing else. */
#define CHECK_RECEIVE(Code, Text, Socket, Size) \
    check_receive(HERE "receive", ANJAY_NET_ERRNO_##Code, Text, Socket, Size)

/* receive_from, which names this peer; NULL if it writes no name. */
#define CHECK_RECEIVE_FROM(Code, Text, Peer, Socket, Size) \
    check_receive_from(HERE "receive_from", ANJAY_NET_ERRNO_##Code, Text, Peer, Socket, Size)

void check_receive(const char *where, unsigned code, const char *text, sock_t *socket, size_t size);
void check_receive_from(const char *where, unsigned code, const char *text, const peer_t *peer,
        sock_t *socket, size_t size);

#define CHECK_REMOTE(Host, Port, Socket)        \
    do {                                        \
        CHECK_STR((Host), remote_host(Socket)); \
        CHECK_STR((Port), remote_port(Socket)); \
    } while (0)

#define CHECK_NO_DESCRIPTOR(Socket) CHECK(V(Socket)->get_system_socket(Socket) == NULL)

/* ---------------------------------------------------------- addresses --- */

/* The endpoints that these resolve to, in order, as "host|port host|port"; NULL
   if they do not resolve. The list ends as lists do. */
const char *listed(int type, int family, const char *host, const char *port, int flags,
        const endpoint_t *preferred);

/* The first of them; there must be one. */
endpoint_t endpoint_of(int family, const char *host, const char *port, int flags);

/* As "host|port", in static buffers of their own. */
const char *endpoint_text(const endpoint_t *endpoint);

/* A configuration with that preferred endpoint, which is none at first. */
config_t config_with(endpoint_t *preferred);

/* So many more descriptors can be opened, and then none. */
void be_short_of_descriptors(struct rlimit *before, int spare);

/* ---------------------------------------------- calls in other threads --- */

typedef struct call {
    sock_t *socket;
    sock_t *other;    /* accept: the new socket */
    const char *port; /* connect: where to, on 127.0.0.1 */
    size_t size;      /* send: how much; 0 for more than all buffers hold */
    anjay_net_error_t error;
    size_t length; /* receive: what it gave, and of that: */
    char buffer[16];
    int64_t began;
    int64_t ended;
    void (*body)(struct call *call);
    worker_t worker;
} call_t;

void do_receive(call_t *call);
void do_receive_from(call_t *call);
void do_send(call_t *call);
void do_accept(call_t *call);
void do_connect(call_t *call);

call_t call_on(sock_t *socket, void (*body)(call_t *call));

/* Makes the call, here or in a thread; returns from the latter when it waits. */
void call_run(call_t *call);
void call_start(call_t *call);
void call_start_waiting(call_t *call);

/* Waits until it has returned, after a time within these bounds. */
#define CHECK_LASTED(AtLeastUs, AtMostUs, Call) \
    check_lasted(HERE "the call", (AtLeastUs), (AtMostUs), (Call))
void check_lasted(const char *where, int64_t at_least_us, int64_t at_most_us, call_t *call);

#endif /* FIXTURE_H */
