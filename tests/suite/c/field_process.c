/*
 * The process around the sockets: signals that the program waits for, threads
 * that are cancelled, filters of system calls, sockets behind wrappers.
 */

#include "dns.h"
#include "fixture.h"
#include "netns.h"
#include "settings.h"

#include "anjay_net.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static const dns_record_t SILENCE[] = { { NULL, DNS_ANY_TYPE, NULL, DNS_NOERROR,
                                          DNS_SILENT } };

/* How long each wait lasts, in milliseconds. */
enum { PATIENCE = 400 };

static void set_patience(void) {
    anjay_net_settings_t settings = settings_in_force();
    settings.resolve_timeout_ms = PATIENCE;
    settings.connect_timeout_ms = PATIENCE;
    settings.send_timeout_ms = PATIENCE;
    settings.accept_timeout_ms = PATIENCE;
    /* Each lookup here hangs for longer than its caller waits. */
    settings.max_lookups = 64;
    configure(&settings);
}

/* A name server that keeps the system resolver waiting for longer. */
static dns_t *enter_without_answers(void) {
    sandbox_enter("127.0.0.1 localhost\n",
                  "nameserver 127.0.0.53\noptions timeout:2 attempts:1\n");
    set_patience();
    return dns_start("127.0.0.53", SILENCE, LEN(SILENCE));
}

/* ------------------------------------------------------------- signals --- */

/* Helper threads of lookups are still at work when this returns. */
static void leave_a_lookup_behind(void) {
    sock_t *socket = new_udp(NULL);
    CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "server.test", "5683"));
    dispose(&socket);
}

static const int SIGNALS[] = { SIGTERM, SIGHUP, SIGUSR2, SIGINT };

/* Threads of the test that start now don't take them either. */
static dns_t *enter_with_signals_blocked(sigset_t *set) {
    dns_t *dns;
    size_t i;
    sigemptyset(set);
    for (i = 0; i < LEN(SIGNALS); ++i) {
        sigaddset(set, SIGNALS[i]);
    }
    pthread_sigmask(SIG_BLOCK, set, NULL);
    dns = enter_without_answers();
    /* As a program does that has not yet made up its mind. */
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
    leave_a_lookup_behind();
    pthread_sigmask(SIG_BLOCK, set, NULL);
    return dns;
}

SLOW_TEST(signal_that_the_program_waits_for_is_left_to_it) {
    sigset_t set;
    enter_with_signals_blocked(&set);
    struct timespec patience = { 5, 0 };
    size_t i;
    for (i = 0; i < LEN(SIGNALS); ++i) {
        SYS(kill(getpid(), SIGNALS[i]));
        CHECK_INT(SIGNALS[i], SYS(sigtimedwait(&set, NULL, &patience)));
    }
}

SLOW_TEST(signal_that_the_program_reads_is_left_to_it) {
    sigset_t set;
    enter_with_signals_blocked(&set);
    int fd = (int) SYS(signalfd(-1, &set, SFD_CLOEXEC));
    size_t i;
    for (i = 0; i < LEN(SIGNALS); ++i) {
        struct signalfd_siginfo info;
        SYS(kill(getpid(), SIGNALS[i]));
        CHECK(wait_for(fd, POLLIN, 5000));
        CHECK_INT(sizeof(info), SYS(read(fd, &info, sizeof(info))));
        CHECK_INT(SIGNALS[i], info.ssi_signo);
    }
    SYS(close(fd));
}

/* All that may be blocked: not those that the C library keeps for itself, and
   not those about what the thread itself does wrong. */
static bool may_be_blocked(int number) {
    switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGILL:
    case SIGTRAP:
    case SIGBUS:
    case SIGFPE:
    case SIGSEGV:
    case SIGSYS:
        return false;
    default:
        return number < 32 || number >= SIGRTMIN;
    }
}

static void check_blocks_all(const char *thread) {
    char path[64];
    char line[128];
    unsigned long long mask = 0;
    FILE *file;
    int number;
    snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", thread);
    file = fopen(path, "r");
    if (!file) {
        return; /* it has ended */
    }
    while (fgets(line, sizeof(line), file)) {
        sscanf(line, "SigBlk: %llx", &mask);
    }
    fclose(file);
    for (number = 1; number <= 64; ++number) {
        if (may_be_blocked(number) && !(mask >> (number - 1) & 1)) {
            FAIL("thread %s does not block signal %d", thread, number);
        }
    }
}

/* Threads that the test has not made; gives how many. */
static int check_helpers_block_all(const pid_t *own, size_t count) {
    DIR *directory = opendir("/proc/self/task");
    struct dirent *entry;
    int helpers = 0;
    CHECK(directory != NULL);
    while ((entry = readdir(directory))) {
        bool is_own = entry->d_name[0] == '.';
        size_t i;
        for (i = 0; i < count; ++i) {
            is_own |= atoi(entry->d_name) == own[i];
        }
        if (!is_own) {
            check_blocks_all(entry->d_name);
            ++helpers;
        }
    }
    closedir(directory);
    return helpers;
}

SLOW_TEST(helper_threads_block_every_signal) {
    char path[] = "/tmp/anjay-net-test-XXXXXX";
    pid_t own[2];
    enter_without_answers();
    DIR *directory = opendir("/proc/self/task");
    struct dirent *entry;
    size_t count = 0;
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] != '.') {
            CHECK(count < LEN(own));
            own[count++] = (pid_t) atoi(entry->d_name);
        }
    }
    closedir(directory);
    leave_a_lookup_behind();
    CHECK(check_helpers_block_all(own, count) >= 1);
    SYS(close((int) SYS(mkstemp(path))));
    CHECK_INT(0, anjay_net_capture_start(path, NULL));
    CHECK(check_helpers_block_all(own, count) >= 1);
    CHECK_INT(0, anjay_net_capture_stop());
    SYS(unlink(path));
}

/* What a thread of the program blocks is its own business: calls leave its mask
   as it is. */
SLOW_TEST(calls_leave_the_callers_mask_alone) {
    sigset_t before;
    sigset_t after;
    int number;
    enter_without_answers();
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    leave_a_lookup_behind();
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (number = 1; number < SIGRTMIN; ++number) {
        CHECK_INT(sigismember(&before, number), sigismember(&after, number));
    }
}

/* -------------------------------------------------------- cancellation --- */

typedef struct cancelled {
    sock_t *socket;
    sock_t *other;
    const char *port;
    anjay_net_error_t (*make)(struct cancelled *call);
    anjay_net_error_t error;
    bool returned;
    bool went_on;
} cancelled_t;

static anjay_net_error_t receive(cancelled_t *call) {
    char byte;
    size_t length;
    return V(call->socket)->receive(call->socket, &length, &byte, 1);
}

static anjay_net_error_t receive_from(cancelled_t *call) {
    char byte;
    char host[64];
    char port[8];
    size_t length;
    return V(call->socket)->receive_from(call->socket, &length, &byte, 1, host,
                                         sizeof(host), port, sizeof(port));
}

static anjay_net_error_t send_until_stuck(cancelled_t *call) {
    static char bytes[1024 * 1024];
    anjay_net_error_t error;
    do {
        error = V(call->socket)->send(call->socket, bytes, sizeof(bytes));
    } while (error.code == 0);
    return error;
}

static anjay_net_error_t accept_one(cancelled_t *call) {
    return V(call->socket)->accept(call->socket, call->other);
}

static anjay_net_error_t connect_to_silence(cancelled_t *call) {
    return V(call->socket)->connect(call->socket, "127.0.0.1", call->port);
}

/* Nobody has asked for it. */
static const char *a_name(void) {
    static char name[32];
    static int count;
    snprintf(name, sizeof(name), "nobody-%d.test", ++count);
    return name;
}

static anjay_net_error_t connect_to_a_name(cancelled_t *call) {
    return V(call->socket)->connect(call->socket, a_name(), "5683");
}

static anjay_net_error_t bind_to_a_name(cancelled_t *call) {
    return V(call->socket)->bind(call->socket, a_name(), "0");
}

static anjay_net_error_t send_to_a_name(cancelled_t *call) {
    return V(call->socket)->send_to(call->socket, "x", 1, a_name(), "5683");
}

static anjay_net_error_t list_a_name(cancelled_t *call) {
    anjay_net_error_t error = { ANJAY_NET_ERRNO_CATEGORY,
                                ANJAY_NET_ERRNO_ETIMEDOUT };
    (void) call;
    CHECK(avs_net_addrinfo_resolve_ex(UDP, ANJAY_NET_AF_UNSPEC, a_name(),
                                      "5683", 0, NULL)
          == NULL);
    return error;
}

static void make_call(void *arg) {
    cancelled_t *call = (cancelled_t *) arg;
    call->error = call->make(call);
    call->returned = true;
    pthread_testcancel();
    call->went_on = true;
}

/* The thread is cancelled while it waits: it ends after the call, which ends
   when it would have ended anyway, or earlier. */
static void check_is_cancelled(const char *what, cancelled_t *call) {
    worker_t worker;
    void *result = NULL;
    int64_t start = now_us();
    call->returned = call->went_on = false;
    worker_start(&worker, make_call, call);
    worker_wait_blocked(&worker);
    CHECK_INT(0, pthread_cancel(worker.thread));
    CHECK_INT(0, pthread_join(worker.thread, &result));
    CHECK_WAITED(start, 0, MS(PATIENCE) + PROMPT);
    if (result != PTHREAD_CANCELED || !call->returned || call->went_on) {
        FAIL("%s: returned %d, went on %d", what, call->returned,
             call->went_on);
    }
    CHECK_ERR(ETIMEDOUT, call->error);
}

static cancelled_t call_of(sock_t *socket,
                           anjay_net_error_t (*make)(cancelled_t *call)) {
    cancelled_t call;
    memset(&call, 0, sizeof(call));
    call.socket = socket;
    call.make = make;
    set_timeout_us(socket, MS(PATIENCE));
    return call;
}

static anjay_net_error_t (*const RECEIVES[])(cancelled_t *) = { receive,
                                                                receive_from };

SLOW_TEST_EACH(cancelled_receive_ends_the_thread_and_nothing_else, RECEIVES) {
    int type;
    cancelled_t call = call_of(bound_udp("127.0.0.1", NULL), *it);
    check_is_cancelled("receive, bound", &call);
    dispose(&call.socket);
    for (type = TCP; type <= UDP; ++type) {
        peer_t peer;
        call = call_of(connected_pair(type, &peer), *it);
        check_is_cancelled("receive, connected", &call);
        check_works(call.socket, &peer);
    }
}

SLOW_TEST_EACH_TYPE(cancelled_accept_ends_the_thread_and_nothing_else) {
    config_t config = reuse_config();
    set_patience();
    cancelled_t call;
    sock_t *server = new_socket(type, &config);
    CHECK_OK(V(server)->bind(server, "127.0.0.1", "0"));
    call = call_of(server, accept_one);
    call.other = new_socket(type, &config);
    check_is_cancelled("accept", &call);
    CHECK_STATE(BOUND, server);
    CHECK_STATE(CLOSED, call.other);
}

SLOW_TEST(cancelled_send_ends_the_thread_and_nothing_else) {
    peer_t peer;
    cancelled_t call;
    set_patience();
    call = call_of(connected_pair(TCP, &peer), send_until_stuck);
    check_is_cancelled("send", &call);
    CHECK_OK(V(call.socket)->close(call.socket));
}

SLOW_TEST(cancelled_connect_ends_the_thread_and_nothing_else) {
    blackhole_t hole = blackhole_open(AF_INET);
    peer_t listener = peer_listen(AF_INET);
    cancelled_t call;
    set_patience();
    call = call_of(new_tcp(NULL), connect_to_silence);
    call.port = hole.listener.port;
    check_is_cancelled("connect", &call);
    CHECK_STATE(CLOSED, call.socket);
    CHECK_OK(V(call.socket)->connect(call.socket, "127.0.0.1", listener.port));
}

SLOW_TEST(cancelled_lookup_ends_the_thread_and_nothing_else) {
    static const struct {
        const char *what;
        anjay_net_error_t (*make)(cancelled_t *);
    } LOOKUPS[] = { { "connect to a name", connect_to_a_name },
                    { "bind to a name", bind_to_a_name },
                    { "list of a name", list_a_name } };
    enter_without_answers();
    size_t i;
    int type;
    cancelled_t call;
    for (i = 0; i < LEN(LOOKUPS); ++i) {
        for (type = TCP; type <= UDP; ++type) {
            call = call_of(new_socket(type, NULL), LOOKUPS[i].make);
            check_is_cancelled(LOOKUPS[i].what, &call);
            CHECK_STATE(CLOSED, call.socket);
        }
    }
    call = call_of(bound_udp("127.0.0.1", NULL), send_to_a_name);
    check_is_cancelled("send_to a name", &call);
    CHECK_STATE(BOUND, call.socket);
}

static anjay_net_error_t send_after_cancel(cancelled_t *call) {
    pthread_cancel(pthread_self());
    return V(call->socket)->send(call->socket, "ping", 4);
}

static anjay_net_error_t receive_after_cancel(cancelled_t *call) {
    pthread_cancel(pthread_self());
    return receive(call);
}

static void run_to_its_end(cancelled_t *call) {
    worker_t worker;
    void *result = NULL;
    call->returned = call->went_on = false;
    worker_start(&worker, make_call, call);
    CHECK_INT(0, pthread_join(worker.thread, &result));
    CHECK(result == PTHREAD_CANCELED);
    CHECK(call->returned && !call->went_on);
}

/* The cancellation is there before the call: the call is made all the same. */
SLOW_TEST_EACH_TYPE(call_of_a_thread_that_is_to_end_is_made) {
    peer_t peer;
    cancelled_t call = call_of(connected_pair(type, &peer), send_after_cancel);
    run_to_its_end(&call);
    CHECK_OK(call.error);
    peer_expect(&peer, "ping");
    call.make = receive_after_cancel;
    run_to_its_end(&call);
    CHECK_ERR(ETIMEDOUT, call.error);
    check_works(call.socket, &peer);
}

/* ------------------------------------------------------- small promises --- */

TEST_EACH_TYPE(cleanup_of_nothing_succeeds) {
    sock_t *socket = new_socket(type, NULL);
    sock_t *nothing = NULL;
    CHECK_OK(V(socket)->cleanup(NULL));
    CHECK_OK(V(socket)->cleanup(&nothing));
    CHECK(nothing == NULL);
    CHECK_STATE(CLOSED, socket);
}

/* A socket around another, as (D)TLS and debug layers are. */
typedef struct {
    const anjay_net_socket_v_table_t *operations;
    sock_t *inner;
} wrapper_t;

static const void *descriptor_of_the_inner(sock_t *socket) {
    wrapper_t *wrapper = (wrapper_t *) (void *) socket;
    return V(wrapper->inner)->get_system_socket(wrapper->inner);
}

/* With 32-bit pointers there is padding behind the size, which tells nothing. */
static void check_same(const anjay_net_socket_stats_t *a,
                       const anjay_net_socket_stats_t *b) {
    CHECK_INT(a->size, b->size);
    CHECK_BYTES(&a->id, &b->id,
                sizeof(*a) - offsetof(anjay_net_socket_stats_t, id));
}

TEST_EACH_TYPE(statistics_are_found_through_wrappers) {
    anjay_net_socket_v_table_t operations;
    anjay_net_socket_stats_t direct;
    anjay_net_socket_stats_t wrapped;
    wrapper_t one;
    wrapper_t two;
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    operations = *V(socket);
    operations.get_system_socket = descriptor_of_the_inner;
    one.operations = two.operations = &operations;
    one.inner = socket;
    two.inner = (sock_t *) (void *) &one;
    send_text(socket, "ping");
    direct = stats_of(socket);
    CHECK_INT(4, direct.bytes_sent);
    wrapped = stats_of(&one);
    check_same(&direct, &wrapped);
    wrapped = stats_of(&two);
    check_same(&direct, &wrapped);
    /* Closed, it has no descriptor by which it could be found. */
    CHECK_OK(V(socket)->close(socket));
    CHECK_INT(-1, anjay_net_socket_get_stats(&one, &wrapped));
}

static int foreign_descriptor;

static const void *descriptor_of_somebody_else(sock_t *socket) {
    (void) socket;
    return &foreign_descriptor;
}

TEST(statistics_of_somebody_elses_descriptor_are_not_found) {
    anjay_net_socket_v_table_t operations;
    anjay_net_socket_stats_t stats;
    wrapper_t wrapper;
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    operations = *V(socket);
    operations.get_system_socket = descriptor_of_somebody_else;
    foreign_descriptor = peer.fd;
    wrapper.operations = &operations;
    wrapper.inner = NULL;
    memset(&stats, 0, sizeof(stats));
    stats.size = sizeof(stats);
    CHECK_INT(-1, anjay_net_socket_get_stats(&wrapper, &stats));
}

/* ----------------------------------------- without AF_NETLINK --- */

/* On i386 socket(2) is a call of socketcall(2), whose arguments a filter can't
   see. */
#ifndef __i386__

/* As RestrictAddressFamilies= of systemd has it. */
static void forbid_netlink(int error) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program;
    filter[4].k |= (unsigned) error;
    program.len = sizeof(filter) / sizeof(filter[0]);
    program.filter = filter;
    SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SYS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
    CHECK_INT(-1, socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
    CHECK_INT(error, errno);
}

/* What can't be told is not taken for "no". */
static void check_names_work(int error) {
    static const dns_record_t RECORDS[] = {
        { "four.test", DNS_A, AWAY_V4, DNS_NOERROR, 0 },
        { "four.test", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { "six.test", DNS_A, NULL, DNS_NOERROR, 0 },
        { "six.test", DNS_AAAA, AWAY_V6, DNS_NOERROR, 0 },
        { "empty.test", DNS_ANY_TYPE, NULL, DNS_NOERROR, 0 }
    };
    static const char *const NAMES[] = { "four.test", "six.test", "local4",
                                         "local6" };
    static const char *const UNKNOWN[] = { "unknown.test", "empty.test" };
    netns_cable("127.0.0.1 localhost local4\n" AWAY_V6
                " local6\n",
                NULL);
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    size_t i;
    int type;
    forbid_netlink(error);
    for (i = 0; i < LEN(NAMES); ++i) {
        char name[16];
        sock_t *socket = new_udp(NULL);
        CHECK_OK(V(socket)->connect(socket, NAMES[i], "5683"));
        /* The name may not be known, but is none that is wrong. */
        if (V(socket)->get_interface_name(socket, name).code == 0) {
            CHECK_STR(strcmp(NAMES[i], "local4") == 0 ? "lo" : "eth0", name);
        }
    }
    for (i = 0; i < LEN(UNKNOWN); ++i) {
        sock_t *bound = bound_udp("127.0.0.1", NULL);
        for (type = TCP; type <= UDP; ++type) {
            sock_t *socket = new_socket(type, NULL);
            CHECK_ERR(EADDRNOTAVAIL,
                      V(socket)->connect(socket, UNKNOWN[i], "5683"));
        }
        CHECK_ERR(EADDRNOTAVAIL,
                  V(bound)->send_to(bound, "x", 1, UNKNOWN[i], "5683"));
    }
}

SLOW_TEST(names_work_where_netlink_is_not_supported) {
    check_names_work(EAFNOSUPPORT);
}

SLOW_TEST(names_work_where_netlink_is_forbidden) {
    check_names_work(EPERM);
}

#endif
