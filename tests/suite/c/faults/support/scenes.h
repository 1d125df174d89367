/*
 * Every method and every exported function in the situations in which it makes
 * different system calls, ready to be called with a fault beneath it: what it
 * needs is set up, the call is made, what it left is taken down. A call that
 * failed can be made again on the same scene.
 */

#ifndef SCENES_H
#define SCENES_H

#include "fixture.h"

typedef struct {
    sock_t *socket;
    sock_t *other; /* accept: the new socket */
    peer_t peer;   /* at the other end, or will be */
    char port[16];
    char buffer[64];
    size_t length;
    value_t value;
    endpoint_t endpoint;
    anjay_net_addrinfo_t *list;
    char directory[32];
    char path[48]; /* of a file in it */
    size_t mark;
} scene_t;

typedef struct {
    const char *name;
    void (*set)(scene_t *scene);
    /* The call. */
    anjay_net_error_t (*act)(scene_t *scene);
    /* What the call waits for happens; NULL for calls that do not wait. */
    void (*when_waiting)(scene_t *scene);
    /* The state of the socket before the call, or after it failed, and after it
       succeeded; of the new one where the call makes one. -1: there is none. */
    int before;
    int after;
    /* The system resolver is asked. */
    bool asks;
} scene_kind_t;

extern const scene_kind_t SCENES[];
extern const size_t SCENE_COUNT;

/* The network in which the scenes take place; first thing in a case. */
void scenes_enter_network(void);

/* Sets a scene of this kind, and takes it down. */
void scene_begin(scene_t *scene, const scene_kind_t *kind);
void scene_end(scene_t *scene);

/* The socket that `before` and `after` are about; NULL for none. */
sock_t *scene_subject(const scene_t *scene);

/* Its state, -1 for none. */
int scene_state(const scene_t *scene);

/* The code that stands for an errno, of those that come up here. */
unsigned code_of(int error);

#endif /* SCENES_H */
