/*
 * A network of the test's own: a namespace with nothing but loopback, and its
 * own /etc/hosts and /etc/resolv.conf. Call it first thing in a case; it lasts
 * until the process ends. Works for root, and where unprivileged user
 * namespaces are allowed.
 */

#ifndef SANDBOX_H
#define SANDBOX_H

/* `hosts` is the text of /etc/hosts, `resolv_conf` that of /etc/resolv.conf;
   the latter may be NULL: no name server, so unknown names fail at once. */
void sandbox_enter(const char *hosts, const char *resolv_conf);

/* A network with nothing but loopback, where this process may make one: no other
   program takes the ports that the case has left or is about to bind. */
void sandbox_leave_the_host_network(void);

/* A connect waits for the answers about both families, however busy the machine
   is, before it makes its choice. */
void sandbox_await_all_answers(void);

/* An address has a race to itself for so long, instead of 250 ms. */
void sandbox_set_attempt_delay(unsigned milliseconds);

/* The kernel answers "host unreachable" for this IPv4 network (a /24). */
void sandbox_make_unreachable(const char *network);

#endif /* SANDBOX_H */
