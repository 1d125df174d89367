/*
 * The system resolver and its name server: names that do not exist, and a
 * server that never answers. In a network of the test's own.
 */

#include "peer.h"
#include "sandbox.h"
#include "sock.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static const char HOSTS[] = "127.0.0.1 localhost\n";

/* A name server on loopback; the caller closes it. */
static int name_server(void) {
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, "127.0.0.53", 53);
    int fd = (int) SYS(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    SYS(bind(fd, (struct sockaddr *) &address, size));
    return fd;
}

typedef struct {
    int fd;
    int stop;
} denier_t;

/* Answers every question: there is no such name. */
static void deny_all_names(void *arg) {
    denier_t *denier = (denier_t *) arg;
    while (!__atomic_load_n(&denier->stop, __ATOMIC_ACQUIRE)) {
        unsigned char packet[512];
        struct sockaddr_storage from;
        socklen_t from_size = sizeof(from);
        ssize_t size;
        if (!wait_for(denier->fd, POLLIN, 20)) {
            continue;
        }
        size = recvfrom(denier->fd, packet, sizeof(packet), 0,
                        (struct sockaddr *) &from, &from_size);
        CHECK(size > 12);
        packet[2] |= 0x80; /* a response */
        packet[3] = 0x83;  /* recursion available, NXDOMAIN */
        SYS(sendto(denier->fd, packet, (size_t) size, 0,
                   (struct sockaddr *) &from, from_size));
    }
}

TEST(unknown_name_gives_the_methods_own_code) {
    denier_t denier;
    worker_t worker;
    sock_t *bound;
    sock_t *socket;
    sandbox_enter(HOSTS, NULL);
    denier.fd = name_server();
    denier.stop = 0;
    worker_start(&worker, deny_all_names, &denier);
    bound = bound_udp("127.0.0.1", NULL);
    socket = new_udp(NULL);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "unknown", "5683"));
    CHECK_ERR(EADDRNOTAVAIL,
              V(bound)->send_to(bound, "x", 1, "unknown", "5683"));
    CHECK_ERR(EINVAL, V(socket)->bind(socket, "unknown", "0"));
    CHECK(avs_net_addrinfo_resolve_ex(ANJAY_NET_SOCKET_TYPE_UDP,
                                      ANJAY_NET_AF_UNSPEC, "unknown", "5683", 0,
                                      NULL)
          == NULL);
    CHECK_STATE(CLOSED, socket);
    CHECK_STATE(BOUND, bound);
    __atomic_store_n(&denier.stop, 1, __ATOMIC_RELEASE);
    worker_join(&worker);
    SYS(close(denier.fd));
    dispose(&socket);
    dispose(&bound);
}

/* Longer than the library's deadline of 10 s: the lookup itself would go on. */
static const char DEAD_SERVER[] = "nameserver 127.0.0.53\n"
                                  "options timeout:13 attempts:1\n";

/* Number of questions of that type (1 = A) that have arrived. */
static int count_questions(int server, int type) {
    unsigned char packet[512];
    int count = 0;
    ssize_t size;
    while ((size = recv(server, packet, sizeof(packet), MSG_DONTWAIT)) > 16) {
        if (packet[size - 4] == 0 && packet[size - 3] == type) {
            ++count;
        }
    }
    return count;
}

typedef struct {
    const char *name;
    anjay_net_error_t error;
    int64_t waited_us;
} lookup_t;

static void connect_by_name(void *arg) {
    lookup_t *lookup = (lookup_t *) arg;
    sock_t *socket = new_udp(NULL);
    int64_t start = now_us();
    lookup->error = V(socket)->connect(socket, lookup->name, "5683");
    lookup->waited_us = now_us() - start;
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
}

static void check_gave_up_in_time(const lookup_t *lookup) {
    CHECK(lookup->waited_us >= MS(10000));
    CHECK(lookup->waited_us <= MS(11000));
}

/* The reference waits for as long as resolv.conf says. */
SLOW_TEST(dead_name_server_costs_ten_seconds) {
    lookup_t lookup;
    int server;
    sandbox_enter(HOSTS, DEAD_SERVER);
    server = name_server();
    lookup.name = "server.example";
    connect_by_name(&lookup);
    CHECK_ERR(ETIMEDOUT, lookup.error);
    check_gave_up_in_time(&lookup);
    SYS(close(server));
}

SLOW_TEST(same_lookup_is_made_once_and_literals_do_not_wait) {
    enum { THREADS = 4 };
    lookup_t lookups[THREADS];
    worker_t workers[THREADS];
    int server;
    int i;
    int64_t start;
    sock_t *socket;
    sandbox_enter(HOSTS, DEAD_SERVER);
    server = name_server();
    for (i = 0; i < THREADS; ++i) {
        lookups[i].name = "server.example";
        worker_start(&workers[i], connect_by_name, &lookups[i]);
    }
    CHECK(wait_for(server, POLLIN, 5000));
    start = now_us();
    socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", "5683"));
    CHECK_WAITED(start, 0, PROMPT);
    dispose(&socket);
    for (i = 0; i < THREADS; ++i) {
        worker_join(&workers[i]);
        CHECK_ERR(ETIMEDOUT, lookups[i].error);
        check_gave_up_in_time(&lookups[i]);
    }
    CHECK_INT(1, count_questions(server, 1));
    SYS(close(server));
}

static int count_threads(void) {
    DIR *directory = opendir("/proc/self/task");
    int count = 0;
    while (readdir(directory)) {
        ++count;
    }
    closedir(directory);
    return count - 2; /* . and .. */
}

SLOW_TEST(unfinished_lookups_are_bounded) {
    enum { THREADS = 60 };
    static lookup_t lookups[THREADS];
    static worker_t workers[THREADS];
    static char names[THREADS][32];
    int server;
    /* An emulator has threads of its own. */
    int before = count_threads();
    int threads = 0;
    int out_of_time = 0;
    int i;
    int64_t end;
    sandbox_enter(HOSTS, DEAD_SERVER);
    server = name_server();
    end = now_us() + MS(9000);
    for (i = 0; i < THREADS; ++i) {
        snprintf(names[i], sizeof(names[i]), "server%d.example", i);
        lookups[i].name = names[i];
        worker_start(&workers[i], connect_by_name, &lookups[i]);
    }
    while (now_us() < end) {
        int now = count_threads();
        threads = now > threads ? now : threads;
        poll(NULL, 0, 100);
    }
    for (i = 0; i < THREADS; ++i) {
        worker_join(&workers[i]);
        check_gave_up_in_time(&lookups[i]);
        if (lookups[i].error.code == ANJAY_NET_ERRNO_ETIMEDOUT) {
            ++out_of_time;
        } else {
            CHECK_ERR(EAGAIN, lookups[i].error);
        }
    }
    /* Some were asked, others never got their turn. */
    CHECK(out_of_time > 0);
    CHECK(out_of_time < THREADS);
    CHECK(threads - THREADS - before <= 2 * out_of_time);
    SYS(close(server));
}
