/*
 * What else can happen to a process: it forks, its standard descriptors are
 * closed, ports run out, the time of day jumps.
 */

#include "sandbox.h"
#include "scenes.h"
#include "waits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

/* Runs `body` in a child process, which must end well. */
static void in_a_child(void (*body)(void *), void *arg) {
    int status;
    pid_t child = (pid_t) SYS(fork());
    if (child == 0) {
        alarm(20);
        body(arg);
        _exit(0);
    }
    SYS(waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_INT(0, WEXITSTATUS(status));
}

/* ---------------------------------------------------------------- fork --- */

typedef struct {
    sock_t *sockets[5];
    peer_t peers[2];
} family_t;

enum { CONNECTED_UDP, CONNECTED_TCP, BOUND_UDP, LISTENING_TCP, CLOSED_UDP };

static void check_goes_on(family_t *family) {
    peer_t client;
    sock_t *accepted = new_tcp(NULL);
    check_works(family->sockets[CONNECTED_UDP], &family->peers[0]);
    check_works(family->sockets[CONNECTED_TCP], &family->peers[1]);
    SYS(send(family->peers[1].fd, "answer", 6, 0));
    expect_text(family->sockets[CONNECTED_TCP], "answer");
    peer_send_to(&family->peers[0], local_port(family->sockets[BOUND_UDP]),
                 "hello", 5);
    expect_text(family->sockets[BOUND_UDP], "hello");
    client = peer_connect(AF_INET, SOCK_STREAM,
                          local_port(family->sockets[LISTENING_TCP]));
    CHECK_OK(V(family->sockets[LISTENING_TCP])
                     ->accept(family->sockets[LISTENING_TCP], accepted));
    peer_close(&client);
    dispose(&accepted);
}

static void use_and_end_all(void *arg) {
    family_t *family = (family_t *) arg;
    size_t i;
    check_goes_on(family);
    for (i = 0; i < LEN(family->sockets); ++i) {
        sock_t *socket = family->sockets[i];
        if (i % 2) {
            CHECK_OK(V(socket)->close(socket));
            CHECK_STATE(CLOSED, socket);
        }
        dispose(&family->sockets[i]);
    }
    /* And has sockets of its own. */
    family->sockets[0] = connected_pair(ANJAY_NET_SOCKET_TYPE_TCP,
                                        &family->peers[0]);
    check_works(family->sockets[0], &family->peers[0]);
    dispose(&family->sockets[0]);
}

static family_t open_family(void) {
    family_t family;
    family.sockets[CONNECTED_UDP] =
            connected_pair(ANJAY_NET_SOCKET_TYPE_UDP, &family.peers[0]);
    family.sockets[CONNECTED_TCP] =
            connected_pair(ANJAY_NET_SOCKET_TYPE_TCP, &family.peers[1]);
    family.sockets[BOUND_UDP] = bound_udp("127.0.0.1", NULL);
    family.sockets[LISTENING_TCP] = listening_tcp("127.0.0.1", NULL);
    family.sockets[CLOSED_UDP] = new_udp(NULL);
    return family;
}

static void dispose_family(family_t *family) {
    size_t i;
    for (i = 0; i < LEN(family->sockets); ++i) {
        dispose(&family->sockets[i]);
    }
    peer_close(&family->peers[0]);
    peer_close(&family->peers[1]);
}

TEST(child_ends_its_copies_and_the_parent_goes_on) {
    family_t family = open_family();
    in_a_child(use_and_end_all, &family);
    check_goes_on(&family);
    dispose_family(&family);
}

static void shut_down_nothing(void *arg) {
    (void) arg;
}

/* What every child does that is about to run another program. */
TEST(child_that_just_ends_disturbs_nothing) {
    family_t family = open_family();
    in_a_child(shut_down_nothing, NULL);
    check_goes_on(&family);
    dispose_family(&family);
}

static void receive_one(void *arg) {
    expect_text((sock_t *) arg, "at last");
}

static void use_another(void *arg) {
    peer_t peer;
    sock_t *socket = connected_pair(ANJAY_NET_SOCKET_TYPE_UDP, &peer);
    (void) arg;
    check_works(socket, &peer);
    dispose(&socket);
}

TEST(call_of_the_parent_goes_on_waiting_over_a_fork) {
    peer_t peer;
    sock_t *socket = connected_pair(ANJAY_NET_SOCKET_TYPE_TCP, &peer);
    worker_t worker;
    worker_start(&worker, receive_one, socket);
    worker_wait_blocked(&worker);
    in_a_child(use_another, NULL);
    CHECK(!worker_finished(&worker));
    SYS(send(peer.fd, "at last", 7, 0));
    worker_join(&worker);
    dispose(&socket);
    peer_close(&peer);
}

static void look_up(void *arg) {
    config_t config = ipv4_config();
    sock_t *socket = new_udp(&config);
    int64_t start = now_us();
    (void) arg;
    CHECK_OK(V(socket)->connect(socket, "server.test", "9"));
    CHECK_WAITED(start, 0, PROMPT);
    dispose(&socket);
}

/* As after daemon(3): the threads that look names up are not in the child. */
TEST(child_looks_names_up_although_the_threads_are_the_parents) {
    int round;
    scenes_enter_network();
    for (round = 0; round < 3; ++round) {
        look_up(NULL);
        in_a_child(look_up, NULL);
    }
    look_up(NULL);
}

static void look_up_in_vain(void *arg) {
    attempt_t *attempt = (attempt_t *) arg;
    wait_begin(attempt);
}

static void fork_during(attempt_t *attempt) {
    worker_t worker;
    worker_start(&worker, look_up_in_vain, attempt);
    worker_wait_blocked(&worker);
    in_a_child(use_another, NULL);
    worker_join(&worker);
}

TEST(lookup_of_the_parent_ends_in_time_over_a_fork) {
    int dns = waits_enter_network();
    size_t i;
    waits_last(MS(500));
    for (i = 0; i < WAIT_COUNT; ++i) {
        if (WAITS[i].place == WITHOUT_DNS) {
            attempt_t attempt;
            wait_for_nothing(&WAITS[i], fork_during, &attempt);
            wait_check(&attempt);
        }
    }
    SYS(close(dns));
}

/* The second caller's time begins late, and the resolver gives up (after 1 s)
   before it is over. */
TEST(lookup_that_was_joined_late_still_says_that_time_was_up) {
    int dns = waits_enter_network();
    sock_t *socket = new_udp(NULL);
    waits_last(MS(600));
    CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "nobody.test", "9"));
    CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "nobody.test", "9"));
    dispose(&socket);
    SYS(close(dns));
}

/* ------------------------------------------------- descriptors 0, 1, 2 --- */

/* Takes the numbers, so that nothing that the test opens gets them. */
static void take_standard_descriptors(void) {
    int fd;
    for (fd = 0; fd <= 2; ++fd) {
        SYS(dup2((int) SYS(open("/dev/null", O_RDWR)), fd));
    }
}

/* What fails is told by the status: there is nowhere to write to. */
static void play_without_standard_descriptors(void *arg) {
    int uses = 0;
    size_t i;
    (void) arg;
    for (i = 0; i < SCENE_COUNT; ++i) {
        const scene_kind_t *kind = &SCENES[i];
        scene_t scene;
        sock_t *subject;
        /* It waits for what nobody here would do. */
        if (strstr(kind->name, ", waiting")) {
            continue;
        }
        take_standard_descriptors();
        scene_begin(&scene, kind);
        close(0);
        close(1);
        close(2);
        if (kind->act(&scene).code != 0) {
            _exit(10 + (int) i);
        }
        subject = scene_subject(&scene);
        if (scene_state(&scene) != kind->after) {
            _exit(100 + (int) i);
        }
        uses += subject && descriptor_of(subject) >= 0
                && descriptor_of(subject) <= 2;
        kind->strike(&scene);
    }
    if (uses < 10) {
        _exit(9);
    }
}

TEST(no_method_minds_that_standard_descriptors_are_closed) {
    scenes_enter_network();
    in_a_child(play_without_standard_descriptors, NULL);
}

/* --------------------------------------------------------------- ports --- */

/* How many ports there are, for connections to one address. */
enum { PORTS = 6 };

static void be_short_of_ports(void) {
    static const char RANGE[] = "45000 45005";
    int fd;
    sandbox_enter("127.0.0.1 localhost\n", NULL);
    fd = (int) SYS(open("/proc/sys/net/ipv4/ip_local_port_range",
                        O_WRONLY | O_CLOEXEC));
    SYS(write(fd, RANGE, sizeof(RANGE) - 1));
    SYS(close(fd));
}

typedef anjay_net_error_t (*taker_t)(sock_t *socket, const char *port);

static anjay_net_error_t take_by_bind(sock_t *socket, const char *port) {
    (void) port;
    return V(socket)->bind(socket, "127.0.0.1", NULL);
}

static anjay_net_error_t take_by_connect(sock_t *socket, const char *port) {
    return V(socket)->connect(socket, "127.0.0.1", port);
}

/* What the kernel says, tried without the library. */
static int errno_of(int type, bool by_connect, const char *port) {
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, "127.0.0.1",
                                  by_connect ? atoi(port) : 0);
    int fd = (int) SYS(socket(AF_INET, type, 0));
    int result = by_connect ? connect(fd, (struct sockaddr *) &address, size)
                            : bind(fd, (struct sockaddr *) &address, size);
    int error = errno;
    CHECK_INT(-1, result);
    SYS(close(fd));
    return error;
}

static unsigned code_of(int error) {
    return error == EADDRINUSE      ? ANJAY_NET_ERRNO_EADDRINUSE
           : error == EADDRNOTAVAIL ? ANJAY_NET_ERRNO_EADDRNOTAVAIL
                                    : ANJAY_NET_ERRNO_EAGAIN;
}

static void use_all_ports(int type, taker_t take, bool by_connect) {
    bool is_tcp = type == ANJAY_NET_SOCKET_TYPE_TCP;
    int raw_type = is_tcp ? SOCK_STREAM : SOCK_DGRAM;
    sock_t *sockets[PORTS + 1];
    peer_t listener;
    int taken = 0;
    int before;
    int attempt;
    unsigned expected;
    memset(&listener, 0, sizeof(listener));
    listener.fd = (int) SYS(socket(AF_INET, raw_type | SOCK_CLOEXEC, 0));
    {
        struct sockaddr_storage address;
        socklen_t size = make_address(&address, "127.0.0.1", 5683);
        SYS(bind(listener.fd, (struct sockaddr *) &address, size));
        strcpy(listener.port, "5683");
    }
    if (is_tcp) {
        SYS(listen(listener.fd, 16));
    }
    for (;;) {
        anjay_net_error_t error;
        CHECK(taken <= PORTS);
        sockets[taken] = new_socket(type, NULL);
        error = take(sockets[taken], listener.port);
        if (error.code != 0) {
            break;
        }
        ++taken;
    }
    CHECK(taken >= PORTS / 2); /* TCP keeps odd ones for later */
    expected = code_of(errno_of(raw_type, by_connect, listener.port));
    before = count_descriptors();
    for (attempt = 0; attempt < 10; ++attempt) {
        CHECK_STR(code_name(expected),
                  code_name(take(sockets[taken], listener.port).code));
        CHECK_STATE(CLOSED, sockets[taken]);
        CHECK_INT(before, count_descriptors());
    }
    /* One is given back without a time of waiting, and is taken at once. */
    if (is_tcp && by_connect) {
        struct linger linger;
        linger.l_onoff = 1;
        linger.l_linger = 0;
        SYS(setsockopt(descriptor_of(sockets[0]), SOL_SOCKET, SO_LINGER, &linger,
                       sizeof(linger)));
    }
    CHECK_OK(V(sockets[0])->close(sockets[0]));
    CHECK_OK(take(sockets[taken], listener.port));
    for (; taken >= 0; --taken) {
        dispose(&sockets[taken]);
    }
    peer_close(&listener);
}

TEST(ports_that_run_out_are_an_error_until_one_is_given_back) {
    size_t type;
    be_short_of_ports();
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        use_all_ports(BOTH_TYPES[type], take_by_bind, false);
        use_all_ports(BOTH_TYPES[type], take_by_connect, true);
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
        long jump = __atomic_add_fetch(&asked_for_the_time_of_day, 1,
                                       __ATOMIC_SEQ_CST);
        now->tv_sec += (jump % 2 ? 1 : -1) * 300000000L;
    } else if (clock == CLOCK_MONOTONIC) {
        __atomic_add_fetch(&asked_for_monotonic_time, 1, __ATOMIC_SEQ_CST);
    }
    return (int) result;
}

static void run_here(attempt_t *attempt) {
    wait_begin(attempt);
}

TEST(time_of_day_that_jumps_moves_no_deadline) {
    int dns = waits_enter_network();
    long before = asked_for_monotonic_time;
    size_t i;
    waits_last(MS(200));
    clock_jumps = 1;
    for (i = 0; i < WAIT_COUNT; ++i) {
        attempt_t attempt;
        wait_for_nothing(&WAITS[i], run_here, &attempt);
        wait_check(&attempt);
    }
    /* The library did ask this clock, besides the two looks of the test. */
    CHECK(asked_for_monotonic_time - before > 3 * (long) WAIT_COUNT);
    CHECK_INT(0, asked_for_the_time_of_day);
    SYS(close(dns));
}
