/*
 * Lookups under way: which of them a later call joins, what a change of
 * resolv.conf does, and what happens to them at the end of the process.
 */

#include "dns.h"
#include "fixture.h"
#include "netns.h"
#include "settings.h"

#include "anjay_net.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char HOSTS[] = "127.0.0.1 localhost\n";

/* The system resolver waits that long for an answer, and asks once. */
#define PATIENT "options timeout:5 attempts:1\n"

static const dns_record_t SILENCE[] = { { NULL, DNS_ANY_TYPE, NULL, DNS_NOERROR,
                                          DNS_SILENT } };
static const dns_record_t ANSWERS[] = {
    { NULL, DNS_A, "127.0.0.1", DNS_NOERROR, 0 },
    { NULL, DNS_AAAA, NULL, DNS_NOERROR, 0 }
};

static void set_lookups(unsigned timeout_ms, unsigned max_lookups) {
    anjay_net_settings_t settings = settings_in_force();
    settings.resolve_timeout_ms = timeout_ms;
    settings.max_lookups = max_lookups;
    configure(&settings);
}

typedef struct {
    const char *name;
    anjay_net_error_t error;
    int64_t waited_us;
} lookup_t;

static void look_up(void *arg) {
    lookup_t *lookup = (lookup_t *) arg;
    sock_t *socket = new_udp(NULL);
    int64_t start = now_us();
    lookup->error = V(socket)->connect(socket, lookup->name, "5683");
    lookup->waited_us = now_us() - start;
    dispose(&socket);
}

static lookup_t look_up_now(const char *name) {
    lookup_t lookup;
    lookup.name = name;
    look_up(&lookup);
    return lookup;
}

/* A lookup of server.test, which the name server at 127.0.0.53 has been asked for,
   and does not answer. */
static struct {
    dns_t *dns;
    worker_t worker;
    lookup_t lookup;
} hanging;

static void hang(unsigned timeout_ms, unsigned max_lookups, int questions) {
    sandbox_enter(HOSTS, "nameserver 127.0.0.53\n" PATIENT);
    set_lookups(timeout_ms, max_lookups);
    hanging.dns = dns_start("127.0.0.53", SILENCE, LEN(SILENCE));
    hanging.lookup.name = "server.test";
    worker_start(&hanging.worker, look_up, &hanging.lookup);
    dns_await(hanging.dns, "server.test", DNS_ANY_TYPE, questions);
}

/* From now on there is another name server, which answers. */
static dns_t *change_resolv_conf(void) {
    dns_t *dns = dns_start("127.0.0.54", ANSWERS, LEN(ANSWERS));
    rewrite_file("/etc/resolv.conf", "nameserver 127.0.0.54\n" PATIENT);
    return dns;
}

static void check_gave_up(int64_t timeout_us) {
    worker_join(&hanging.worker);
    CHECK_ERR(ETIMEDOUT, hanging.lookup.error);
    CHECK(hanging.lookup.waited_us >= timeout_us);
    CHECK(hanging.lookup.waited_us <= timeout_us + PROMPT);
    dns_stop(&hanging.dns);
}

/* As when the modem comes up: another name server, which answers. */
SLOW_TEST(change_of_resolv_conf_is_noticed_at_once) {
    lookup_t lookup;
    hang(3000, 8, 2);
    change_resolv_conf();
    lookup = look_up_now("server.test");
    CHECK_OK(lookup.error);
    CHECK(lookup.waited_us < PROMPT);
    CHECK_INT(1, dns_asked(hanging.dns, "server.test", DNS_A));
    check_gave_up(MS(3000));
}

/* The same for lists, send_to and bind, which ask for names as well. */
SLOW_TEST(change_of_resolv_conf_is_noticed_by_every_method) {
    sock_t *socket;
    anjay_net_addrinfo_t *list;
    int64_t start;
    hang(3000, 32, 2);
    change_resolv_conf();
    start = now_us();
    list = avs_net_addrinfo_resolve_ex(UDP,
                                       ANJAY_NET_AF_UNSPEC, "server.test", "5683",
                                       0, NULL);
    CHECK(list != NULL);
    avs_net_addrinfo_delete(&list);
    socket = new_udp(NULL);
    CHECK_OK(V(socket)->bind(socket, "server.test", "0"));
    CHECK_OK(V(socket)->send_to(socket, "x", 1, "server.test", "5683"));
    CHECK_WAITED(start, 0, PROMPT);
    dispose(&socket);
    check_gave_up(MS(3000));
}

/* Two seconds: long enough for a name server that is there, and shorter than
   what callers wait before they try again. */
SLOW_TEST(old_question_is_asked_again) {
    lookup_t lookup;
    hang(4000, 8, 2);
    poll(NULL, 0, 2200);
    dns_script(hanging.dns, ANSWERS, LEN(ANSWERS));
    lookup = look_up_now("server.test");
    CHECK_OK(lookup.error);
    CHECK(lookup.waited_us < PROMPT);
    CHECK_INT(2, dns_asked(hanging.dns, "server.test", DNS_A));
    /* The one that waits may have what the later one found. */
    worker_join(&hanging.worker);
    if (hanging.lookup.error.code != 0) {
        CHECK_ERR(ETIMEDOUT, hanging.lookup.error);
    }
}

SLOW_TEST(young_question_is_joined) {
    worker_t second;
    lookup_t lookup;
    hang(800, 8, 2);
    lookup.name = "server.test";
    worker_start(&second, look_up, &lookup);
    worker_join(&second);
    CHECK_ERR(ETIMEDOUT, lookup.error);
    CHECK_INT(1, dns_asked(hanging.dns, "server.test", DNS_A));
    CHECK_INT(1, dns_asked(hanging.dns, "server.test", DNS_AAAA));
    check_gave_up(MS(800));
}

/* The bound on threads holds for questions that are asked again, too: the call
   waits for its turn and says in time that there was none. */
SLOW_TEST(questions_asked_again_keep_the_bound_on_threads) {
    dns_t *alive;
    lookup_t lookup;
    hang(1000, 1, 1);
    alive = change_resolv_conf();
    lookup = look_up_now("server.test");
    CHECK(lookup.error.code == ANJAY_NET_ERRNO_EAGAIN
          || lookup.error.code == ANJAY_NET_ERRNO_ETIMEDOUT);
    CHECK(lookup.waited_us < MS(1000) + PROMPT);
    CHECK_INT(0, dns_asked(alive, "server.test", DNS_ANY_TYPE));
    check_gave_up(MS(1000));
    /* The threads have ended when the system resolver has given up. */
    while (look_up_now("server.test").error.code != 0) {
    }
}

/* exit(3) runs what the program has registered, with threads still there. */
SLOW_TEST(process_may_end_while_a_lookup_is_under_way) {
    int round;
    sandbox_enter(HOSTS, "nameserver 127.0.0.53\n" PATIENT);
    dns_start("127.0.0.53", SILENCE, LEN(SILENCE));
    for (round = 0; round < 5; ++round) {
        int status;
        pid_t child = (pid_t) SYS(fork());
        if (child == 0) {
            worker_t worker;
            lookup_t lookup;
            lookup.name = "server.test";
            worker_start(&worker, look_up, &lookup);
            worker_wait_blocked(&worker);
            exit(7);
        }
        SYS(waitpid(child, &status, 0));
        CHECK(WIFEXITED(status));
        CHECK_INT(7, WEXITSTATUS(status));
    }
}
