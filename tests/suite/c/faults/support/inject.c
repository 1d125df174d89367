#include "inject.h"

#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Begin and end of what is watched: a call that the library never makes. */
#define MARK SYS_getppid

/* How long a helper thread may go on after what it was started for. */
#define SETTLED_AFTER MS(20000)

/* Memory, threads, signals and time, which have no descriptors; and the way
   out. */
static const int NOT_SHOWN[] = { SYS_futex, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect,
    SYS_madvise, SYS_brk, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rt_sigreturn, SYS_sigaltstack,
    SYS_set_robust_list, SYS_rseq, SYS_exit, SYS_exit_group, SYS_sched_yield, SYS_clock_gettime,
    SYS_clock_nanosleep, SYS_restart_syscall, SYS_gettid, SYS_getpid, SYS_tgkill, SYS_prctl,
    SYS_sched_getaffinity };

#define SKIPPED (sizeof(NOT_SHOWN) / sizeof(NOT_SHOWN[0]))
#define HELPERS 16

static struct {
    pthread_t thread;
    pid_t tid;
    int listener;
    sem_t ready;
    sem_t go;
    void (*body)(void *);
    void *arg;
    pid_t helpers[HELPERS];
} watched;

verdict_t inject_nothing(void) {
    return (verdict_t){ true, 0, 0 };
}

verdict_t inject_error(int error) {
    return (verdict_t){ false, error, 0 };
}

verdict_t inject_result(long result) {
    return (verdict_t){ false, 0, result };
}

/* Shows the calls of this thread from here on; gives where they are shown. */
static int install_filter(void) {
    struct sock_filter filter[2 * SKIPPED + 2];
    struct sock_fprog program;
    struct sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_filter show = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    size_t length = 0;
    filter[length++] = load;
    for (size_t i = 0; i < SKIPPED; ++i) {
        struct sock_filter is_it =
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned) NOT_SHOWN[i], 0, 1);
        filter[length++] = is_it;
        filter[length++] = allow;
    }
    filter[length++] = show;
    program.len = (unsigned short) length;
    program.filter = filter;
    SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    return (int) SYS(syscall(
            SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

static void *watched_main(void *unused) {
    (void) unused;
    watched.tid = (pid_t) syscall(SYS_gettid);
    watched.listener = install_filter();
    sem_post(&watched.ready);
    for (;;) {
        sem_wait(&watched.go);
        if (!watched.body) {
            return NULL;
        }
        syscall(MARK);
        watched.body(watched.arg);
        syscall(MARK);
    }
}

/* sem_wait() that signals do not end. */
static void await(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0) {
        CHECK_INT(EINTR, errno);
    }
}

void inject_begin(void) {
    SYS(sem_init(&watched.ready, 0, 0));
    SYS(sem_init(&watched.go, 0, 0));
    if (pthread_create(&watched.thread, NULL, watched_main, NULL) != 0) {
        FAIL("can't start a thread: %s", strerror(errno));
    }
    await(&watched.ready);
}

static void answer(const struct seccomp_notif *shown, verdict_t verdict) {
    struct seccomp_notif_resp response;
    memset(&response, 0, sizeof(response));
    response.id = shown->id;
    if (verdict.is_made) {
        response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else {
        response.error = -verdict.error;
        response.val = verdict.error ? 0 : verdict.result;
    }
    /* ENOENT: a signal ended the call meanwhile, and it comes again. */
    if (ioctl(watched.listener, SECCOMP_IOCTL_NOTIF_SEND, &response) != 0) {
        CHECK_INT(ENOENT, errno);
    }
}

/* The next call that is shown. */
static void receive_call(struct seccomp_notif *shown) {
    do {
        memset(shown, 0, sizeof(*shown));
    } while (ioctl(watched.listener, SECCOMP_IOCTL_NOTIF_RECV, shown) != 0
            && (errno == EINTR || errno == ENOENT));
    CHECK(shown->id != 0);
}

static void remember_helper(pid_t tid) {
    for (size_t i = 0; i < HELPERS && watched.helpers[i] != tid; ++i) {
        if (watched.helpers[i] == 0) {
            watched.helpers[i] = tid;
            return;
        }
    }
}

/* Whether all wait for work, or are gone; the latter are forgotten. */
static bool helpers_are_parked(void) {
    for (size_t i = 0; i < HELPERS; ++i) {
        long number = watched.helpers[i] ? sleeping_in(watched.helpers[i]) : GONE;
        if (number == GONE) {
            watched.helpers[i] = 0;
        } else if (number != SYS_futex) {
            return false;
        }
    }
    return true;
}

/* Whether a call is shown within so many milliseconds. */
static bool wait_for_call(int milliseconds) {
    struct pollfd entry = { watched.listener, POLLIN, 0 };
    return poll(&entry, 1, milliseconds) > 0 && (entry.revents & POLLIN) != 0;
}

/* False for a mark. */
static bool judge_next(judge_t judge, void *context) {
    struct seccomp_notif shown;
    receive_call(&shown);
    syscall_t call = { shown.data.nr, (pid_t) shown.pid != watched.tid, shown.data.args };
    if (call.number == MARK) {
        answer(&shown, inject_nothing());
        return false;
    }
    if (call.by_helper) {
        remember_helper((pid_t) shown.pid);
    }
    answer(&shown, judge(context, &call));
    return true;
}

void inject_run(void (*body)(void *), void *arg, judge_t judge, void *context) {
    watched.body = body;
    watched.arg = arg;
    sem_post(&watched.go);
    /* Helper threads may have woken up by themselves. */
    while (judge_next(judge, context)) {
    }
    while (judge_next(judge, context)) {
    }
    /* What helper threads do after the call is still part of it. */
    int64_t give_up = now_us() + SETTLED_AFTER;
    while (wait_for_call(0) || !helpers_are_parked()) {
        CHECK(now_us() < give_up);
        if (wait_for_call(1)) {
            judge_next(judge, context);
        }
    }
}

void inject_end(void) {
    watched.body = NULL;
    sem_post(&watched.go);
    pthread_join(watched.thread, NULL);
    SYS(close(watched.listener));
}

bool is_wait(const syscall_t *call) {
    if (call->number == SYS_ppoll) {
        const struct timespec *timeout = (const struct timespec *) (uintptr_t) call->args[2];
        return !timeout || timeout->tv_sec != 0 || timeout->tv_nsec != 0;
    }
    return call->number == SYS_poll && (int) call->args[2] != 0;
}

const char *syscall_name(int number) {
    static const struct {
        int number;
        const char *name;
    } NAMES[] = {
#define NAME(Name) { SYS_##Name, #Name }
        NAME(socket), NAME(bind), NAME(listen), NAME(accept4), NAME(connect), NAME(setsockopt),
        NAME(getsockopt), NAME(getsockname), NAME(getpeername), NAME(sendto), NAME(recvfrom),
        NAME(recvmsg), NAME(sendmsg), NAME(shutdown), NAME(poll), NAME(ppoll), NAME(eventfd2),
        NAME(close), NAME(read), NAME(write), NAME(fcntl), NAME(dup3), NAME(ioctl), NAME(openat),
        NAME(newfstatat), NAME(fstat), NAME(lseek), NAME(uname), NAME(getrandom), NAME(clone3),
        NAME(clone), NAME(statx), NAME(sendmmsg), NAME(access), NAME(getuid), NAME(readlink),
        NAME(pread64), NAME(getdents64), NAME(rename), NAME(unlink), NAME(ftruncate), NAME(fsync),
        NAME(fdatasync), NAME(writev)
#undef NAME
    };
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); ++i) {
        if (NAMES[i].number == number) {
            return NAMES[i].name;
        }
    }
    return "(another call)";
}
