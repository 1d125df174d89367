/*
 * Every system call that a method makes fails, one at a time, in each way that
 * a machine in trouble makes it fail. The method says so or does without; the
 * socket is in the state that the contract names; nothing leaks; and the same
 * call works when the trouble is over.
 *
 * Cases are named after the methods; see support/scenes.c for what each does.
 */

#include "anjay_net.h"
#include "rules.h"
#include "support/heap.h"
#include "support/inject.h"
#include "support/scenes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int ERRORS[] = { ENOBUFS, ENOMEM, EMFILE, ENFILE, ENETDOWN, EHOSTUNREACH, EPERM,
    EINTR };

enum { CALLS_MAX = 256 };

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
    /* The descriptor before the call, -1 for none, and whether its port may be
       shared. */
    int descriptor;
    int sharing;
    /* The fault was one of this descriptor. */
    bool on_itself;
} run_t;

/* ------------------------------------------------------------- running --- */

/* Whether the kernel lets this call fail this way. */
static bool can_fail(const scene_kind_t *kind, int number, int error) {
    static const int INTERRUPTIBLE[] = { SYS_accept4, SYS_sendto, SYS_recvfrom, SYS_recvmsg,
        SYS_poll, SYS_ppoll, SYS_close, SYS_read, SYS_write, SYS_openat };
    if (error != EINTR) {
        /* What sockets write to is an eventfd: there is always room. And a thread
           that can't be started has a case of its own. */
        bool to_file = strncmp(kind->name, "anjay_net_", 10) == 0;
        return number != SYS_clone3 && (number != SYS_write || to_file);
    }
    for (size_t i = 0; i < LEN(INTERRUPTIBLE); ++i) {
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
    if (call->number == SYS_fcntl && call->args[1] == F_GETFD) {
        /* Rust's standard library looks at a descriptor before it closes it, in
           debug builds. */
        return inject_nothing();
    }
    int index = run->tape.counts[thread]++;
    int number = call->number;
    CHECK(index < CALLS_MAX);
    run->tape.numbers[thread][index] = number;
    if (run->fault && thread == run->thread && number == run->number && run->turn-- == 0) {
        run->struck = true;
        run->on_itself = (int) call->args[0] == run->descriptor;
        return strike_call(call, run->fault);
    }
    if (is_wait(call)) {
        if (run->kind->when_waiting) {
            run->kind->when_waiting(&run->scene);
        }
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
    inject_run(act, run, judge, run);
}

static void begin(run_t *run, const scene_kind_t *kind) {
    memset(run, 0, sizeof(*run));
    run->kind = kind;
    scene_begin(&run->scene, kind);
}

/* -------------------------------------------------------- expectations --- */

static consequence_t expected(const run_t *run) {
    if (run->thread == 1) {
        return RESOLVER;
    }
    for (size_t i = 0; i < LEN(RULES); ++i) {
        const rule_t *rule = &RULES[i];
        if (strncmp(run->kind->name, rule->scenes, strlen(rule->scenes)) == 0
                && (rule->number == ANY_CALL || rule->number == run->number)
                && (rule->error == 0 || rule->error == run->fault)) {
            return rule->consequence;
        }
    }
    return ITSELF;
}

static bool is_expected(const run_t *run) {
    unsigned code = run->error.code;
    bool is_itself = code == code_of(run->fault)
            /* A list that could not be made is NULL. */
            || (strncmp(run->kind->name, "resolve_ex", 10) == 0
                    && code == ANJAY_NET_ERRNO_UNKNOWN_ERROR);
    bool no_address = code == ANJAY_NET_ERRNO_EADDRNOTAVAIL || code == ANJAY_NET_ERRNO_EINVAL
            || code == ANJAY_NET_ERRNO_ETIMEDOUT;
    switch (expected(run)) {
    case NOTHING:
        return code == 0;
    case EITHER:
        return code == 0 || is_itself;
    case RESET:
        return code == ANJAY_NET_ERRNO_ECONNRESET;
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
    snprintf(where, sizeof(where), "%s: %s%s says %s", run->kind->name,
            run->thread ? "a helper's " : "", syscall_name(run->number),
            code_name(code_of(run->fault)));
    ++totals.faults;
    totals.survived += run->error.code == 0;
    if (!is_expected(run)) {
        ++totals.surprises;
        fprintf(stderr, "%s; the call says %s\n", where, code_name(run->error.code));
    }
    int state = scene_state(&run->scene);
    if (state != (run->error.code ? run->kind->before : run->kind->after)) {
        FAIL("%s; the call says %s and leaves state %d", where, code_name(run->error.code), state);
    }
    if (run->error.code == 0) {
        return;
    }
    /* But for an option that could not be set back. */
    if (sharing_now(run) != run->sharing && !(run->number == SYS_setsockopt && run->on_itself)) {
        FAIL("%s; others may share its port, or no longer", where);
    }
    /* The trouble is over. */
    run->fault = 0;
    alarm(20);
    perform(run);
    if (run->error.code != 0) {
        FAIL("%s; later the call says %s", where, code_name(run->error.code));
    }
    CHECK_INT(run->kind->after, scene_state(&run->scene));
}

/* What could leak. */
typedef struct {
    int descriptors;
    long blocks;
} stock_t;

static stock_t take_stock(void) {
    return (stock_t){ count_descriptors(), heap_blocks() };
}

static void check_nothing_leaked(const scene_kind_t *kind, const stock_t *before) {
    stock_t now = take_stock();
    /* The C library keeps what it read of its configuration. */
    long kept = kind->asks ? 8 : 0;
    if (now.descriptors != before->descriptors) {
        FAIL("%s: %d open descriptors, before %d", kind->name, now.descriptors,
                before->descriptors);
    }
    if (labs(now.blocks - before->blocks) > kept) {
        FAIL("%s: %ld blocks in use, before %ld", kind->name, now.blocks, before->blocks);
    }
}

/* The calls of a run without faults. */
static tape_t record(const scene_kind_t *kind) {
    run_t run;
    begin(&run, kind);
    perform(&run);
    if (run.error.code != 0) {
        FAIL("%s fails without any fault: %s", kind->name, code_name(run.error.code));
    }
    CHECK_INT(kind->after, scene_state(&run.scene));
    scene_end(&run.scene);
    return run.tape;
}

static void show(const scene_kind_t *kind, const tape_t *tape) {
    printf("%s:", kind->name);
    for (int thread = 0; thread < 2; ++thread) {
        printf(thread && tape->counts[1] ? " | helper:" : "");
        for (int i = 0; i < tape->counts[thread]; ++i) {
            printf(" %s", syscall_name(tape->numbers[thread][i]));
        }
    }
    putchar('\n');
    fflush(stdout);
}

/* The one call fails in each way, each in a run of its own; gives how many
   runs did not come to it. */
static int sweep_call(const scene_kind_t *kind, const tape_t *tape, int thread, int index,
        const stock_t *before) {
    int number = tape->numbers[thread][index];
    int turn = 0;
    int missed = 0;
    while (index-- > 0) {
        turn += tape->numbers[thread][index] == number;
    }
    for (size_t error = 0; error < LEN(ERRORS); ++error) {
        run_t run;
        if (!can_fail(kind, number, ERRORS[error])) {
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
        scene_end(&run.scene);
        check_nothing_leaked(kind, before);
    }
    return missed;
}

static void sweep(const scene_kind_t *kind) {
    int missed = 0;
    long faults = totals.faults;
    /* What is made once for the process is there after this. */
    tape_t tape = record(kind);
    show(kind, &tape);
    stock_t before = take_stock();
    tape = record(kind);
    check_nothing_leaked(kind, &before);
    for (int thread = 0; thread < 2; ++thread) {
        for (int index = 0; index < tape.counts[thread]; ++index) {
            missed += sweep_call(kind, &tape, thread, index, &before);
        }
    }
    /* Which thread closes what they share, and how much the kernel takes at once,
       is a matter of chance. */
    if (missed > 0) {
        CHECK(kind->asks || kind->when_waiting);
        CHECK(missed < totals.faults - faults);
        printf("  %d faults found no call\n", missed);
    }
}

/* All scenes whose names begin like this. */
static void sweep_all(const char *beginning) {
    int swept = 0;
    scenes_enter_network();
    inject_begin();
    for (size_t i = 0; i < SCENE_COUNT; ++i) {
        if (strncmp(SCENES[i].name, beginning, strlen(beginning)) == 0) {
            sweep(&SCENES[i]);
            ++swept;
        }
    }
    inject_end();
    CHECK(swept > 0);
    printf("%ld faults, %ld calls succeeded all the same\n", totals.faults, totals.survived);
    CHECK_INT(0, totals.surprises);
}

#define METHODS(Method)                                                                         \
    Method(global_state, "initialize and cleanup") Method(create, "create, ") Method(           \
            connect_udp, "connect, UDP") Method(connect_tcp, "connect, TCP") Method(decorate,   \
            "decorate") Method(send, "send, ") Method(send_to, "send_to, ") Method(receive,     \
            "receive, ") Method(receive_from, "receive_from, ") Method(bind, "bind, ")          \
            Method(accept, "accept, ") Method(close, "close, ") Method(shutdown, "shutdown, ")  \
                    Method(cleanup, "cleanup, ") Method(get_system_socket, "get_system_socket") \
                            Method(get_interface_name, "get_interface_name") Method(            \
                                    get_remote, "get_remote") Method(get_local, "get_local")    \
                                    Method(get_opt, "get_opt, ") Method(set_opt, "set_opt")     \
                                            Method(resolve_ex, "resolve_ex, ") Method(          \
                                                    next_rewind_delete, "next, rewind, delete") \
                                                    Method(get_host_port, "get_host_port")      \
                                                            Method(statistics, "anjay_net_")

#define METHOD_CASE(Name, Beginning) \
    TEST(Name) {                     \
        sweep_all(Beginning);        \
    }

METHODS(METHOD_CASE)

TEST(no_scene_is_left_out) {
#define METHOD_BEGINNING(Name, Beginning) Beginning,
    static const char *const BEGINNINGS[] = { METHODS(METHOD_BEGINNING) };
    for (size_t i = 0; i < SCENE_COUNT; ++i) {
        size_t method = 0;
        while (strncmp(SCENES[i].name, BEGINNINGS[method], strlen(BEGINNINGS[method])) != 0) {
            CHECK(++method < LEN(BEGINNINGS));
        }
    }
}

/* ------------------------------------------- a disk without any room --- */

static verdict_t leave_alone(void *context, const syscall_t *call) {
    (void) context;
    (void) call;
    return inject_nothing();
}

typedef struct {
    run_t *run;
    long refused;
} full_disk_t;

static verdict_t be_out_of_room(void *context, const syscall_t *call) {
    full_disk_t *disk = (full_disk_t *) context;
    if (call->by_helper && call->number == SYS_write) {
        ++disk->refused;
        return inject_error(ENOSPC);
    }
    return judge(disk->run, call);
}

static void start_capture(void *path) {
    CHECK_INT(0, anjay_net_capture_start((const char *) path, NULL));
}

static void stop_capture(void *path) {
    int status = anjay_net_capture_stop();
    (void) path;
    /* Most calls have nothing that is captured. */
    CHECK(status == 0 || status == ENOSPC);
}

TEST(capture_that_finds_no_room_disturbs_no_method) {
    char path[] = "/tmp/anjay-net-test-XXXXXX";
    long refused = 0;
    SYS(close((int) SYS(mkstemp(path))));
    scenes_enter_network();
    inject_begin();
    for (size_t i = 0; i < SCENE_COUNT; ++i) {
        const scene_kind_t *kind = &SCENES[i];
        full_disk_t disk = { NULL, 0 };
        run_t run;
        /* Helpers of lookups write to somebody else. */
        if (kind->asks || strcmp(kind->name, "anjay_net_capture") == 0) {
            continue;
        }
        begin(&run, kind);
        disk.run = &run;
        inject_run(start_capture, path, leave_alone, NULL);
        inject_run(act, &run, be_out_of_room, &disk);
        inject_run(stop_capture, NULL, be_out_of_room, &disk);
        CHECK_OK(run.error);
        CHECK_INT(kind->after, scene_state(&run.scene));
        scene_end(&run.scene);
        refused += disk.refused;
    }
    inject_end();
    CHECK(refused > 20);
    SYS(unlink(path));
}

/* ----------------------------------------------- threads for lookups --- */

static verdict_t start_no_thread(void *context, const syscall_t *call) {
    int error = *(const int *) context;
    if (call->number == SYS_clone3 || call->number == SYS_clone) {
        return inject_error(error);
    }
    return inject_nothing();
}

static void connect_to_name(call_t *call) {
    call->error = V(call->socket)->connect(call->socket, "server.test", call->port);
}

static void look_up(void *call) {
    call_run((call_t *) call);
}

/* As the C library's own resolver does, which has no threads either. */
TEST(lookup_without_a_thread_is_made_by_the_caller) {
    static const int REASONS[] = { EAGAIN, ENOMEM, EPERM };
    config_t config = ipv4_config();
    scenes_enter_network();
    inject_begin();
    call_t call = call_on(new_udp(&config), connect_to_name);
    call.port = "9";
    for (size_t i = 0; i < LEN(REASONS); ++i) {
        int reason = REASONS[i];
        int64_t start = now_us();
        inject_run(look_up, &call, start_no_thread, &reason);
        CHECK_WAITED(start, 0, PROMPT);
        CHECK_OK(call.error);
        CHECK_OK(V(call.socket)->close(call.socket));
    }
    inject_run(look_up, &call, leave_alone, NULL);
    CHECK_OK(call.error);
    inject_end();
}

/* --------------------------------------------------- memory for waits --- */

static verdict_t refuse_to_wait(void *context, const syscall_t *call) {
    (void) context;
    return is_wait(call) && !call->by_helper ? inject_error(ENOMEM) : inject_nothing();
}

/* It does not try until its time is up. */
TEST(connect_that_may_not_wait_fails_at_once) {
    config_t config = ipv4_config();
    scenes_enter_network();
    blackhole_t hole = blackhole_open(AF_INET);
    inject_begin();
    call_t call = call_on(new_tcp(&config), connect_to_name);
    call.port = hole.listener.port;
    int64_t start = now_us();
    inject_run(look_up, &call, refuse_to_wait, NULL);
    CHECK_WAITED(start, 0, PROMPT);
    CHECK_ERR(ENOMEM, call.error);
    CHECK_STATE(CLOSED, call.socket);
    inject_end();
}
