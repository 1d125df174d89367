/*
 * Faults beneath the library: every system call of one thread, and of the
 * threads that it starts, is shown to the test before the kernel makes it, and
 * the test says what comes of it. Done with the kernel's own means (seccomp
 * user notification, Linux 5.5), so nothing escapes: neither calls through the
 * C library nor those that it or Rust's standard library make by themselves.
 *
 * Calls about memory, threads and signals are not shown: what they decide is
 * injected where memory is allocated, see heap.h.
 */

#ifndef INJECT_H
#define INJECT_H

#include "check.h"

#include <linux/seccomp.h>

/* A system call that is about to be made. */
typedef struct {
    int number;        /* SYS_... */
    bool by_helper;    /* by a thread that the call under test started */
    const __u64 *args; /* pointers among them may be followed */
} syscall_t;

/* What comes of it. */
typedef struct {
    bool is_made; /* the kernel makes it; else: */
    int error;    /* errno; 0 for none, then */
    long result;  /* what it returns */
} verdict_t;

verdict_t inject_nothing(void);
verdict_t inject_error(int error);
verdict_t inject_result(long result);

typedef verdict_t (*judge_t)(void *context, const syscall_t *call);

/* Starts the thread whose calls are shown. Once for each process. */
void inject_begin(void);

/* Runs `body(arg)` in that thread, and asks `judge` about each of its calls, in
   the calling thread. */
void inject_run(void (*body)(void *), void *arg, judge_t judge, void *context);

/* Ends the thread. */
void inject_end(void);

/* Whether the call waits for descriptors, and would not return at once. */
bool is_wait(const syscall_t *call);

/* The name of a system call, such as "sendto". */
const char *syscall_name(int number);

#endif /* INJECT_H */
