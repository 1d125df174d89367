/*
 * Memory runs out during a call: at its first allocation, at its second, and so
 * on until it needs no more. The call says ENOMEM, or does without; the socket
 * is as before, and the same call works when there is memory again.
 *
 * Each time in a process of its own, as Rust ends the process where an
 * allocation that it takes for granted fails.
 */

#include "support/heap.h"
#include "support/inject.h"
#include "support/scenes.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    const scene_kind_t *kind;
    scene_t scene;
    anjay_net_error_t error;
    long allocations; /* how many succeed */
    long refused;
} run_t;

static void act(void *arg) {
    run_t *run = (run_t *) arg;
    heap_refuse_after(run->allocations);
    run->error = run->kind->act(&run->scene);
    run->refused = heap_refuse_nothing();
}

static verdict_t let_go_on(void *context, const syscall_t *call) {
    run_t *run = (run_t *) context;
    if (is_wait(call) && run->kind->when_waiting) {
        run->kind->when_waiting(&run->scene);
    }
    return inject_nothing();
}

static void perform(run_t *run, long allocations) {
    run->allocations = allocations;
    inject_run(act, run, let_go_on, run);
}

/* What became of a process. */
typedef enum {
    ENOUGH = 10, /* no allocation was refused */
    DONE,        /* one was, and the call succeeded all the same */
    SAID         /* it said ENOMEM */
} fate_t;

static fate_t be_short_of_memory(const scene_kind_t *kind, long allocations) {
    run_t run;
    memset(&run, 0, sizeof(run));
    run.kind = kind;
    inject_begin();
    scene_begin(&run.scene, kind);
    perform(&run, allocations);
    fate_t fate = run.error.code ? SAID : run.refused ? DONE : ENOUGH;
    if (fate == SAID) {
        if (run.error.code != ANJAY_NET_ERRNO_ENOMEM) {
            /* A list that could not be made is NULL; pthread_create(3) says
               EAGAIN. */
            CHECK(strncmp(kind->name, "resolve_ex", 10) == 0
                    || strcmp(kind->name, "anjay_net_capture") == 0
                    || (kind->asks && run.error.code == ANJAY_NET_ERRNO_EAGAIN));
        }
        CHECK(run.refused > 0);
        CHECK_INT(kind->before, scene_state(&run.scene));
        perform(&run, 1000000);
        CHECK_OK(run.error);
    }
    CHECK_INT(kind->after, scene_state(&run.scene));
    scene_end(&run.scene);
    return fate;
}

/* What became of a process in which the call had so many allocations. */
static int fate_of(const scene_kind_t *kind, long allocations) {
    int status;
    pid_t child = (pid_t) SYS(fork());
    if (child == 0) {
        _exit(be_short_of_memory(kind, allocations));
    }
    SYS(waitpid(child, &status, 0));
    if (WIFSIGNALED(status)) {
        FAIL("%s: ended by signal %d at allocation %ld", kind->name, WTERMSIG(status), allocations);
    }
    return WEXITSTATUS(status);
}

TEST(calls_say_that_memory_ran_out_and_work_later) {
    long said = 0;
    scenes_enter_network();
    for (size_t i = 0; i < SCENE_COUNT; ++i) {
        int fate = DONE;
        for (long allocations = 0; fate != ENOUGH; ++allocations) {
            fate = fate_of(&SCENES[i], allocations);
            said += fate == SAID;
            CHECK(fate >= ENOUGH && fate <= SAID);
        }
    }
    /* Both creates, both unusual ways to write an address, the option, the
       interface's name, the lists. */
    CHECK(said >= 20);
}
