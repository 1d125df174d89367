/*
 * Object /26241, from the private range: how long the
 * device has been on.
 *
 *   0  seconds since the start, or since the last reset   read
 *   1  label, text                                        read, write
 *   2  reset                                              execute
 */

#ifndef UPTIME_OBJECT_H
#define UPTIME_OBJECT_H

#include <anjay/anjay.h>

/* Registers the object; 0 or a negative value. There is one at a time. */
int uptime_object_install(anjay_t *anjay);

/* Tells observers that the seconds have changed. */
void uptime_object_notify(anjay_t *anjay);

#endif /* UPTIME_OBJECT_H */
