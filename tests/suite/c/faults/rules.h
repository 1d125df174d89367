/*
 * What comes of a system call that fails; for faults.c.
 */

#ifndef FAULTS_RULES_H
#define FAULTS_RULES_H

#include <errno.h>
#include <sys/syscall.h>

/* Beside the numbers of system calls: all of them. */
#define ANY_CALL (-1)

/* What comes of a fault. */
typedef enum {
    ITSELF,  /* the call says what the system call said */
    NOTHING, /* the call does without, and succeeds */
    EITHER,  /* one or the other */
    RESET,   /* the call says ECONNRESET: the stream ended */
    RESOLVER /* either, or EADDRNOTAVAIL (bind: EINVAL): no such address; or ETIMEDOUT:
                the system resolver can't tell for the moment */
} consequence_t;

typedef struct {
    int number; /* SYS_... or ANY_CALL */
    int error;  /* 0 for all */
    consequence_t consequence;
    const char *scenes; /* the beginning of their names; "" for all */
} rule_t;

/* The first that fits; ITSELF if none does. */
static const rule_t RULES[] = {
    /* The number is given back whatever close(2) says. */
    { SYS_close, 0, NOTHING, "" },
    /* A call that was interrupted is made again. */
    { ANY_CALL, EINTR, NOTHING, "" },
    /* The wait for the name's addresses; and the one for the handshake, whose end
       the socket's own error tells as well. */
    { SYS_ppoll, 0, EITHER, "connect, TCP, to a name" },
    { SYS_ppoll, 0, NOTHING, "connect, TCP" },
    /* A tie that can't be told is made again; the bits of ECN are kept. */
    { SYS_getsockopt, 0, EITHER, "connect, UDP" },
    /* What is queued can be looked through later. */
    { SYS_recvmsg, 0, NOTHING, "connect, UDP" },
    /* if_nametoindex(3) asks a socket of another family, or finds no such
       interface; if_indextoname(3) leaves the number. */
    { SYS_socket, 0, NOTHING, "connect, UDP, with a scope" },
    { SYS_ioctl, 0, RESOLVER, "connect, UDP, with a scope" },
    { ANY_CALL, 0, NOTHING, "get_host_port" },
    /* Of statistics and captures it is the file itself. */
    { SYS_openat, 0, ITSELF, "anjay_net_" },
    { SYS_statx, 0, ITSELF, "anjay_net_" },
    /* The list of what is configured can't be read: all is asked for. A
       notification that could not be taken wakes the call once more. */
    { SYS_openat, 0, NOTHING, "" },
    { SYS_statx, 0, NOTHING, "" },
    { SYS_read, 0, NOTHING, "" },
    /* The datagram is lost, as on a network that drops it. */
    { SYS_sendto, ENOBUFS, NOTHING, "send, UDP" },
    { SYS_sendto, EPERM, NOTHING, "send, UDP" },
    { SYS_sendto, ENETDOWN, NOTHING, "send, UDP" },
    { SYS_sendto, ENOBUFS, NOTHING, "send_to, UDP" },
    { SYS_sendto, EPERM, NOTHING, "send_to, UDP" },
    /* It may be the error of an earlier datagram: this one is sent again. */
    { SYS_sendto, EHOSTUNREACH, NOTHING, "send, UDP" },
    { SYS_sendto, EHOSTUNREACH, NOTHING, "send_to, UDP" },
    { SYS_eventfd2, 0, EITHER, "accept, UDP" },
    /* What ICMP and the kernel end a stream with. */
    { SYS_sendto, ENETDOWN, RESET, "send, TCP" },
    { SYS_sendto, ENETDOWN, RESET, "send_to, TCP" },
    { SYS_recvfrom, ENETDOWN, RESET, "receive, TCP" },
    { SYS_recvfrom, ENETDOWN, RESET, "receive_from, TCP" },
    { SYS_sendto, EHOSTUNREACH, RESET, "send, TCP" },
    { SYS_sendto, EHOSTUNREACH, RESET, "send_to, TCP" },
    { SYS_recvfrom, EHOSTUNREACH, RESET, "receive, TCP" },
    { SYS_recvfrom, EHOSTUNREACH, RESET, "receive_from, TCP" },
    /* "::", then "0.0.0.0". */
    { ANY_CALL, 0, NOTHING, "bind, UDP, anywhere" },
    { ANY_CALL, 0, NOTHING, "bind, TCP, anywhere" },
    /* accept(2): errors of the network are those of a peer that gave up. */
    { SYS_accept4, ENETDOWN, NOTHING, "accept" },
    { SYS_accept4, EHOSTUNREACH, NOTHING, "accept" },
    { SYS_accept4, EPERM, NOTHING, "accept" },
    /* Its packets are not counted. */
    { SYS_getsockopt, 0, NOTHING, "close, TCP" },
    { SYS_getsockopt, 0, NOTHING, "cleanup, TCP" },
    /* There is nothing left to end. */
    { SYS_shutdown, 0, NOTHING, "shutdown" },
    /* Then it is what every path carries. */
    { SYS_getsockopt, 0, NOTHING, "get_opt, inner MTU" },
};

#endif /* FAULTS_RULES_H */
