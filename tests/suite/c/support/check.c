#include "check.h"

#include "kernel.h"
#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Longer than the longest wait that the contract names (30 s), twice. */
#define CASE_SECONDS 75

static check_case_t *cases;
static const char *running = "(no case)";
static int running_row = -1;

void check_register(check_case_t *test) {
    test->next = cases;
    cases = test;
}

/* ---------------------------------------------------------- deferred --- */

static struct {
    void (*end)(void *);
    void *thing;
} deferred[1024];
static size_t deferred_count;
static pthread_mutex_t deferred_lock = PTHREAD_MUTEX_INITIALIZER;

void defer(void (*end)(void *), void *thing) {
    pthread_mutex_lock(&deferred_lock);
    CHECK(deferred_count < sizeof(deferred) / sizeof(deferred[0]));
    deferred[deferred_count].end = end;
    deferred[deferred_count++].thing = thing;
    pthread_mutex_unlock(&deferred_lock);
}

void undefer(void (*end)(void *), void *thing) {
    pthread_mutex_lock(&deferred_lock);
    size_t i = deferred_count;
    while (i > 0 && (deferred[i - 1].end != end || deferred[i - 1].thing != thing)) {
        --i;
    }
    if (i > 0) {
        --deferred_count;
        memmove(&deferred[i - 1], &deferred[i], (deferred_count - (i - 1)) * sizeof(deferred[0]));
    }
    pthread_mutex_unlock(&deferred_lock);
}

size_t defer_mark(void) {
    return deferred_count;
}

void run_deferred(size_t mark) {
    while (deferred_count > mark) {
        --deferred_count;
        deferred[deferred_count].end(deferred[deferred_count].thing);
    }
}

/* ------------------------------------------------------------ checks --- */

void check_row(int row) {
    running_row = row;
}

void check_fail(const char *where, const char *format, ...) {
    va_list args;
    fflush(stdout);
    fputs(where, stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (in case %s", running);
    if (running_row >= 0) {
        fprintf(stderr, ", row %d", running_row);
    }
    fputs(")\n", stderr);
    fflush(stderr);
    _exit(1);
}

void check_int(const char *where, long long expected, long long actual) {
    if (expected != actual) {
        check_fail(where, " is %lld, expected %lld", actual, expected);
    }
}

void check_str(const char *where, const char *expected, const char *actual) {
    if (strcmp(expected, actual) != 0) {
        check_fail(where, " is \"%s\", expected \"%s\"", actual, expected);
    }
}

void check_bytes(const char *where, const void *expected, const void *actual, size_t size) {
    const unsigned char *want = (const unsigned char *) expected;
    const unsigned char *got = (const unsigned char *) actual;
    for (size_t i = 0; i < size; ++i) {
        if (want[i] != got[i]) {
            check_fail(where, ": byte %lu of %lu is 0x%02x, expected 0x%02x", (unsigned long) i,
                    (unsigned long) size, got[i], want[i]);
        }
    }
}

void check_either(const char *where, unsigned one, unsigned other, anjay_net_error_t actual) {
    if (actual.code != one && actual.code != other) {
        check_fail(where, " gives %s (%u), expected %s%s%s", code_name(actual.code), actual.code,
                code_name(one), one == other ? "" : " or ", one == other ? "" : code_name(other));
    }
    if (actual.category != ANJAY_NET_ERRNO_CATEGORY
            && !(actual.code == 0 && actual.category == 0)) {
        check_fail(where, " gives an error of category %u, expected %d", actual.category,
                ANJAY_NET_ERRNO_CATEGORY);
    }
}

void check_code(const char *where, unsigned expected, anjay_net_error_t actual) {
    check_either(where, expected, expected, actual);
}

long check_sys(const char *where, long result) {
    if (result == -1) {
        check_fail(where, " of the test itself failed: %s", strerror(errno));
    }
    return result;
}

const char *code_name(unsigned code) {
    static const char *const NAMES[] = { "success", "E2BIG", "EACCES", "EADDRINUSE",
        "EADDRNOTAVAIL", "EAFNOSUPPORT", "EAGAIN", "EALREADY", "EBADF", "EBADMSG", "EBUSY",
        "ECHILD", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EDEADLK", "EDESTADDRREQ", "EDOM",
        "EEXIST", "EFAULT", "EFBIG", "EHOSTUNREACH", "EINPROGRESS", "EINTR", "EINVAL", "EIO",
        "EISCONN", "EISDIR", "ELOOP", "EMFILE", "EMLINK", "EMSGSIZE", "ENAMETOOLONG", "ENETDOWN",
        "ENETRESET", "ENETUNREACH", "ENFILE", "ENOBUFS", "ENODEV", "ENOENT", "ENOEXEC", "ENOLINK",
        "ENOMEM", "ENOMSG", "ENOPROTOOPT", "ENOSPC", "ENOSYS", "ENOTBLK", "ENOTCONN", "ENOTDIR",
        "ENOTEMPTY", "ENOTSOCK", "ENOTSUP", "ENOTTY", "ENXIO", "EOVERFLOW", "EPERM", "EPIPE",
        "EPROTO", "EPROTONOSUPPORT", "EPROTOTYPE", "ERANGE", "EROFS", "ESPIPE", "ESRCH",
        "ETIMEDOUT", "ETXTBSY", "EXDEV" };
    if (code < sizeof(NAMES) / sizeof(NAMES[0])) {
        return NAMES[code];
    }
    return code == ANJAY_NET_ERRNO_UNKNOWN_ERROR ? "unknown error" : "a code that does not exist";
}

/* -------------------------------------------------------------- time --- */

int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool is_slow(void) {
    return getenv("ANJAY_NET_TEST_SLOW") != NULL;
}

void check_waited(const char *where, int64_t start_us, int64_t at_least_us, int64_t at_most_us) {
    long long waited = now_us() - start_us;
    if (is_slow()) {
        at_most_us += MS(8000);
    }
    if (waited < at_least_us) {
        check_fail(
                where, "returned after %lld us, before %lld us", waited, (long long) at_least_us);
    }
    if (waited > at_most_us) {
        check_fail(where, "returned only after %lld us, expected by %lld us", waited,
                (long long) at_most_us);
    }
}

/* ------------------------------------------------------- descriptors --- */

/* Where the kernel has no getrandom(2), Rust's standard library opens this once
   for the whole process and keeps it. */
static bool is_random_device(const char *descriptor) {
    static const char DEVICE[] = "/dev/urandom";
    char path[64];
    char target[sizeof(DEVICE)];
    ssize_t length;
    snprintf(path, sizeof(path), "/proc/self/fd/%.20s", descriptor);
    length = readlink(path, target, sizeof(target));
    return length == sizeof(DEVICE) - 1 && memcmp(target, DEVICE, sizeof(DEVICE) - 1) == 0;
}

int count_descriptors(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) {
        FAIL("can't list /proc/self/fd: %s", strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        /* A memory checker's own descriptors sit at the top of the range. */
        if (entry->d_name[0] != '.' && atoi(entry->d_name) < 1000
                && !is_random_device(entry->d_name)) {
            ++count;
        }
    }
    closedir(directory);
    return count - 1; /* the directory itself */
}

/* ----------------------------------------------------------- threads --- */

static void *worker_main(void *arg) {
    worker_t *worker = (worker_t *) arg;
    __atomic_store_n(&worker->tid, (pid_t) syscall(SYS_gettid), __ATOMIC_RELEASE);
    worker->body(worker->arg);
    __atomic_store_n(&worker->finished, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void pause_briefly(void) {
    poll(NULL, 0, 1);
}

void worker_start(worker_t *worker, void (*body)(void *), void *arg) {
    memset(worker, 0, sizeof(*worker));
    worker->body = body;
    worker->arg = arg;
    if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
        FAIL("can't start a thread: %s", strerror(errno));
    }
    while (!__atomic_load_n(&worker->tid, __ATOMIC_ACQUIRE)) {
        pause_briefly();
    }
}

bool worker_finished(const worker_t *worker) {
    return __atomic_load_n(&worker->finished, __ATOMIC_ACQUIRE) != 0;
}

void worker_join(worker_t *worker) {
    pthread_join(worker->thread, NULL);
}

static bool waits_for_sockets(long number) {
    static const long WAITS[] = {
#ifdef SYS_poll
        SYS_poll,
#endif
#ifdef SYS_select
        SYS_select,
#endif
#ifdef SYS_epoll_wait
        SYS_epoll_wait,
#endif
#ifdef SYS_ppoll_time64
        SYS_ppoll_time64,
#endif
#ifdef SYS_accept
        SYS_accept,
#endif
        SYS_ppoll, SYS_pselect6, SYS_epoll_pwait, SYS_recvfrom, SYS_recvmsg, SYS_sendto,
        SYS_sendmsg, SYS_accept4, SYS_connect
    };
    /* Under an emulator the kernel's numbers are not those of our headers. */
    const char *list = getenv("ANJAY_NET_TEST_WAITS");
    if (list) {
        while (*list && atol(list) != number) {
            list += strcspn(list, ",");
            list += *list == ',';
        }
        return *list != '\0';
    }
    for (size_t i = 0; i < sizeof(WAITS) / sizeof(WAITS[0]); ++i) {
        if (WAITS[i] == number) {
            return true;
        }
    }
    return false;
}

long sleeping_in(pid_t tid) {
    char path[64];
    char line[64] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int) tid);
    FILE *file = fopen(path, "r");
    bool read_it = file && fgets(line, sizeof(line), file);
    if (file) {
        fclose(file);
    }
    if (!read_it) {
        return GONE;
    }
    /* "running", or the number followed by the arguments */
    long number = RUNNING;
    sscanf(line, "%ld", &number);
    return number;
}

void worker_wait_blocked(worker_t *worker) {
    int64_t give_up = now_us() + MS(20000);
    int sightings = 0;
    while (sightings < 3) {
        if (worker_finished(worker)) {
            FAIL("the call was to block, but returned");
        }
        if (now_us() > give_up) {
            FAIL("the call neither returned nor blocked in a system call");
        }
        sightings = waits_for_sockets(sleeping_in(worker->tid)) ? sightings + 1 : 0;
        pause_briefly();
    }
}

static void ignore_signal(int number) {
    (void) number;
}

void worker_signal(worker_t *worker, int count) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = ignore_signal;
    sigaction(SIGUSR1, &action, NULL);
    while (count-- > 0 && !worker_finished(worker)) {
        pthread_kill(worker->thread, SIGUSR1);
        poll(NULL, 0, 5);
    }
}

int worker_signal_storm(worker_t *worker) {
    int sent = 0;
    for (; !worker_finished(worker); ++sent) {
        worker_signal(worker, 1);
    }
    return sent;
}

/* -------------------------------------------------------------- main --- */

static void die_in_handler(const char *why) {
    /* Only async-signal-safe calls. */
    ssize_t ignored = write(2, why, strlen(why));
    ignored = write(2, ": in case ", 10);
    ignored = write(2, running, strlen(running));
    ignored = write(2, "\n", 1);
    (void) ignored;
    _exit(1);
}

static void on_alarm(int number) {
    (void) number;
    die_in_handler("hung, given up after 75 s");
}

static void on_sigpipe(int number) {
    (void) number;
    die_in_handler("SIGPIPE was raised");
}

/* Lookups of names that nobody waits for any more may go on a little; what is
   open after that is a leak. */
static void check_descriptors(int before) {
    int64_t give_up = now_us() + MS(25000);
    int after;
    /* It has descriptors of its own. */
    if (getenv("ANJAY_NET_TEST_SANITIZER")) {
        return;
    }
    while ((after = count_descriptors()) != before && now_us() < give_up) {
        pause_briefly();
    }
    if (before != after) {
        FAIL("the case began with %d open descriptors and ended with %d", before, after);
    }
}

void check_begin(const char *name) {
    running = name;
    signal(SIGALRM, on_alarm);
    signal(SIGPIPE, on_sigpipe);
    alarm(CASE_SECONDS);
}

static void run(const check_case_t *test) {
    check_begin(test->name);
    sandbox_leave_the_host_network();
    if (getenv("ANJAY_NET_TEST_KERNEL")) {
        become_linux_3_2();
    }
    int before = count_descriptors();
    test->body();
    run_deferred(0);
    running_row = -1;
    check_descriptors(before);
}

/* Several cases: each in a child of this process, which has all of a memory checker's
   start behind it. */
static bool passes_in_child(const check_case_t *test) {
    int status;
    pid_t child = fork();
    SYS(child);
    if (child == 0) {
        run(test);
        exit(0);
    }
    SYS(waitpid(child, &status, 0));
    if (status != 0) {
        fprintf(stderr, "%s ended with wait status 0x%04x\n", test->name, (unsigned) status);
    }
    return status == 0;
}

static int list_cases(void) {
    for (const check_case_t *test = cases; test; test = test->next) {
        printf("%s%s\n", test->name, test->is_slow ? " slow" : "");
    }
    return 0;
}

static const check_case_t *case_named(const char *name) {
    const check_case_t *test = cases;
    while (test && strcmp(test->name, name) != 0) {
        test = test->next;
    }
    if (!test) {
        fprintf(stderr, "no case %s\n", name);
        exit(2);
    }
    return test;
}

int check_main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s --list | CASE...\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[1], "--list") == 0) {
        return list_cases();
    }
    if (argc == 2) {
        run(case_named(argv[1]));
        return 0;
    }
    int failed = 0;
    for (int i = 1; i < argc; ++i) {
        failed += !passes_in_child(case_named(argv[i]));
    }
    return failed > 0;
}
