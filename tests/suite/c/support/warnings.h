/*
 * Log lines of level warning and above, counted instead of shown.
 */

#ifndef WARNINGS_H
#define WARNINGS_H

/* Counts from 0. The log handler is then another one. */
void count_warnings(void);

int warnings_counted(void);

#endif /* WARNINGS_H */
