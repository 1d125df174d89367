/*
 * Every call that can wait, in a place where nothing ever happens.
 */

#ifndef WAITS_H
#define WAITS_H

#include "pair.h"

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
    /* Of the socket, or the new one of accept. */
    anjay_net_error_t (*call)(sock_t *socket, sock_t *other, const char *port);
    place_t place;
} wait_t;

extern const wait_t WAITS[];
extern const size_t WAIT_COUNT;

/* One such call. */
typedef struct {
    const wait_t *wait;
    sock_t *socket;
    sock_t *other;
    const char *port;
    anjay_net_error_t error;
    int64_t began;
    int64_t ended;
} attempt_t;

/* A network whose name server never answers; gives the name server's
   descriptor. */
int waits_enter_network(void);

/* All timeouts of the process are that long. */
void waits_last(int64_t microseconds);

/* Makes the place, lets `run` make the call, and takes the place down. */
void wait_for_nothing(const wait_t *wait,
                      void (*run)(attempt_t *),
                      attempt_t *attempt);

/* Makes the call; takes an attempt_t. */
void wait_begin(void *arg);

/* It ended in time, and said so. */
void wait_check(const attempt_t *attempt);

#endif /* WAITS_H */
