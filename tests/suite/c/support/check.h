/*
 * A small test harness: one process runs one case, the first failed check
 * ends it.
 *
 *     TEST(name) { CHECK_INT(4, 2 + 2); }
 *
 * `program --list` prints the names of all cases, and "slow" after those that
 * are; `program NAME` runs one. Every case also fails when it hangs, when
 * SIGPIPE is raised, and when it ends with more or fewer open descriptors than
 * it began with.
 *
 * C99, and C++11 as well.
 */

#ifndef CHECK_H
#define CHECK_H

#include "anjay_net_abi.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ------------------------------------------------------------- cases --- */

typedef struct check_case {
    const char *name;
    void (*body)(void);
    bool is_slow;
    struct check_case *next;
} check_case_t;

void check_register(check_case_t *test);

/* What main() of a program of cases does. */
int check_main(int argc, char **argv);

/* For programs that are no cases: what they do is called that from here on,
   and a hang or SIGPIPE ends them. */
void check_begin(const char *name);

#define TEST(Name) CHECK_CASE(Name, false)

/* It mostly waits, or is about real time: nothing for a memory checker. */
#define SLOW_TEST(Name) CHECK_CASE(Name, true)

#define CHECK_CASE(Name, IsSlow)                                            \
    static void test_##Name(void);                                          \
    static check_case_t case_##Name = { #Name, test_##Name, IsSlow, NULL }; \
    __attribute__((constructor)) static void register_##Name(void) {        \
        check_register(&case_##Name);                                       \
    }                                                                       \
    static void test_##Name(void)

/* A case that does the same for each row of a table: the body has a parameter,
   to which the rows are passed one after the other. */
#define TEST_ROWS(Name, Parameter, Count, Argument) \
    CHECK_ROWS(Name, false, Parameter, Count, Argument)
#define SLOW_TEST_ROWS(Name, Parameter, Count, Argument) \
    CHECK_ROWS(Name, true, Parameter, Count, Argument)

#define CHECK_ROWS(Name, IsSlow, Parameter, Count, Argument) \
    static void row_##Name(Parameter);                       \
    CHECK_CASE(Name, IsSlow) {                               \
        for (int row = 0; row < (int) (Count); ++row) {      \
            check_row(row);                                  \
            row_##Name(Argument);                            \
            run_deferred(0);                                 \
        }                                                    \
    }                                                        \
    static void row_##Name(Parameter)

/* `it` points to the row of an array. */
#define TEST_EACH(Name, Rows) CHECK_EACH(Name, false, Rows)
#define SLOW_TEST_EACH(Name, Rows) CHECK_EACH(Name, true, Rows)

#define CHECK_EACH(Name, IsSlow, Rows)                         \
    CHECK_ROWS(Name, IsSlow, const __typeof__((Rows)[0]) *it, \
            sizeof(Rows) / sizeof((Rows)[0]), &(Rows)[row])

/* Failures from here on name that row. */
void check_row(int row);

/* Calls `end(thing)` when the case, or its row, ends, in reverse order. */
void defer(void (*end)(void *), void *thing);

/* Takes that back, as it has ended already. */
void undefer(void (*end)(void *), void *thing);

/* Runs what was deferred since the mark; 0 is the beginning of the case. */
size_t defer_mark(void);
void run_deferred(size_t mark);

/* ------------------------------------------------------------ checks --- */

#define CHECK_TEXT_OF(Token) #Token
#define CHECK_TEXT(Token) CHECK_TEXT_OF(Token)
#define HERE __FILE__ ":" CHECK_TEXT(__LINE__) ": "

/* `where` begins with HERE, and names what was checked. */
__attribute__((noreturn, format(printf, 2, 3))) void check_fail(
        const char *where, const char *format, ...);
void check_int(const char *where, long long expected, long long actual);
void check_str(const char *where, const char *expected, const char *actual);
void check_bytes(const char *where, const void *expected, const void *actual, size_t size);
void check_code(const char *where, unsigned expected, anjay_net_error_t actual);
void check_either(const char *where, unsigned one, unsigned other, anjay_net_error_t actual);
void check_waited(const char *where, int64_t start_us, int64_t at_least_us, int64_t at_most_us);
long check_sys(const char *where, long result);

#define FAIL(...) check_fail(HERE, __VA_ARGS__)

#define CHECK(Condition)                        \
    do {                                        \
        if (!(Condition)) {                     \
            check_fail(HERE, "%s", #Condition); \
        }                                       \
    } while (0)

#define CHECK_INT(Expected, Actual) \
    check_int(HERE #Actual, (long long) (Expected), (long long) (Actual))

#define CHECK_STR(Expected, Actual) check_str(HERE #Actual, (Expected), (Actual))

#define CHECK_BYTES(Expected, Actual, Size) check_bytes(HERE #Actual, (Expected), (Actual), (Size))

/* A call through the v-table that must succeed. */
#define CHECK_OK(Call) check_code(HERE #Call, ANJAY_NET_ERRNO_NO_ERROR, (Call))

/* A call through the v-table that must fail with exactly this code. */
#define CHECK_ERR(Code, Call) check_code(HERE #Call, ANJAY_NET_ERRNO_##Code, (Call))

/* With one of these; NO_ERROR may be among them. */
#define CHECK_EITHER(One, Other, Call) \
    check_either(HERE #Call, ANJAY_NET_ERRNO_##One, ANJAY_NET_ERRNO_##Other, (Call))

/* A system call of the test itself, which must not fail; gives its result. */
#define SYS(Call) check_sys(HERE #Call, (long) (Call))

/* The name of an error code, such as "ECONNREFUSED". */
const char *code_name(unsigned code);

/* -------------------------------------------------------------- time --- */

/* Monotonic time in microseconds. */
int64_t now_us(void);

#define MS(Milliseconds) ((int64_t) (Milliseconds) * 1000)

/* How long after an event a woken call may return, in microseconds: far less
   than any timeout it could be mistaken for, far more than a busy machine
   needs. */
#define PROMPT MS(1000)

/* Time since `Start` is within bounds: never early at all, late by no more
   than scheduling explains (the upper bound grows under a memory checker). */
#define CHECK_WAITED(Start, AtLeastUs, AtMostUs) \
    check_waited(HERE, (Start), (AtLeastUs), (AtMostUs))

/* Whether the program runs under a memory checker, many times slower. */
bool is_slow(void);

/* ------------------------------------------------------- descriptors --- */

/* Number of descriptors this process has open. */
int count_descriptors(void);

/* ----------------------------------------------------------- threads --- */

typedef struct {
    pthread_t thread;
    pid_t tid;
    int finished;
    void (*body)(void *);
    void *arg;
} worker_t;

/* Starts `body(arg)` in a thread of its own. */
void worker_start(worker_t *worker, void (*body)(void *), void *arg);

/* Returns once the worker sits in a waiting system call for sockets. */
void worker_wait_blocked(worker_t *worker);

/* Whether the worker's body has returned. */
bool worker_finished(const worker_t *worker);

void worker_join(worker_t *worker);

/* Interrupts the worker with that many signals, a few milliseconds apart. The
   handler does nothing and is installed without SA_RESTART. */
void worker_signal(worker_t *worker, int count);

/* The same until it has finished; gives the number of signals sent. */
int worker_signal_storm(worker_t *worker);

/* The number of the system call that the thread sleeps in. */
enum { RUNNING = -1, GONE = -2 };
long sleeping_in(pid_t tid);

#endif /* CHECK_H */
