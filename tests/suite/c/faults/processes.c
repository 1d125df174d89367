/*
 * What else can happen to a process: it forks, its standard descriptors are
 * closed, ports run out, the time of day jumps.
 */

#include "support/scenes.h"
#include "support/waits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Runs `body` in a child process, which must end well. */
static void in_a_child(void (*body)(void)) {
    int status;
    pid_t child = (pid_t) SYS(fork());
    if (child == 0) {
        alarm(20);
        body();
        _exit(0);
    }
    SYS(waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_INT(0, WEXITSTATUS(status));
}

/* ---------------------------------------------------------------- fork --- */

enum { CONNECTED_UDP, CONNECTED_TCP, BOUND_UDP, LISTENING_TCP, CLOSED_UDP, FAMILY };

static sock_t *family[FAMILY];
static peer_t peers[2];

static void check_goes_on(void) {
    sock_t *accepted = new_tcp(NULL);
    check_works(family[CONNECTED_UDP], &peers[0]);
    check_exchange(family[CONNECTED_TCP], &peers[1]);
    peer_say(&peers[0], family[BOUND_UDP], "hello");
    expect_text(family[BOUND_UDP], "hello");
    peer_t client = peer_connected_to(family[LISTENING_TCP], TCP, AF_INET);
    CHECK_OK(V(family[LISTENING_TCP])->accept(family[LISTENING_TCP], accepted));
    peer_close(&client);
    dispose(&accepted);
}

static void use_and_end_all(void) {
    check_goes_on();
    for (int i = 0; i < FAMILY; ++i) {
        if (i % 2) {
            CHECK_OK(V(family[i])->close(family[i]));
            CHECK_STATE(CLOSED, family[i]);
        }
        dispose(&family[i]);
    }
    /* And has sockets of its own. */
    family[0] = connected_pair(TCP, &peers[0]);
    check_works(family[0], &peers[0]);
    dispose(&family[0]);
}

static void check_survives(void (*child)(void)) {
    family[CONNECTED_UDP] = connected_pair(UDP, &peers[0]);
    family[CONNECTED_TCP] = connected_pair(TCP, &peers[1]);
    family[BOUND_UDP] = bound_udp("127.0.0.1", NULL);
    family[LISTENING_TCP] = listening_tcp("127.0.0.1", NULL);
    family[CLOSED_UDP] = new_udp(NULL);
    in_a_child(child);
    check_goes_on();
}

TEST(child_ends_its_copies_and_the_parent_goes_on) {
    check_survives(use_and_end_all);
}

static void do_nothing(void) {}

/* What every child does that is about to run another program. */
TEST(child_that_just_ends_disturbs_nothing) {
    check_survives(do_nothing);
}

static void use_another(void) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    check_works(socket, &peer);
    dispose(&socket);
}

TEST(call_of_the_parent_goes_on_waiting_over_a_fork) {
    peer_t peer;
    call_t call = call_on(connected_pair(TCP, &peer), do_receive);
    call_start_waiting(&call);
    in_a_child(use_another);
    CHECK(!worker_finished(&call.worker));
    peer_say(&peer, call.socket, "at last");
    worker_join(&call.worker);
    CHECK_OK(call.error);
    CHECK_INT(7, call.length);
    CHECK_BYTES("at last", call.buffer, 7);
}

static sock_t *inherited;

static void clean_up_inherited(void) {
    int64_t start = now_us();
    CHECK_OK(V(inherited)->cleanup(&inherited));
    CHECK_WAITED(start, 0, PROMPT);
    CHECK(!inherited);
}

static void close_inherited(void) {
    int64_t start = now_us();
    CHECK_OK(V(inherited)->close(inherited));
    CHECK_WAITED(start, 0, PROMPT);
    CHECK_STATE(CLOSED, inherited);
}

static void close_without_a_free_descriptor(void) {
    struct rlimit none = { 0, 0 };
    SYS(setrlimit(RLIMIT_NOFILE, &none));
    close_inherited();
}

/* As daemon(3) is used, by a program that keeps its sockets to itself. */
TEST_EACH_TYPE(child_ends_a_socket_that_a_thread_of_the_parent_is_in) {
    void (*const ends[])(void) = {
        clean_up_inherited, close_inherited, close_without_a_free_descriptor
    };
    for (size_t i = 0; i < LEN(ends); ++i) {
        peer_t peer;
        call_t call = call_on(connected_pair(type, &peer), do_receive);
        inherited = call.socket;
        call_start_waiting(&call);
        in_a_child(ends[i]);
        CHECK(!worker_finished(&call.worker));
        peer_say(&peer, call.socket, "at last");
        worker_join(&call.worker);
        CHECK_OK(call.error);
        CHECK_BYTES("at last", call.buffer, 7);
        check_works(call.socket, &peer);
    }
}

static void look_up(void) {
    config_t config = ipv4_config();
    sock_t *socket = new_udp(&config);
    int64_t start = now_us();
    CHECK_OK(V(socket)->connect(socket, "server.test", "9"));
    CHECK_WAITED(start, 0, PROMPT);
    dispose(&socket);
}

/* As after daemon(3): the threads that look names up are not in the child. */
TEST(child_looks_names_up_although_the_threads_are_the_parents) {
    scenes_enter_network();
    for (int round = 0; round < 3; ++round) {
        look_up();
        in_a_child(look_up);
    }
    look_up();
}

static void fork_during(call_t *call) {
    call_start_waiting(call);
    in_a_child(use_another);
    worker_join(&call->worker);
}

TEST(lookup_of_the_parent_ends_in_time_over_a_fork) {
    waits_enter_network();
    waits_last(MS(500));
    for (size_t i = 0; i < WAIT_COUNT; ++i) {
        if (WAITS[i].place == WITHOUT_DNS) {
            check_wait(&WAITS[i], fork_during);
        }
    }
}

/* The second caller's time begins late, and the resolver gives up (after 1 s)
   before it is over. */
TEST(lookup_that_was_joined_late_still_says_that_time_was_up) {
    waits_enter_network();
    waits_last(MS(600));
    sock_t *socket = new_udp(NULL);
    CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "nobody.test", "9"));
    CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "nobody.test", "9"));
}

/* ------------------------------------------------- descriptors 0, 1, 2 --- */

/* Takes the numbers, so that nothing that the test opens gets them. */
static void take_standard_descriptors(void) {
    for (int fd = 0; fd <= 2; ++fd) {
        SYS(dup2((int) SYS(open("/dev/null", O_RDWR)), fd));
    }
}

typedef enum { USES_NONE, USES_ONE, CALL_FAILED, STATE_IS_WRONG } outcome_t;

/* There is nowhere to write what fails to. */
static outcome_t play_without_standard_descriptors(const scene_kind_t *kind) {
    scene_t scene;
    take_standard_descriptors();
    scene_begin(&scene, kind);
    for (int fd = 0; fd <= 2; ++fd) {
        close(fd);
    }
    if (kind->act(&scene).code != 0) {
        return CALL_FAILED;
    }
    sock_t *subject = scene_subject(&scene);
    if (scene_state(&scene) != kind->after) {
        return STATE_IS_WRONG;
    }
    outcome_t outcome = subject && descriptor_of(subject) >= 0 && descriptor_of(subject) <= 2
            ? USES_ONE : USES_NONE;
    scene_end(&scene);
    return outcome;
}

/* In a process each: a thread that looks a name up may open one of these as well, after
   the call is over. */
TEST(no_method_minds_that_standard_descriptors_are_closed) {
    int uses = 0;
    scenes_enter_network();
    for (size_t i = 0; i < SCENE_COUNT; ++i) {
        const scene_kind_t *kind = &SCENES[i];
        /* It waits for what nobody here would do. */
        if (strstr(kind->name, ", waiting")) {
            continue;
        }
        int status;
        pid_t child = (pid_t) SYS(fork());
        if (child == 0) {
            alarm(20);
            _exit(play_without_standard_descriptors(kind));
        }
        SYS(waitpid(child, &status, 0));
        if (!WIFEXITED(status) || WEXITSTATUS(status) > USES_ONE) {
            FAIL("%s: status %#x", kind->name, (unsigned) status);
        }
        uses += WEXITSTATUS(status) == USES_ONE;
    }
    CHECK(uses >= 10);
}

/* --------------------------------------------------------------- ports --- */

/* How many ports there are, for connections to one address. */
enum { PORTS = 6 };

static void be_short_of_ports(void) {
    static const char RANGE[] = "45000 45005";
    sandbox_enter("127.0.0.1 localhost\n", NULL);
    int fd = held((int) SYS(open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC)));
    SYS(write(fd, RANGE, sizeof(RANGE) - 1));
}

/* Takes a port by connect(2) or bind(2). */
static anjay_net_error_t take_port(sock_t *socket, bool by_connect) {
    return by_connect ? V(socket)->connect(socket, "127.0.0.1", "5683")
                      : V(socket)->bind(socket, "127.0.0.1", NULL);
}

/* What the kernel says of a bind, tried without the library. */
static int errno_of(int type) {
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, "127.0.0.1", 0);
    int fd = held((int) SYS(socket(AF_INET, type, 0)));
    CHECK_INT(-1, bind(fd, (struct sockaddr *) &address, size));
    return errno;
}

static void use_all_ports(int type, bool by_connect) {
    size_t mark = defer_mark();
    sock_t *sockets[PORTS + 1];
    int taken = 0;
    peer_bound_to(raw_type(type), "127.0.0.1", 5683);
    for (;; ++taken) {
        CHECK(taken <= PORTS);
        sockets[taken] = new_socket(type, NULL);
        if (take_port(sockets[taken], by_connect).code != 0) {
            break;
        }
    }
    CHECK(taken >= PORTS / 2); /* TCP keeps odd ones for later */
    /* It passes; the kernel's EADDRNOTAVAIL would mean an unknown name. */
    unsigned expected = by_connect ? ANJAY_NET_ERRNO_ETIMEDOUT : code_of(errno_of(raw_type(type)));
    int before = count_descriptors();
    for (int attempt = 0; attempt < 10; ++attempt) {
        check_code(HERE "once more", expected, take_port(sockets[taken], by_connect));
        CHECK_STATE(CLOSED, sockets[taken]);
        CHECK_INT(before, count_descriptors());
    }
    /* One is given back without a time of waiting, and is taken at once. */
    if (type == TCP && by_connect) {
        struct linger linger = { 1, 0 };
        SYS(setsockopt(descriptor_of(sockets[0]), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
    }
    CHECK_OK(V(sockets[0])->close(sockets[0]));
    CHECK_OK(take_port(sockets[taken], by_connect));
    run_deferred(mark);
}

TEST(ports_that_run_out_are_an_error_until_one_is_given_back) {
    be_short_of_ports();
    for (int i = 0; i < 4; ++i) {
        use_all_ports(i / 2 ? UDP : TCP, i % 2);
    }
}

/* --------------------------------------------------------------- clock --- */

static volatile int clock_jumps;
static volatile long asked_for_the_time_of_day;
static volatile long asked_for_monotonic_time;

/* The library's clock_gettime(2), instead of the C library's. The time of day
   jumps by years, back and forth, each time somebody looks. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME && clock_jumps) {
        long jump = __atomic_add_fetch(&asked_for_the_time_of_day, 1, __ATOMIC_SEQ_CST);
        now->tv_sec += (jump % 2 ? 1 : -1) * 300000000L;
    } else if (clock == CLOCK_MONOTONIC) {
        __atomic_add_fetch(&asked_for_monotonic_time, 1, __ATOMIC_SEQ_CST);
    }
    return (int) result;
}

TEST(time_of_day_that_jumps_moves_no_deadline) {
    waits_enter_network();
    long before = asked_for_monotonic_time;
    waits_last(MS(200));
    clock_jumps = 1;
    for (size_t i = 0; i < WAIT_COUNT; ++i) {
        check_wait(&WAITS[i], call_run);
    }
    /* The library did ask this clock, besides the two looks of the test. */
    CHECK(asked_for_monotonic_time - before > 3 * (long) WAIT_COUNT);
    CHECK_INT(0, asked_for_the_time_of_day);
}
