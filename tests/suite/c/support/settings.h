/*
 * The settings of the process, read and changed.
 */

#ifndef SETTINGS_H
#define SETTINGS_H

#include "anjay_net.h"

anjay_net_settings_t settings_in_force(void);

/* They are accepted. */
void configure(const anjay_net_settings_t *settings);

#endif /* SETTINGS_H */
