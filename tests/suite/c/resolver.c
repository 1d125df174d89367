/*
 * The system resolver and its name server: names that do not exist, and a
 * server that never answers. In a network of the test's own.
 */

#include "fixture.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>

static const char HOSTS[] = "127.0.0.1 localhost\n";

/* A name server on loopback. */
static int name_server(void) {
    return peer_bound_to(SOCK_DGRAM, "127.0.0.53", 53).fd;
}

static int denier_stops;

/* Answers every question: there is no such name. */
static void deny_all_names(void *server) {
    int fd = *(int *) server;
    while (!__atomic_load_n(&denier_stops, __ATOMIC_ACQUIRE)) {
        unsigned char packet[512];
        struct sockaddr_storage from;
        socklen_t from_size = sizeof(from);
        if (!wait_for(fd, POLLIN, 20)) {
            continue;
        }
        ssize_t size =
                recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *) &from, &from_size);
        CHECK(size > 12);
        packet[2] |= 0x80; /* a response */
        packet[3] = 0x83;  /* recursion available, NXDOMAIN */
        SYS(sendto(fd, packet, (size_t) size, 0, (struct sockaddr *) &from, from_size));
    }
}

TEST(unknown_name_gives_the_methods_own_code) {
    worker_t worker;
    sandbox_enter(HOSTS, NULL);
    int server = name_server();
    worker_start(&worker, deny_all_names, &server);
    sock_t *bound = bound_udp("127.0.0.1", NULL);
    sock_t *socket = new_udp(NULL);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "unknown", "5683"));
    CHECK_ERR(EADDRNOTAVAIL, V(bound)->send_to(bound, "x", 1, "unknown", "5683"));
    CHECK_ERR(EINVAL, V(socket)->bind(socket, "unknown", "0"));
    CHECK_STR("nothing", listed(UDP, ANY, "unknown", "5683", 0, NULL));
    CHECK_STATE(CLOSED, socket);
    CHECK_STATE(BOUND, bound);
    __atomic_store_n(&denier_stops, 1, __ATOMIC_RELEASE);
    worker_join(&worker);
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
        count += packet[size - 4] == 0 && packet[size - 3] == type;
    }
    return count;
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

enum { THREADS_MAX = 60 };

static call_t calls[THREADS_MAX];

static void connect_by_name(call_t *call) {
    char name[32];
    snprintf(name, sizeof(name), "server%d.example", (int) call->size);
    call->error = V(call->socket)->connect(call->socket, name, "5683");
    CHECK_STATE(CLOSED, call->socket);
}

/* So many threads connect to a name each, to the same or to different ones;
   gives the name server. */
static int start_lookups(int threads, bool same_name) {
    sandbox_enter(HOSTS, DEAD_SERVER);
    int server = name_server();
    for (int i = 0; i < threads; ++i) {
        calls[i] = call_on(new_udp(NULL), connect_by_name);
        calls[i].size = (size_t) (same_name ? 0 : i);
        call_start(&calls[i]);
    }
    return server;
}

/* The reference waits for as long as resolv.conf says. */
SLOW_TEST(dead_name_server_costs_ten_seconds) {
    start_lookups(1, true);
    CHECK_LASTED(MS(10000), MS(11000), &calls[0]);
    CHECK_ERR(ETIMEDOUT, calls[0].error);
}

SLOW_TEST(same_lookup_is_made_once_and_literals_do_not_wait) {
    enum { THREADS = 4 };
    int server = start_lookups(THREADS, true);
    CHECK(wait_for(server, POLLIN, 5000));
    int64_t start = now_us();
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", "5683"));
    CHECK_WAITED(start, 0, PROMPT);
    for (int i = 0; i < THREADS; ++i) {
        CHECK_LASTED(MS(10000), MS(11000), &calls[i]);
        CHECK_ERR(ETIMEDOUT, calls[i].error);
    }
    CHECK_INT(1, count_questions(server, 1));
}

SLOW_TEST(unfinished_lookups_are_bounded) {
    /* An emulator has threads of its own. */
    int before = count_threads();
    int threads = 0;
    int out_of_time = 0;
    int64_t end = now_us() + MS(9000);
    start_lookups(THREADS_MAX, false);
    while (now_us() < end) {
        int now = count_threads();
        threads = now > threads ? now : threads;
        poll(NULL, 0, 100);
    }
    for (int i = 0; i < THREADS_MAX; ++i) {
        CHECK_LASTED(MS(10000), MS(11000), &calls[i]);
        CHECK_EITHER(ETIMEDOUT, EAGAIN, calls[i].error);
        out_of_time += calls[i].error.code == ANJAY_NET_ERRNO_ETIMEDOUT;
    }
    /* Some were asked, others never got their turn. */
    CHECK(out_of_time > 0);
    CHECK(out_of_time < THREADS_MAX);
    CHECK(threads - THREADS_MAX - before <= 2 * out_of_time);
}
