/*
 * Memory runs out, in every call and in every thread: no process ends by it,
 * the same call works when there is memory again, and no call begins a wait
 * that can't be ended.
 *
 * Each time in a process of its own.
 */

#include "support/heap.h"
#include "support/inject.h"
#include "support/scenes.h"

#include "anjay_net.h"
#include "netns.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The C library's own lookups end the process where memory runs out (glibc
   2.36 does, as it loads what nsswitch.conf names): they get what they want. */
int getaddrinfo(const char *host,
                const char *port,
                const struct addrinfo *hints,
                struct addrinfo **result) {
    static int (*next)(const char *, const char *, const struct addrinfo *,
                       struct addrinfo **);
    int outcome;
    heap_mine();
    if (!next) {
        void *function = dlsym(RTLD_NEXT, "getaddrinfo");
        CHECK(function != NULL);
        memcpy(&next, &function, sizeof(next));
    }
    outcome = next(host, port, hints, result);
    heap_not_mine();
    return outcome;
}

/* ------------------------------------------------------------ processes --- */

/* What became of a process. */
typedef enum {
    ENOUGH = 10, /* no allocation was refused */
    DONE,        /* one was, and the call succeeded all the same */
    SAID         /* the call said so */
} fate_t;

/* Runs `body` in a child process: with no memory at all, with one block, and so
   on, until that is enough. */
static void with_less_and_less_refused(const char *what,
                                       fate_t (*body)(const void *arg,
                                                      long allocations),
                                       const void *arg) {
    long allocations = 0;
    int status;
    do {
        pid_t child = (pid_t) SYS(fork());
        if (child == 0) {
            alarm(20);
            _exit(body(arg, allocations));
        }
        SYS(waitpid(child, &status, 0));
        if (WIFSIGNALED(status)) {
            FAIL("%s: ended by signal %d at allocation %ld", what,
                 WTERMSIG(status), allocations + 1);
        }
        if (WEXITSTATUS(status) < ENOUGH || WEXITSTATUS(status) > SAID) {
            FAIL("%s: failed at allocation %ld", what, allocations + 1);
        }
        CHECK(++allocations < 2000);
    } while (WEXITSTATUS(status) != ENOUGH);
}

/* --------------------------------------------------------------- scenes --- */

typedef struct {
    const scene_kind_t *kind;
    scene_t scene;
    anjay_net_error_t error;
    bool in_helpers; /* not in the caller's thread */
    long allocations;
    long refused;
} run_t;

static void act(void *arg) {
    run_t *run = (run_t *) arg;
    heap_mine();
    if (run->in_helpers) {
        heap_refuse_others_after(run->allocations);
    } else {
        heap_refuse_after(run->allocations);
    }
    run->error = run->kind->act(&run->scene);
    run->refused = run->in_helpers ? 0 : heap_refuse_nothing();
}

static verdict_t let_go_on(void *context, const syscall_t *call) {
    run_t *run = (run_t *) context;
    if (is_wait(call) && run->kind->when_waiting) {
        run->kind->when_waiting(&run->scene);
    }
    return inject_nothing();
}

static void perform(run_t *run, long allocations) {
    run->allocations = allocations;
    inject_run(act, run, let_go_on, run);
    if (run->in_helpers) {
        run->refused = heap_refuse_others_nothing();
    }
}

static fate_t play(run_t *run, long allocations) {
    heap_mine();
    inject_begin();
    scene_begin(&run->scene, run->kind);
    perform(run, allocations);
    if (run->error.code != 0) {
        CHECK(run->refused > 0);
        CHECK_INT(run->kind->before, scene_state(&run->scene));
        perform(run, 1000000);
        CHECK_OK(run->error);
        CHECK_INT(run->kind->after, scene_state(&run->scene));
        scene_end(&run->scene);
        return SAID;
    }
    CHECK_INT(run->kind->after, scene_state(&run->scene));
    scene_end(&run->scene);
    return run->refused ? DONE : ENOUGH;
}

static fate_t play_short_of_memory(const void *kind, long allocations) {
    run_t run;
    memset(&run, 0, sizeof(run));
    run.kind = (const scene_kind_t *) kind;
    return play(&run, allocations);
}

static fate_t play_with_short_helpers(const void *kind, long allocations) {
    run_t run;
    memset(&run, 0, sizeof(run));
    run.kind = (const scene_kind_t *) kind;
    run.in_helpers = true;
    return play(&run, allocations);
}

/* All scenes whose names begin like this. */
static void sweep(const char *beginning) {
    static bool is_inside;
    size_t i;
    int swept = 0;
    if (!is_inside) {
        scenes_enter_network();
        is_inside = true;
    }
    for (i = 0; i < SCENE_COUNT; ++i) {
        if (strncmp(SCENES[i].name, beginning, strlen(beginning)) == 0) {
            with_less_and_less_refused(SCENES[i].name, play_short_of_memory,
                                       &SCENES[i]);
            ++swept;
        }
    }
    CHECK(swept > 0);
}

TEST(connects_survive) {
    sweep("connect");
}

TEST(binds_survive) {
    sweep("bind");
}

TEST(sends_survive) {
    sweep("send");
}

TEST(receives_survive) {
    sweep("receive");
}

TEST(accepts_survive) {
    sweep("accept");
}

TEST(closes_survive) {
    sweep("close");
    sweep("shutdown");
    sweep("cleanup");
}

TEST(lists_survive) {
    sweep("resolve_ex");
}

static fate_t write_text_short_of_memory(const void *unused, long allocations) {
    static char text[64 * 1024];
    size_t length;
    long refused;
    (void) unused;
    heap_refuse_after(allocations);
    length = anjay_net_stats_text(text, sizeof(text));
    refused = heap_refuse_nothing();
    CHECK(refused > 0 || length > 0);
    CHECK_INT(strlen(text), length);
    CHECK(anjay_net_stats_text(text, sizeof(text)) > 0);
    return length == 0 ? SAID : refused ? DONE : ENOUGH;
}

TEST(statistics_survive) {
    sweep("anjay_net_get_stats");
    sweep("anjay_net_stats_write");
    with_less_and_less_refused("anjay_net_stats_text",
                               write_text_short_of_memory, NULL);
}

TEST(captures_survive) {
    sweep("anjay_net_capture");
}

/* The threads that write captures and ask for names. */
TEST(helper_threads_survive) {
    size_t i;
    scenes_enter_network();
    for (i = 0; i < SCENE_COUNT; ++i) {
        if (SCENES[i].asks || strcmp(SCENES[i].name, "anjay_net_capture") == 0) {
            with_less_and_less_refused(SCENES[i].name, play_with_short_helpers,
                                       &SCENES[i]);
        }
    }
}

/* Its interface is looked at when nothing came. */
static fate_t receive_on_a_tied_socket(const void *unused, long allocations) {
    config_t config = tied_config("lo");
    peer_t peer;
    sock_t *socket = connected_pair_of(UDP, AF_INET, &config, &peer);
    char byte;
    size_t length;
    long refused;
    (void) unused;
    set_timeout_us(socket, MS(1));
    heap_refuse_after(allocations);
    CHECK_ERR(ETIMEDOUT, V(socket)->receive(socket, &length, &byte, 1));
    refused = heap_refuse_nothing();
    check_exchange(socket, &peer);
    return refused ? DONE : ENOUGH;
}

/* Two have the address, and the route to the peer decides. */
static fate_t name_the_interface(const void *peer, long allocations) {
    sock_t *socket = new_udp(NULL);
    anjay_net_error_t error;
    char name[ANJAY_NET_IF_NAMESIZE];
    long refused;
    CHECK_OK(V(socket)->bind(socket, (const char *) peer, "0"));
    CHECK_OK(V(socket)->connect(socket, (const char *) peer, "9"));
    heap_refuse_after(allocations);
    error = V(socket)->get_interface_name(socket, name);
    refused = heap_refuse_nothing();
    CHECK(error.code == 0 || refused > 0);
    CHECK_OK(V(socket)->get_interface_name(socket, name));
    CHECK_STR("lo", name);
    return error.code ? SAID : refused ? DONE : ENOUGH;
}

TEST(interfaces_survive) {
    static const char *const SHARED[] = { "192.0.2.7", "2001:db8::7" };
    scenes_enter_network();
    run("ip link add eth0 type veth peer name eth1");
    run("ip link set eth0 up && ip link set eth1 up");
    with_less_and_less_refused("receive, tied", receive_on_a_tied_socket, NULL);
    for (size_t i = 0; i < LEN(SHARED); ++i) {
        run("ip addr add %s dev lo nodad", SHARED[i]);
        run("ip addr add %s dev eth0 nodad", SHARED[i]);
        with_less_and_less_refused("get_interface_name", name_the_interface, SHARED[i]);
    }
}

/* ------------------------------------------------- calls that must end --- */

typedef struct {
    const char *what;
    int type;
    sock_t *(*open)(int type, peer_t *peer);
    anjay_net_error_t (*call)(sock_t *socket);
} wait_kind_t;

static sock_t *open_connected(int type, peer_t *peer) {
    return connected_pair(type, peer);
}

static sock_t *open_bound(int type, peer_t *peer) {
    config_t config = reuse_config();
    sock_t *socket = new_socket(type, &config);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    *peer = peer_udp(AF_INET);
    return socket;
}

static anjay_net_error_t receive(sock_t *socket) {
    char byte;
    size_t length;
    return V(socket)->receive(socket, &length, &byte, 1);
}

static anjay_net_error_t receive_from(sock_t *socket) {
    char byte;
    char host[64];
    char port[8];
    size_t length;
    return V(socket)->receive_from(socket, &length, &byte, 1, host,
                                   sizeof(host), port, sizeof(port));
}

static anjay_net_error_t send_until_stuck(sock_t *socket) {
    static char bytes[1024 * 1024];
    anjay_net_error_t error;
    do {
        error = V(socket)->send(socket, bytes, sizeof(bytes));
    } while (error.code == 0);
    return error;
}

static sock_t *accepted;

static anjay_net_error_t accept_one(sock_t *socket) {
    return V(socket)->accept(socket, accepted);
}


static const wait_kind_t WAITS[] = {
    { "receive, UDP", UDP, open_connected, receive },
    { "receive_from, UDP", UDP, open_connected, receive_from },
    { "receive, UDP, bound", UDP, open_bound, receive },
    { "receive_from, UDP, bound", UDP, open_bound, receive_from },
    { "receive, TCP", TCP, open_connected, receive },
    { "send, TCP", TCP, open_connected, send_until_stuck },
    { "accept, TCP", TCP, open_bound, accept_one },
    { "accept, UDP", UDP, open_bound, accept_one },
};

typedef struct {
    const wait_kind_t *kind;
    sock_t *socket;
    long allocations; /* of the waiting thread */
    long refused;
    anjay_net_error_t error;
} waiting_t;

static void wait_in_thread(void *arg) {
    waiting_t *waiting = (waiting_t *) arg;
    heap_refuse_after(waiting->allocations);
    waiting->error = waiting->kind->call(waiting->socket);
    waiting->refused = heap_refuse_nothing();
}

/* Whether it waits in the kernel, or has said that it can't. */
static bool comes_to_wait(worker_t *worker) {
    int sightings = 0;
    while (sightings < 20 && !worker_finished(worker)) {
        char path[64];
        char line[64] = "";
        FILE *file;
        snprintf(path, sizeof(path), "/proc/self/task/%d/syscall",
                 (int) worker->tid);
        file = fopen(path, "r");
        if (file) {
            sightings = fgets(line, sizeof(line), file) && line[0] >= '0'
                                        && line[0] <= '9'
                                ? sightings + 1
                                : 0;
            fclose(file);
        }
        poll(NULL, 0, 1);
    }
    return !worker_finished(worker);
}

/* `waiter` and `closer` are the blocks that the two threads get. */
static fate_t close_a_wait(const wait_kind_t *kind, long waiter, long closer) {
    config_t config = reuse_config();
    waiting_t waiting;
    worker_t worker;
    peer_t peer;
    long refused = 0;
    int64_t start;
    memset(&waiting, 0, sizeof(waiting));
    waiting.kind = kind;
    waiting.allocations = waiter;
    waiting.socket = kind->open(kind->type, &peer);
    accepted = new_socket(kind->type, &config);
    set_timeout_us(waiting.socket, MS(15000));
    worker_start(&worker, wait_in_thread, &waiting);
    if (comes_to_wait(&worker)) {
        start = now_us();
        heap_refuse_after(closer);
        CHECK_OK(V(waiting.socket)->close(waiting.socket));
        refused = heap_refuse_nothing();
        worker_join(&worker);
        CHECK_WAITED(start, 0, PROMPT);
        CHECK_ERR(EBADF, waiting.error);
    } else {
        worker_join(&worker);
        CHECK_ERR(ENOMEM, waiting.error);
        CHECK(waiting.refused > 0);
        CHECK_OK(V(waiting.socket)->close(waiting.socket));
    }
    dispose(&accepted);
    dispose(&waiting.socket);
    peer_close(&peer);
    if (waiting.error.code == ANJAY_NET_ERRNO_ENOMEM) {
        return SAID;
    }
    return refused + waiting.refused ? DONE : ENOUGH;
}

static fate_t close_short_of_memory(const void *kind, long allocations) {
    return close_a_wait((const wait_kind_t *) kind, 1000000, allocations);
}

static fate_t wait_short_of_memory(const void *kind, long allocations) {
    return close_a_wait((const wait_kind_t *) kind, allocations, 1000000);
}

TEST_EACH(close_ends_calls_without_any_memory, WAITS) {
    with_less_and_less_refused(it->what, close_short_of_memory, it);
}

TEST_EACH(calls_that_wait_without_any_memory_are_ended_by_close, WAITS) {
    with_less_and_less_refused(it->what, wait_short_of_memory, it);
}

/* ------------------------------------------------ calls that meet --- */

/* Goes on when that thread waits for the lock of the call that is here. */
static worker_t *meeting;
static int may_meet;

int getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    worker_t *worker = meeting;
    meeting = NULL;
    if (worker) {
        __atomic_store_n(&may_meet, 1, __ATOMIC_SEQ_CST);
        CHECK(comes_to_wait(worker));
    }
    return (int) syscall(SYS_getsockopt, fd, level, name, value, size);
}

static void ask_for_the_state(void *arg) {
    sock_t *socket = (sock_t *) arg;
    while (!__atomic_load_n(&may_meet, __ATOMIC_SEQ_CST)) {
        sched_yield();
    }
    CHECK_STATE(CONNECTED, socket);
}

static fate_t meet_short_of_memory(const void *unused, long allocations) {
    anjay_net_socket_stats_t stats;
    worker_t worker;
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    long refused;
    (void) unused;
    stats.size = sizeof(stats);
    worker_start(&worker, ask_for_the_state, socket);
    heap_mine();
    heap_refuse_others_after(allocations);
    meeting = &worker;
    CHECK_INT(0, anjay_net_socket_get_stats(socket, &stats));
    worker_join(&worker);
    refused = heap_refuse_others_nothing();
    dispose(&socket);
    peer_close(&peer);
    return refused ? DONE : ENOUGH;
}

TEST(calls_that_wait_for_another_need_no_memory) {
    with_less_and_less_refused("calls that meet", meet_short_of_memory, NULL);
}
