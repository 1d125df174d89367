/*
 * Calls that close ends while another thread is inside: whatever has happened
 * to the descriptor meanwhile, also when nothing can be made any more, and
 * nothing is held afterwards.
 */

#include "dns.h"
#include "fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* -------------------------------------------------- calls under way --- */

static void send_to_a_name(call_t *call) {
    call->error = V(call->socket)->send_to(call->socket, "x", 1, "server.test",
                                           "5683");
}

static const dns_record_t SILENCE[] = { { NULL, DNS_ANY_TYPE, NULL, DNS_NOERROR,
                                          DNS_SILENT } };

/* The lookup of a send_to is ended by close, whatever has happened to the
   socket's file meanwhile. */
SLOW_TEST(close_ends_a_send_to_that_began_before_an_accept) {
    size_t i;
    sandbox_enter("127.0.0.1 localhost\n",
                  "nameserver 127.0.0.53\noptions timeout:3 attempts:1\n");
    for (i = 0; i < LEN(UDP_PLACES); ++i) {
        dns_t *dns = dns_start("127.0.0.53", SILENCE, LEN(SILENCE));
        sock_t *server = udp_server(UDP_PLACES[i].address);
        sock_t *socket = udp_target();
        peer_t peer = peer_connect(UDP_PLACES[i].peer_family, SOCK_DGRAM,
                                   local_port(server));
        call_t call = call_on(server, send_to_a_name);
        int64_t start;
        call_start_waiting(&call);
        SYS(send(peer.fd, "hello", 5, 0));
        CHECK_OK(V(server)->accept(server, socket));
        start = now_us();
        if (i % 2) {
            CHECK_OK(V(server)->close(server));
        }
        dispose(&server);
        worker_join(&call.worker);
        CHECK_WAITED(start, 0, PROMPT);
        CHECK_ERR(EBADF, call.error);
        dns_stop(&dns);
    }
}

/* Looks whether a thread of this process waits, from a process that has
   descriptors to spare. */
typedef struct {
    pid_t pid;
    int end; /* of a pair of sockets */
} watcher_t;

static bool waits_or_is_gone(pid_t process, pid_t thread) {
    char path[64];
    char state[64] = "";
    FILE *file;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int) process,
             (int) thread);
    file = fopen(path, "r");
    if (!file || !fgets(state, sizeof(state), file)) {
        return true; /* it has ended */
    }
    fclose(file);
    return state[0] >= '0' && state[0] <= '9';
}

static void watch_threads(int end, pid_t process) {
    pid_t thread;
    alarm(60);
    while (read(end, &thread, sizeof(thread)) == sizeof(thread)) {
        int sightings = 0;
        while (sightings < 20) {
            sightings = waits_or_is_gone(process, thread) ? sightings + 1 : 0;
            poll(NULL, 0, 1);
        }
        if (write(end, &thread, sizeof(thread)) != sizeof(thread)) {
            break;
        }
    }
    _exit(0);
}

static watcher_t watcher_start(void) {
    watcher_t watcher;
    pid_t process = getpid();
    int ends[2];
    SYS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    watcher.pid = (pid_t) SYS(fork());
    if (watcher.pid == 0) {
        close(ends[0]);
        watch_threads(ends[1], process);
    }
    SYS(close(ends[1]));
    watcher.end = ends[0];
    return watcher;
}

static void watcher_wait_blocked(const watcher_t *watcher,
                                 const worker_t *worker) {
    pid_t thread = worker->tid;
    SYS(write(watcher->end, &thread, sizeof(thread)));
    CHECK_INT(sizeof(thread), SYS(read(watcher->end, &thread, sizeof(thread))));
}

static void watcher_stop(watcher_t *watcher) {
    SYS(close(watcher->end));
    SYS(waitpid(watcher->pid, NULL, 0));
}

/* Nothing can be made any more, no pipe and no eventfd: the call is ended all
   the same, or has said at once that it can't wait. */
static void check_close_ends(int type,
                             void (*body)(call_t *),
                             sock_t *socket,
                             const char *port,
                             int spare) {
    config_t config = reuse_config();
    watcher_t watcher = watcher_start();
    struct rlimit before;
    call_t call = call_on(socket, body);
    int64_t start;
    call.port = port;
    call.other = new_socket(type, &config);
    set_timeout_us(socket, MS(30000));
    be_short_of_descriptors(&before, spare);
    call_start(&call);
    watcher_wait_blocked(&watcher, &call.worker);
    if (worker_finished(&call.worker)) {
        /* It did not begin to wait. */
        worker_join(&call.worker);
        CHECK_ERR(EMFILE, call.error);
        CHECK_OK(V(socket)->close(socket));
    } else {
        start = now_us();
        CHECK_OK(V(socket)->close(socket));
        worker_join(&call.worker);
        CHECK_WAITED(start, 0, PROMPT);
        CHECK_ERR(EBADF, call.error);
    }
    SYS(setrlimit(RLIMIT_NOFILE, &before));
    watcher_stop(&watcher);
}

static void (*const RECEIVES[])(call_t *) = { do_receive, do_receive_from };

SLOW_TEST_EACH(close_ends_every_receive_without_a_descriptor_to_spare, RECEIVES) {
    peer_t peer;
    int type;
    check_close_ends(UDP, *it, bound_udp("127.0.0.1", NULL), NULL,
                     0);
    for (type = TCP; type <= UDP; ++type) {
        sock_t *socket = connected_pair(type, &peer);
        check_close_ends(type, *it, socket, NULL, 0);
    }
}

SLOW_TEST(close_ends_every_other_wait_without_a_descriptor_to_spare) {
    config_t config = reuse_config();
    blackhole_t hole = blackhole_open(AF_INET);
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    check_close_ends(TCP, do_send, socket, NULL, 0);
    peer_close(&peer);
    check_close_ends(TCP, do_accept, listening_tcp("127.0.0.1", &config), NULL, 0);
    check_close_ends(UDP, do_accept, bound_udp("127.0.0.1", &config), NULL, 0);
    /* A connect needs a descriptor of its own: the last one. */
    check_close_ends(TCP, do_connect, new_tcp(NULL), hole.listener.port, 1);
}

/* -------------------------------------------------------- released ports --- */

static void check_port_is_free_at_once(int type, void (*body)(call_t *)) {
    config_t config = reuse_config();
    char port[16] = "0";
    int round;
    for (round = 0; round < 200; ++round) {
        /* UDP without reuse_addr: nobody else may have the port. */
        call_t call = call_on(new_socket(type, type == TCP ? &config : NULL), body);
        call.other = new_socket(type, &config);
        set_timeout_us(call.socket, MS(30000));
        if (V(call.socket)->bind(call.socket, "127.0.0.1", port).code != 0) {
            FAIL("port %s is taken in round %d", port, round);
        }
        strcpy(port, local_port(call.socket));
        call_start_waiting(&call);
        CHECK_OK(V(call.socket)->close(call.socket));
        /* The other thread may still be on its way out. */
        dispose(&call.other);
        call.other = new_socket(type, type == TCP ? &config : NULL);
        if (V(call.other)->bind(call.other, "127.0.0.1", port).code != 0) {
            FAIL("port %s is still taken after close in round %d", port, round);
        }
        worker_join(&call.worker);
        dispose(&call.other);
        dispose(&call.socket);
    }
}

SLOW_TEST(port_is_free_when_close_returns) {
    check_port_is_free_at_once(UDP, do_receive);
    check_port_is_free_at_once(UDP, do_receive_from);
}

SLOW_TEST(port_of_a_listener_is_free_when_close_returns) {
    check_port_is_free_at_once(TCP, do_accept);
}
