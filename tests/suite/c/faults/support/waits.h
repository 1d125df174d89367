/*
 * Every call that can wait, in a place where nothing ever happens.
 */

#ifndef WAITS_H
#define WAITS_H

#include "fixture.h"

/* A wait ends this much later than it should at the most. */
#define GRACE MS(150)

typedef enum {
    CONNECTED_TO_SILENCE,
    LISTENING,
    TO_A_BLACK_HOLE,
    /* Needs the network of waits_enter_network(). */
    WITHOUT_DNS,
    BOUND_WITHOUT_DNS
} place_t;

typedef struct {
    const char *name;
    int type;
    void (*body)(call_t *call);
    place_t place;
} wait_t;

extern const wait_t WAITS[];
extern const size_t WAIT_COUNT;

/* A network whose name server never answers. */
void waits_enter_network(void);

/* All timeouts of the process are that long. */
void waits_last(int64_t microseconds);

/* Makes the place, lets `run` make the call, and takes the place down. */
call_t wait_for_nothing(const wait_t *wait, void (*run)(call_t *call));

/* The same, and checks that the call said when the time was up. */
void check_wait(const wait_t *wait, void (*run)(call_t *call));

#endif /* WAITS_H */
