/*
 * Every system call that a method makes fails, one at a time, in each way that
 * a machine in trouble makes it fail. The method says so or does without; the
 * socket is in the state that the contract names; nothing leaks; and the same
 * call works when the trouble is over.
 *
 * Cases are named after the methods; see support/scenes.c for what each does.
 */

#include "heap.h"
#include "inject.h"
#include "scenes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int ERRORS[] = { ENOBUFS, ENOMEM,       EMFILE, ENFILE,
                              ENETDOWN, EHOSTUNREACH, EPERM,  EINTR };

enum { CALLS_MAX = 256 };

/* Beside the numbers of system calls: all of them, and poll(2) that does not
   wait. */
#define ANY (-1)
#define LOOK (-2)

/* The calls of one run, in order; those of helper threads apart, as nobody
   says how the two interleave. */
typedef struct {
    int numbers[2][CALLS_MAX];
    int counts[2];
} tape_t;

/* One run of a scene's call. */
typedef struct {
    const scene_kind_t *kind;
    scene_t scene;
    anjay_net_error_t error;
    tape_t tape;
    /* Where the fault is; none when `fault` is 0. */
    int fault;
    int thread;
    int number;
    int turn; /* of those with this number */
    bool struck;
    bool answered;
    /* The descriptor before the call, -1 for none, and whether its port may be
       shared. */
    int descriptor;
    int sharing;
    /* The fault was one of this descriptor. */
    bool on_itself;
} run_t;

/* ------------------------------------------------------------- running --- */

static const char *name_of(int number) {
    return number == LOOK ? "poll(0)" : syscall_name(number);
}

/* Whether the kernel lets this call fail this way. */
static bool can_fail(int number, int error) {
    static const int INTERRUPTIBLE[] = { SYS_accept4, SYS_sendto, SYS_recvfrom,
                                         SYS_recvmsg, SYS_poll,   LOOK,
                                         SYS_ppoll,   SYS_close,  SYS_read,
                                         SYS_write,   SYS_openat };
    size_t i;
    if (error != EINTR) {
        /* What the library writes to is an eventfd: there is always room. */
        return number != SYS_write;
    }
    for (i = 0; i < LEN(INTERRUPTIBLE); ++i) {
        if (INTERRUPTIBLE[i] == number) {
            return true;
        }
    }
    return false;
}

/* The call fails, with what is done all the same when it does: close(2) always
   gives the number back. */
static verdict_t strike_call(const syscall_t *call, int error) {
    if (call->number == SYS_close) {
        close((int) call->args[0]);
    }
    return inject_error(error);
}

static verdict_t judge(void *context, const syscall_t *call) {
    run_t *run = (run_t *) context;
    int thread = call->by_helper;
    int index;
    int number;
    if (call->number == SYS_fcntl && call->args[1] == F_GETFD) {
        /* Rust's standard library looks at a descriptor before it closes it, in
           debug builds. */
        return inject_nothing();
    }
    index = run->tape.counts[thread]++;
    number = call->number == SYS_poll && !is_wait(call) ? LOOK : call->number;
    CHECK(index < CALLS_MAX);
    run->tape.numbers[thread][index] = number;
    if (run->fault && thread == run->thread && number == run->number
            && run->turn-- == 0) {
        run->struck = true;
        run->on_itself = (int) call->args[0] == run->descriptor;
        return strike_call(call, run->fault);
    }
    if (is_wait(call)) {
        if (run->kind->when_waiting) {
            run->kind->when_waiting(&run->scene);
        }
    } else if (number == LOOK && run->kind->answers_late && !run->answered) {
        run->answered = true;
        return inject_result(0);
    }
    return inject_nothing();
}

static void act(void *arg) {
    run_t *run = (run_t *) arg;
    run->error = run->kind->act(&run->scene);
}

static void perform(run_t *run) {
    memset(&run->tape, 0, sizeof(run->tape));
    run->struck = false;
    run->answered = false;
    inject_run(act, run, judge, run);
}

static void begin(run_t *run, const scene_kind_t *kind) {
    memset(run, 0, sizeof(*run));
    run->kind = kind;
    run->scene.peer.fd = -1;
    run->scene.listener.fd = -1;
    kind->set(&run->scene);
}

static int state_now(const run_t *run) {
    sock_t *subject = scene_subject(&run->scene);
    return subject ? state_of(subject) : -1;
}

/* -------------------------------------------------------- expectations --- */

/* What comes of a fault. */
typedef enum {
    ITSELF,     /* the call says what the system call said */
    NOTHING,    /* the call does without, and succeeds */
    EITHER,     /* one or the other */
    RESOLVER    /* either, or EADDRNOTAVAIL (bind: EINVAL): no such address */
} consequence_t;

typedef struct {
    int number;         /* SYS_... or ANY */
    int error;          /* 0 for all */
    consequence_t consequence;
    const char *scenes; /* the beginning of their names; "" for all */
} rule_t;

/* The first that fits; ITSELF if none does. */
static const rule_t RULES[] = {
    /* The number is given back whatever close(2) says. */
    { SYS_close, 0, NOTHING, "" },
    /* A call that was interrupted is made again. */
    { ANY, EINTR, NOTHING, "" },
    /* Looks whether the handshake is over already; if that can't be told, the
       call waits for it. */
    { LOOK, 0, NOTHING, "connect, TCP" },
    /* if_nametoindex(3) asks a socket of another family, or finds no such
       interface; if_indextoname(3) leaves the number. */
    { SYS_socket, 0, NOTHING, "connect, UDP, with a scope" },
    { SYS_ioctl, 0, RESOLVER, "connect, UDP, with a scope" },
    { ANY, 0, NOTHING, "get_host_port" },
    /* The list of what is configured can't be read: all is asked for. A
       notification that could not be taken wakes the call once more. */
    { SYS_openat, 0, NOTHING, "" },
    { SYS_statx, 0, NOTHING, "" },
    { SYS_read, 0, NOTHING, "" },
    /* The address is of the other family, and is tried again in the form that
       the socket's own family has for it. */
    { SYS_sendto, 0, EITHER, "send_to, UDP, bound to IPv4, to IPv6" },
    { SYS_sendto, 0, ITSELF, "send_to, UDP, to a name" },
    { SYS_sendto, 0, NOTHING, "send_to, UDP" },
    /* Without what tells that the socket was replaced, the wait may last
       longer than it must. */
    { SYS_eventfd2, 0, NOTHING, "receive, UDP, bound" },
    { SYS_eventfd2, 0, EITHER, "accept, UDP" },
    /* "::", then "0.0.0.0". */
    { ANY, 0, NOTHING, "bind, UDP, anywhere" },
    { ANY, 0, NOTHING, "bind, TCP, anywhere" },
    /* accept(2): errors of the network are those of a peer that gave up. */
    { SYS_accept4, ENETDOWN, NOTHING, "accept" },
    { SYS_accept4, EHOSTUNREACH, NOTHING, "accept" },
    { SYS_accept4, EPERM, NOTHING, "accept" },
    /* There is nothing left to end. */
    { SYS_shutdown, 0, NOTHING, "shutdown" },
    /* Then it is what every path carries. */
    { SYS_getsockopt, 0, NOTHING, "get_opt, inner MTU" },
};

static consequence_t expected(const run_t *run) {
    size_t i;
    if (run->thread == 1) {
        return RESOLVER;
    }
    for (i = 0; i < LEN(RULES); ++i) {
        const rule_t *rule = &RULES[i];
        if (strncmp(run->kind->name, rule->scenes, strlen(rule->scenes)) == 0
                && (rule->number == ANY || rule->number == run->number)
                && (rule->error == 0 || rule->error == run->fault)) {
            return rule->consequence;
        }
    }
    return ITSELF;
}

static unsigned code_of(int error) {
    switch (error) {
    case ENOBUFS:
        return ANJAY_NET_ERRNO_ENOBUFS;
    case ENOMEM:
        return ANJAY_NET_ERRNO_ENOMEM;
    case EMFILE:
        return ANJAY_NET_ERRNO_EMFILE;
    case ENFILE:
        return ANJAY_NET_ERRNO_ENFILE;
    case ENETDOWN:
        return ANJAY_NET_ERRNO_ENETDOWN;
    case EHOSTUNREACH:
        return ANJAY_NET_ERRNO_EHOSTUNREACH;
    case EPERM:
        return ANJAY_NET_ERRNO_EPERM;
    default:
        return ANJAY_NET_ERRNO_EINTR;
    }
}

static bool is_expected(const run_t *run) {
    unsigned code = run->error.code;
    bool is_itself = code == code_of(run->fault)
                     /* A list that could not be made is NULL. */
                     || (strncmp(run->kind->name, "resolve_ex", 10) == 0
                         && code == ANJAY_NET_ERRNO_UNKNOWN_ERROR);
    bool no_address = code == ANJAY_NET_ERRNO_EADDRNOTAVAIL
                         || code == ANJAY_NET_ERRNO_EINVAL;
    switch (expected(run)) {
    case NOTHING:
        return code == 0;
    case EITHER:
        return code == 0 || is_itself;
    case RESOLVER:
        return code == 0 || is_itself || no_address;
    default:
        return is_itself;
    }
}

/* --------------------------------------------------------------- sweep --- */

static struct {
    long faults;
    long survived;
    long surprises;
} totals;

static int descriptor_now(const run_t *run) {
    sock_t *subject = scene_subject(&run->scene);
    return subject ? descriptor_of(subject) : -1;
}

/* Whether others may share its port, which a failed call must not change. */
static int sharing_now(const run_t *run) {
    int fd = descriptor_now(run);
    return fd < 0 ? -1 : int_option(fd, SOL_SOCKET, SO_REUSEADDR);
}

static void check_outcome(run_t *run) {
    char where[128];
    int state;
    snprintf(where, sizeof(where), "%s: %s%s says %s", run->kind->name,
             run->thread ? "a helper's " : "", name_of(run->number),
             code_name(code_of(run->fault)));
    ++totals.faults;
    totals.survived += run->error.code == 0;
    if (!is_expected(run)) {
        ++totals.surprises;
        fprintf(stderr, "%s; the call says %s\n", where,
                code_name(run->error.code));
    }
    state = state_now(run);
    if (state != (run->error.code ? run->kind->before : run->kind->after)) {
        FAIL("%s; the call says %s and leaves state %d", where,
             code_name(run->error.code), state);
    }
    if (run->error.code == 0) {
        return;
    }
    /* But for an option that could not be set back. */
    if (sharing_now(run) != run->sharing
            && !(run->number == SYS_setsockopt && run->on_itself)) {
        FAIL("%s; others may share its port, or no longer", where);
    }
    /* The trouble is over. */
    run->fault = 0;
    alarm(20);
    perform(run);
    if (run->error.code != 0) {
        FAIL("%s; later the call says %s", where, code_name(run->error.code));
    }
    CHECK_INT(run->kind->after, state_now(run));
}

/* What could leak. */
typedef struct {
    int descriptors;
    long blocks;
} stock_t;

static stock_t take_stock(void) {
    stock_t stock;
    stock.descriptors = count_descriptors();
    stock.blocks = heap_blocks();
    return stock;
}

static void check_nothing_leaked(const scene_kind_t *kind,
                                 const stock_t *before) {
    stock_t now = take_stock();
    /* The C library keeps what it read of its configuration. */
    long kept = kind->asks ? 8 : 0;
    if (now.descriptors != before->descriptors) {
        FAIL("%s: %d open descriptors, before %d", kind->name, now.descriptors,
             before->descriptors);
    }
    if (labs(now.blocks - before->blocks) > kept) {
        FAIL("%s: %ld blocks in use, before %ld", kind->name, now.blocks,
             before->blocks);
    }
}

/* The calls of a run without faults. */
static tape_t record(const scene_kind_t *kind) {
    run_t run;
    begin(&run, kind);
    perform(&run);
    if (run.error.code != 0) {
        FAIL("%s fails without any fault: %s", kind->name,
             code_name(run.error.code));
    }
    CHECK_INT(kind->after, state_now(&run));
    kind->strike(&run.scene);
    return run.tape;
}

static void show(const scene_kind_t *kind, const tape_t *tape) {
    int thread;
    int i;
    printf("%s:", kind->name);
    for (thread = 0; thread < 2; ++thread) {
        printf(thread && tape->counts[1] ? " | helper:" : "");
        for (i = 0; i < tape->counts[thread]; ++i) {
            printf(" %s", name_of(tape->numbers[thread][i]));
        }
    }
    putchar('\n');
    fflush(stdout);
}

/* The one call fails in each way, each in a run of its own; gives how many
   runs did not come to it. */
static int sweep_call(const scene_kind_t *kind,
                      const tape_t *tape,
                      int thread,
                      int index,
                      const stock_t *before) {
    int number = tape->numbers[thread][index];
    int turn = 0;
    int missed = 0;
    size_t error;
    while (index-- > 0) {
        turn += tape->numbers[thread][index] == number;
    }
    for (error = 0; error < LEN(ERRORS); ++error) {
        run_t run;
        if (!can_fail(number, ERRORS[error])) {
            continue;
        }
        alarm(20);
        begin(&run, kind);
        run.fault = ERRORS[error];
        run.thread = thread;
        run.number = number;
        run.turn = turn;
        run.descriptor = descriptor_now(&run);
        run.sharing = sharing_now(&run);
        perform(&run);
        if (run.struck) {
            check_outcome(&run);
        } else {
            CHECK_OK(run.error);
            ++missed;
        }
        kind->strike(&run.scene);
        check_nothing_leaked(kind, before);
    }
    return missed;
}

static void sweep(const scene_kind_t *kind) {
    tape_t tape;
    stock_t before;
    int thread;
    int index;
    int missed = 0;
    /* What is made once for the process is there after this. */
    tape = record(kind);
    show(kind, &tape);
    before = take_stock();
    tape = record(kind);
    check_nothing_leaked(kind, &before);
    for (thread = 0; thread < 2; ++thread) {
        for (index = 0; index < tape.counts[thread]; ++index) {
            missed += sweep_call(kind, &tape, thread, index, &before);
        }
    }
    /* Which thread closes what they share, and how much the kernel takes at once,
       is a matter of chance. */
    if (missed > 0) {
        CHECK(kind->asks || kind->when_waiting);
        printf("  %d faults found no call\n", missed);
    }
}

/* All scenes whose names begin like this. */
static void sweep_all(const char *beginning) {
    size_t i;
    int swept = 0;
    scenes_enter_network();
    inject_begin();
    for (i = 0; i < SCENE_COUNT; ++i) {
        if (strncmp(SCENES[i].name, beginning, strlen(beginning)) == 0) {
            sweep(&SCENES[i]);
            ++swept;
        }
    }
    inject_end();
    CHECK(swept > 0);
    printf("%ld faults, %ld calls succeeded all the same\n", totals.faults,
           totals.survived);
    CHECK_INT(0, totals.surprises);
}

#define METHODS(Method)                                    \
    Method(global_state, "initialize and cleanup")         \
    Method(create, "create, ")                             \
    Method(connect_udp, "connect, UDP")                    \
    Method(connect_tcp, "connect, TCP")                    \
    Method(decorate, "decorate")                           \
    Method(send, "send, ")                                 \
    Method(send_to, "send_to, ")                           \
    Method(receive, "receive, ")                           \
    Method(receive_from, "receive_from, ")                 \
    Method(bind, "bind, ")                                 \
    Method(accept, "accept, ")                             \
    Method(close, "close, ")                               \
    Method(shutdown, "shutdown, ")                         \
    Method(cleanup, "cleanup, ")                           \
    Method(get_system_socket, "get_system_socket")         \
    Method(get_interface_name, "get_interface_name")       \
    Method(get_remote, "get_remote")                       \
    Method(get_local, "get_local")                         \
    Method(get_opt, "get_opt, ")                           \
    Method(set_opt, "set_opt")                             \
    Method(resolve_ex, "resolve_ex, ")                     \
    Method(next_rewind_delete, "next, rewind, delete")     \
    Method(get_host_port, "get_host_port")

#define METHOD_CASE(Name, Beginning) \
    TEST(Name) {                     \
        sweep_all(Beginning);        \
    }

METHODS(METHOD_CASE)

TEST(no_scene_is_left_out) {
#define METHOD_BEGINNING(Name, Beginning) Beginning,
    static const char *const BEGINNINGS[] = { METHODS(METHOD_BEGINNING) };
    size_t i;
    for (i = 0; i < SCENE_COUNT; ++i) {
        size_t method = 0;
        while (strncmp(SCENES[i].name, BEGINNINGS[method],
                       strlen(BEGINNINGS[method])) != 0) {
            CHECK(++method < LEN(BEGINNINGS));
        }
    }
}

/* ----------------------------------------------- threads for lookups --- */

static verdict_t start_no_thread(void *context, const syscall_t *call) {
    int error = *(const int *) context;
    if (call->number == SYS_clone3 || call->number == SYS_clone) {
        return inject_error(error);
    }
    return inject_nothing();
}

typedef struct {
    anjay_net_error_t error;
    sock_t *socket;
} lookup_t;

static void look_up(void *arg) {
    lookup_t *lookup = (lookup_t *) arg;
    lookup->error = V(lookup->socket)->connect(lookup->socket, "server.test", "9");
}

static verdict_t leave_alone(void *context, const syscall_t *call) {
    (void) context;
    (void) call;
    return inject_nothing();
}

/* At once, not after the ten seconds that a lookup may take. */
TEST(lookup_without_a_thread_fails_at_once) {
    static const int REASONS[] = { EAGAIN, ENOMEM, EPERM };
    config_t config = ipv4_config();
    lookup_t lookup;
    size_t i;
    scenes_enter_network();
    inject_begin();
    lookup.socket = new_udp(&config);
    for (i = 0; i < LEN(REASONS); ++i) {
        int reason = REASONS[i];
        int64_t start = now_us();
        inject_run(look_up, &lookup, start_no_thread, &reason);
        CHECK_WAITED(start, 0, PROMPT);
        if (reason == EPERM) {
            CHECK_ERR(EPERM, lookup.error);
        } else {
            /* pthread_create(3) says so for whatever it lacks. */
            CHECK_ERR(EAGAIN, lookup.error);
        }
        CHECK_STATE(CLOSED, lookup.socket);
    }
    inject_run(look_up, &lookup, leave_alone, NULL);
    CHECK_OK(lookup.error);
    dispose(&lookup.socket);
    inject_end();
}
