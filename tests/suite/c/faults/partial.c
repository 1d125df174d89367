/*
 * System calls that do a part of what they were asked for, or nothing although
 * poll(2) said that they would, and signals without end: transfers come whole,
 * and waits end when their time is up, not before and not much after.
 */

#include "support/inject.h"
#include "support/scenes.h"
#include "support/waits.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------- pieces of a stream */

enum { SIZE = 96 };

static struct {
    sock_t *socket;
    peer_t peer;
    char bytes[SIZE];
    size_t piece; /* of which a transfer takes one at a time */
    int calls;
    bool is_troubled; /* EAGAIN and EINTR before every piece */
} stream;

/* Makes the transfer in the kernel's place, one piece of it. */
static verdict_t transfer_a_piece(void *context, const syscall_t *call) {
    void *buffer = (void *) (uintptr_t) call->args[1];
    size_t size = call->args[2] < stream.piece ? call->args[2] : stream.piece;
    (void) context;
    if (call->number != SYS_sendto && call->number != SYS_recvfrom) {
        return inject_nothing();
    }
    ++stream.calls;
    if (stream.is_troubled && stream.calls % 3 != 0) {
        return inject_error(stream.calls % 3 == 1 ? EAGAIN : EINTR);
    }
    long done = call->number == SYS_sendto
            ? send((int) call->args[0], buffer, size, (int) call->args[3])
            : recv((int) call->args[0], buffer, size, (int) call->args[3]);
    return done < 0 ? inject_error(errno) : inject_result(done);
}

static void send_all(void *arg) {
    (void) arg;
    CHECK_OK(V(stream.socket)->send(stream.socket, stream.bytes, SIZE));
}

static void send_all_to(void *arg) {
    (void) arg;
    CHECK_OK(V(stream.socket)->send_to(stream.socket, stream.bytes, SIZE, NULL, NULL));
}

/* Until all is there; each call gives what the kernel gave. */
static void receive_all(void *arg) {
    char bytes[SIZE];
    size_t length;
    (void) arg;
    for (size_t have = 0; have < SIZE; have += length) {
        size_t left = SIZE - have;
        CHECK_OK(V(stream.socket)->receive(stream.socket, &length, bytes + have, left));
        CHECK_INT(left < stream.piece ? left : stream.piece, length);
    }
    CHECK_BYTES(stream.bytes, bytes, SIZE);
}

static void transfer_in_pieces(void (*body)(void *), bool is_troubled) {
    bool sends = body != receive_all;
    for (size_t i = 0; i < SIZE; ++i) {
        stream.bytes[i] = (char) (i * 7 + 1);
    }
    stream.socket = connected_pair(TCP, &stream.peer);
    stream.is_troubled = is_troubled;
    inject_begin();
    for (stream.piece = 1; stream.piece <= SIZE; ++stream.piece) {
        int pieces = (int) ((SIZE + stream.piece - 1) / stream.piece);
        stream.calls = 0;
        if (!sends) {
            CHECK_INT(SIZE, SYS(send(stream.peer.fd, stream.bytes, SIZE, 0)));
        }
        inject_run(body, NULL, transfer_a_piece, NULL);
        CHECK_INT(is_troubled ? 3 * pieces : pieces, stream.calls);
        CHECK_INT(sends ? SIZE * stream.piece : 0, bytes_sent(stream.socket));
        CHECK_INT(sends ? 0 : SIZE * stream.piece, bytes_received(stream.socket));
        if (sends) {
            char arrived[SIZE + 1];
            size_t length = 0;
            while (length < SIZE) {
                length += peer_receive(&stream.peer, arrived + length, sizeof(arrived) - length);
            }
            CHECK_INT(SIZE, length);
            CHECK_BYTES(stream.bytes, arrived, SIZE);
        }
    }
    inject_end();
}

TEST(short_writes_of_every_size) {
    transfer_in_pieces(send_all, false);
}

TEST(short_writes_of_every_size_by_send_to) {
    transfer_in_pieces(send_all_to, false);
}

TEST(short_writes_of_every_size_with_interruptions) {
    transfer_in_pieces(send_all, true);
}

TEST(short_reads_of_every_size) {
    transfer_in_pieces(receive_all, false);
}

TEST(short_reads_of_every_size_with_interruptions) {
    transfer_in_pieces(receive_all, true);
}

/* ------------------------------------------------ ready, and then nothing */

typedef struct {
    const scene_kind_t *kind;
    scene_t scene;
    anjay_net_error_t error;
    int disappointments; /* still to come */
    int waits;
} hope_t;

static void act(void *arg) {
    hope_t *hope = (hope_t *) arg;
    hope->error = hope->kind->act(&hope->scene);
}

static bool is_transfer(int number) {
    return number == SYS_sendto || number == SYS_recvfrom || number == SYS_recvmsg
            || number == SYS_accept4;
}

static verdict_t disappoint(void *context, const syscall_t *call) {
    hope_t *hope = (hope_t *) context;
    if (is_wait(call)) {
        if (hope->waits++ == 0) {
            hope->kind->when_waiting(&hope->scene);
        }
    } else if (hope->waits > 0 && is_transfer(call->number) && hope->disappointments-- > 0) {
        return inject_error(EAGAIN);
    }
    return inject_nothing();
}

TEST(nothing_after_poll_said_ready_is_waited_out) {
    enum { TIMES = 5 };
    int seen = 0;
    scenes_enter_network();
    inject_begin();
    for (const scene_kind_t *kind = SCENES; kind < SCENES + SCENE_COUNT; ++kind) {
        hope_t hope = { .kind = kind, .disappointments = TIMES };
        if (!kind->when_waiting || !strstr(kind->name, ", waiting")) {
            continue;
        }
        scene_begin(&hope.scene, kind);
        inject_run(act, &hope, disappoint, &hope);
        CHECK_OK(hope.error);
        CHECK_STR("", hope.waits > TIMES ? "" : kind->name);
        CHECK_INT(kind->after, scene_state(&hope.scene));
        scene_end(&hope.scene);
        ++seen;
    }
    inject_end();
    CHECK(seen >= 7);
}

/* ------------------------------------------------------ always "ready" --- */

static verdict_t ready_for_nothing(void *context, const syscall_t *call) {
    (void) context;
    if (is_transfer(call->number)) {
        return inject_error(EAGAIN);
    }
    /* One descriptor is ready, it says; and is quick about it. */
    return is_wait(call) ? inject_result(1) : inject_nothing();
}

static void run_watched(void *call) {
    call_run((call_t *) call);
}

static void run_with_false_hopes(call_t *call) {
    inject_run(run_watched, call, ready_for_nothing, NULL);
}

TEST(ready_for_ever_and_nothing_there_ends_at_the_deadline) {
    waits_last(MS(200));
    inject_begin();
    for (size_t i = 0; i < WAIT_COUNT; ++i) {
        if (WAITS[i].place == CONNECTED_TO_SILENCE || WAITS[i].place == LISTENING) {
            check_wait(&WAITS[i], run_with_false_hopes);
        }
    }
    inject_end();
}

/* The next one is there before the last is dropped. */
static verdict_t another_empty_datagram(void *context, const syscall_t *call) {
    (void) context;
    if (call->number == SYS_recvmsg) {
        return inject_result(0);
    }
    return is_wait(call) ? inject_result(1) : inject_nothing();
}

static void run_in_a_flood(call_t *call) {
    inject_run(run_watched, call, another_empty_datagram, NULL);
}

TEST(datagrams_that_are_dropped_without_end_move_no_deadline) {
    waits_last(MS(200));
    inject_begin();
    for (size_t i = 0; i < WAIT_COUNT; ++i) {
        if (WAITS[i].place == CONNECTED_TO_SILENCE && WAITS[i].type == UDP) {
            check_wait(&WAITS[i], run_in_a_flood);
        }
    }
    inject_end();
}

/* --------------------------------------------------------- signals --- */

static volatile sig_atomic_t signals;

static void count_signal(int number) {
    (void) number;
    ++signals;
}

#ifndef sigev_notify_thread_id
#    define sigev_notify_thread_id _sigev_un._tid
#endif

/* A signal every 100 us from now on, to this thread or to any that takes it; its
   handler is installed without SA_RESTART. */
static timer_t start_storm(bool to_all) {
    struct sigaction action = { .sa_handler = count_signal };
    struct sigevent event = { .sigev_notify = to_all ? SIGEV_SIGNAL : SIGEV_THREAD_ID,
        .sigev_signo = SIGUSR2 };
    struct itimerspec interval = { { 0, 100 * 1000 }, { 0, 100 * 1000 } };
    timer_t timer;
    sigaction(SIGUSR2, &action, NULL);
    event.sigev_notify_thread_id = (pid_t) syscall(SYS_gettid);
    SYS(timer_create(CLOCK_MONOTONIC, &event, &timer));
    SYS(timer_settime(timer, 0, &interval, NULL));
    return timer;
}

/* Fewer come on a busy machine, which delivers one for several. */
#define SIGNALS_AT_LEAST 100

static bool storm_is_everywhere;

static void run_here_in_a_storm(void *arg) {
    timer_t timer = start_storm(storm_is_everywhere);
    call_run((call_t *) arg);
    SYS(timer_delete(timer));
}

static void run_in_a_storm(call_t *call) {
    signals = 0;
    worker_start(&call->worker, run_here_in_a_storm, call);
    worker_join(&call->worker);
}

TEST(signals_without_end_do_not_move_deadlines) {
    waits_enter_network();
    waits_last(MS(200));
    for (size_t i = 0; i < WAIT_COUNT; ++i) {
        /* To helper threads as well, where there are any. */
        storm_is_everywhere = WAITS[i].place >= WITHOUT_DNS;
        check_wait(&WAITS[i], run_in_a_storm);
        if (signals < SIGNALS_AT_LEAST) {
            FAIL("%s: %d signals", WAITS[i].name, (int) signals);
        }
    }
}

static void act_in_a_storm(void *arg) {
    const scene_kind_t *kind = (const scene_kind_t *) arg;
    timer_t timer = start_storm(false);
    for (int round = 0; round < 30; ++round) {
        scene_t scene;
        scene_begin(&scene, kind);
        check_code(kind->name, 0, kind->act(&scene));
        scene_end(&scene);
    }
    SYS(timer_delete(timer));
}

TEST(signals_without_end_disturb_no_method) {
    scenes_enter_network();
    for (size_t i = 0; i < SCENE_COUNT; ++i) {
        worker_t worker;
        /* Those that wait have their own cases. */
        if (!SCENES[i].when_waiting) {
            worker_start(&worker, act_in_a_storm, (void *) (uintptr_t) &SCENES[i]);
            worker_join(&worker);
        }
    }
    CHECK(signals > 0);
}

enum { BULK = 16 * 1024 * 1024 };

static char bulk_byte(size_t place) {
    return (char) (place * 31 + (place >> 12));
}

static void send_bulk(call_t *call) {
    static char bytes[BULK];
    timer_t timer = start_storm(false);
    for (size_t i = 0; i < BULK; ++i) {
        bytes[i] = bulk_byte(i);
    }
    CHECK_OK(V(call->socket)->send(call->socket, bytes, BULK));
    SYS(timer_delete(timer));
}

static void receive_bulk(call_t *call) {
    static char bytes[7777];
    timer_t timer = start_storm(false);
    for (size_t have = 0; have < BULK; have += call->length) {
        CHECK_OK(V(call->socket)->receive(call->socket, &call->length, bytes, sizeof(bytes)));
        CHECK(call->length > 0);
        for (size_t i = 0; i < call->length; ++i) {
            CHECK_INT(bulk_byte(have + i), bytes[i]);
        }
    }
    SYS(timer_delete(timer));
}

TEST(signals_without_end_lose_no_byte_of_a_stream) {
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    call_t one = call_on(new_tcp(NULL), send_bulk);
    call_t other = call_on(new_tcp(NULL), receive_bulk);
    CHECK_OK(V(one.socket)->connect(one.socket, "127.0.0.1", local_port(server)));
    CHECK_OK(V(server)->accept(server, other.socket));
    call_start(&one);
    call_start(&other);
    worker_join(&one.worker);
    worker_join(&other.worker);
    CHECK_INT(BULK, bytes_sent(one.socket));
    CHECK_INT(BULK, bytes_received(other.socket));
    CHECK(signals > SIGNALS_AT_LEAST);
}
