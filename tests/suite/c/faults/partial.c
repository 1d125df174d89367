/*
 * System calls that do a part of what they were asked for, or nothing although
 * poll(2) said that they would, and signals without end: transfers come whole,
 * and waits end when their time is up, not before and not much after.
 */

#include "inject.h"
#include "scenes.h"
#include "waits.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------- pieces of a stream */

enum { SIZE = 96 };

typedef struct {
    sock_t *socket;
    char bytes[SIZE];
    size_t length;
    anjay_net_error_t error;
    size_t piece; /* of which a transfer takes one at a time */
    int calls;
    bool is_troubled; /* EAGAIN and EINTR before every piece */
} stream_t;

static void fill(char *bytes) {
    size_t i;
    for (i = 0; i < SIZE; ++i) {
        bytes[i] = (char) (i * 7 + 1);
    }
}

/* Makes the transfer in the kernel's place, one piece of it. */
static verdict_t transfer_a_piece(void *context, const syscall_t *call) {
    stream_t *stream = (stream_t *) context;
    void *buffer = (void *) (uintptr_t) call->args[1];
    size_t size = call->args[2];
    long done;
    if (call->number != SYS_sendto && call->number != SYS_recvfrom) {
        return inject_nothing();
    }
    ++stream->calls;
    if (stream->is_troubled && stream->calls % 3 != 0) {
        return inject_error(stream->calls % 3 == 1 ? EAGAIN : EINTR);
    }
    size = size < stream->piece ? size : stream->piece;
    done = call->number == SYS_sendto
                   ? send((int) call->args[0], buffer, size, (int) call->args[3])
                   : recv((int) call->args[0], buffer, size, (int) call->args[3]);
    return done < 0 ? inject_error(errno) : inject_result(done);
}

static void do_send(void *arg) {
    stream_t *stream = (stream_t *) arg;
    stream->error = V(stream->socket)->send(stream->socket, stream->bytes, SIZE);
}

static void do_send_to(void *arg) {
    stream_t *stream = (stream_t *) arg;
    stream->error = V(stream->socket)->send_to(stream->socket, stream->bytes, SIZE,
                                               NULL, NULL);
}

static void send_in_pieces(void (*body)(void *), bool is_troubled) {
    peer_t peer;
    stream_t stream;
    memset(&stream, 0, sizeof(stream));
    fill(stream.bytes);
    stream.socket = connected_pair(ANJAY_NET_SOCKET_TYPE_TCP, &peer);
    stream.is_troubled = is_troubled;
    inject_begin();
    for (stream.piece = 1; stream.piece <= SIZE; ++stream.piece) {
        int pieces = (int) ((SIZE + stream.piece - 1) / stream.piece);
        char arrived[SIZE + 1];
        size_t length = 0;
        stream.calls = 0;
        inject_run(body, &stream, transfer_a_piece, &stream);
        CHECK_OK(stream.error);
        CHECK_INT(is_troubled ? 3 * pieces : pieces, stream.calls);
        CHECK_INT(SIZE * stream.piece, bytes_sent(stream.socket));
        while (length < SIZE) {
            length += peer_receive(&peer, arrived + length,
                                   sizeof(arrived) - length);
        }
        CHECK_INT(SIZE, length);
        CHECK_BYTES(stream.bytes, arrived, SIZE);
    }
    inject_end();
    dispose(&stream.socket);
    peer_close(&peer);
}

TEST(short_writes_of_every_size) {
    send_in_pieces(do_send, false);
}

TEST(short_writes_of_every_size_by_send_to) {
    send_in_pieces(do_send_to, false);
}

TEST(short_writes_of_every_size_with_interruptions) {
    send_in_pieces(do_send, true);
}

/* Until all is there; each call gives what the kernel gave. */
static void do_receive(void *arg) {
    stream_t *stream = (stream_t *) arg;
    char bytes[SIZE];
    size_t have = 0;
    while (have < SIZE) {
        stream->error =
                V(stream->socket)->receive(stream->socket, &stream->length,
                                           bytes + have, SIZE - have);
        CHECK_OK(stream->error);
        CHECK_INT(SIZE - have < stream->piece ? SIZE - have : stream->piece,
                  stream->length);
        have += stream->length;
    }
    CHECK_BYTES(stream->bytes, bytes, SIZE);
}

static void receive_in_pieces(bool is_troubled) {
    peer_t peer;
    stream_t stream;
    memset(&stream, 0, sizeof(stream));
    fill(stream.bytes);
    stream.socket = connected_pair(ANJAY_NET_SOCKET_TYPE_TCP, &peer);
    stream.is_troubled = is_troubled;
    inject_begin();
    for (stream.piece = 1; stream.piece <= SIZE; ++stream.piece) {
        CHECK_INT(SIZE, SYS(send(peer.fd, stream.bytes, SIZE, 0)));
        inject_run(do_receive, &stream, transfer_a_piece, &stream);
        CHECK_INT(SIZE * stream.piece, bytes_received(stream.socket));
    }
    inject_end();
    dispose(&stream.socket);
    peer_close(&peer);
}

TEST(short_reads_of_every_size) {
    receive_in_pieces(false);
}

TEST(short_reads_of_every_size_with_interruptions) {
    receive_in_pieces(true);
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
    return number == SYS_sendto || number == SYS_recvfrom
           || number == SYS_recvmsg || number == SYS_accept4;
}

static verdict_t disappoint(void *context, const syscall_t *call) {
    hope_t *hope = (hope_t *) context;
    if (is_wait(call)) {
        if (hope->waits++ == 0) {
            hope->kind->when_waiting(&hope->scene);
        }
    } else if (hope->waits > 0 && is_transfer(call->number)
               && hope->disappointments-- > 0) {
        return inject_error(EAGAIN);
    }
    return inject_nothing();
}

static void begin(hope_t *hope, const scene_kind_t *kind) {
    memset(hope, 0, sizeof(*hope));
    hope->kind = kind;
    scene_begin(&hope->scene, kind);
}

TEST(nothing_after_poll_said_ready_is_waited_out) {
    enum { TIMES = 5 };
    size_t i;
    int seen = 0;
    scenes_enter_network();
    inject_begin();
    for (i = 0; i < SCENE_COUNT; ++i) {
        const scene_kind_t *kind = &SCENES[i];
        hope_t hope;
        if (!kind->when_waiting || !strstr(kind->name, ", waiting")) {
            continue;
        }
        begin(&hope, kind);
        hope.disappointments = TIMES;
        inject_run(act, &hope, disappoint, &hope);
        CHECK_OK(hope.error);
        CHECK_STR("", hope.waits > TIMES ? "" : kind->name);
        CHECK_INT(kind->after, state_of(scene_subject(&hope.scene)));
        kind->strike(&hope.scene);
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

static void run_with_false_hopes(attempt_t *attempt) {
    inject_run(wait_begin, attempt, ready_for_nothing, NULL);
}

TEST(ready_for_ever_and_nothing_there_ends_at_the_deadline) {
    size_t i;
    waits_last(MS(200));
    inject_begin();
    for (i = 0; i < WAIT_COUNT; ++i) {
        attempt_t attempt;
        if (WAITS[i].place == CONNECTED_TO_SILENCE
                || WAITS[i].place == LISTENING) {
            wait_for_nothing(&WAITS[i], run_with_false_hopes, &attempt);
            wait_check(&attempt);
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

/* A signal every 100 us from now on, to one thread or (0) to any that takes it;
   its handler is installed without SA_RESTART. */
static timer_t start_storm(pid_t tid) {
    struct sigaction action;
    struct sigevent event;
    struct itimerspec interval;
    timer_t timer;
    memset(&action, 0, sizeof(action));
    action.sa_handler = count_signal;
    sigaction(SIGUSR2, &action, NULL);
    memset(&event, 0, sizeof(event));
    event.sigev_notify = tid ? SIGEV_THREAD_ID : SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR2;
    event.sigev_notify_thread_id = tid;
    SYS(timer_create(CLOCK_MONOTONIC, &event, &timer));
    memset(&interval, 0, sizeof(interval));
    interval.it_interval.tv_nsec = interval.it_value.tv_nsec = 100 * 1000;
    SYS(timer_settime(timer, 0, &interval, NULL));
    return timer;
}

/* Fewer come on a busy machine, which delivers one for several. */
#define SIGNALS_AT_LEAST 100

static void wait_in_a_storm(void *arg) {
    attempt_t *attempt = (attempt_t *) arg;
    /* To helper threads as well, where there are any. */
    bool to_all = attempt->wait->place >= WITHOUT_DNS;
    timer_t timer =
            start_storm(to_all ? 0 : (pid_t) syscall(SYS_gettid));
    wait_begin(attempt);
    SYS(timer_delete(timer));
}

static void run_in_a_storm(attempt_t *attempt) {
    worker_t worker;
    signals = 0;
    worker_start(&worker, wait_in_a_storm, attempt);
    worker_join(&worker);
    if (signals < SIGNALS_AT_LEAST) {
        FAIL("%s: %d signals", attempt->wait->name, (int) signals);
    }
}

TEST(signals_without_end_do_not_move_deadlines) {
    int dns = waits_enter_network();
    size_t i;
    waits_last(MS(200));
    for (i = 0; i < WAIT_COUNT; ++i) {
        attempt_t attempt;
        wait_for_nothing(&WAITS[i], run_in_a_storm, &attempt);
        wait_check(&attempt);
    }
    SYS(close(dns));
}

static void act_in_a_storm(void *arg) {
    hope_t *hope = (hope_t *) arg;
    enum { ROUNDS = 30 };
    timer_t timer = start_storm((pid_t) syscall(SYS_gettid));
    int round;
    for (round = 0; round < ROUNDS; ++round) {
        const scene_kind_t *kind = hope->kind;
        begin(hope, kind);
        act(hope);
        if (hope->error.code != 0) {
            FAIL("%s: %s in a storm", kind->name, code_name(hope->error.code));
        }
        kind->strike(&hope->scene);
    }
    SYS(timer_delete(timer));
}

TEST(signals_without_end_disturb_no_method) {
    size_t i;
    scenes_enter_network();
    for (i = 0; i < SCENE_COUNT; ++i) {
        worker_t worker;
        hope_t hope;
        /* Those that wait have their own cases. */
        if (!SCENES[i].when_waiting) {
            hope.kind = &SCENES[i];
            worker_start(&worker, act_in_a_storm, &hope);
            worker_join(&worker);
        }
    }
    CHECK(signals > 0);
}

typedef struct {
    sock_t *socket;
    size_t length;
} bulk_t;

enum { BULK = 16 * 1024 * 1024 };

static char bulk_byte(size_t place) {
    return (char) (place * 31 + (place >> 12));
}

static void send_bulk(void *arg) {
    bulk_t *bulk = (bulk_t *) arg;
    timer_t timer = start_storm((pid_t) syscall(SYS_gettid));
    char *bytes = (char *) malloc(BULK);
    size_t i;
    for (i = 0; i < BULK; ++i) {
        bytes[i] = bulk_byte(i);
    }
    CHECK_OK(V(bulk->socket)->send(bulk->socket, bytes, BULK));
    SYS(timer_delete(timer));
    free(bytes);
}

static void receive_bulk(void *arg) {
    bulk_t *bulk = (bulk_t *) arg;
    timer_t timer = start_storm((pid_t) syscall(SYS_gettid));
    static char bytes[7777];
    while (bulk->length < BULK) {
        size_t length;
        size_t i;
        CHECK_OK(V(bulk->socket)->receive(bulk->socket, &length, bytes,
                                          sizeof(bytes)));
        CHECK(length > 0);
        for (i = 0; i < length; ++i) {
            CHECK_INT(bulk_byte(bulk->length + i), bytes[i]);
        }
        bulk->length += length;
    }
    SYS(timer_delete(timer));
}

TEST(signals_without_end_lose_no_byte_of_a_stream) {
    config_t config = reuse_config();
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    bulk_t one = { NULL, 0 };
    bulk_t other = { NULL, 0 };
    worker_t workers[2];
    one.socket = new_tcp(&config);
    other.socket = new_tcp(&config);
    CHECK_OK(V(one.socket)->connect(one.socket, "127.0.0.1", local_port(server)));
    CHECK_OK(V(server)->accept(server, other.socket));
    worker_start(&workers[0], send_bulk, &one);
    worker_start(&workers[1], receive_bulk, &other);
    worker_join(&workers[0]);
    worker_join(&workers[1]);
    CHECK_INT(BULK, bytes_sent(one.socket));
    CHECK_INT(BULK, bytes_received(other.socket));
    CHECK(signals > SIGNALS_AT_LEAST);
    dispose(&one.socket);
    dispose(&other.socket);
    dispose(&server);
}
