#include "settings.h"

#include "check.h"

#include <string.h>

anjay_net_settings_t settings_in_force(void) {
    anjay_net_settings_t settings;
    memset(&settings, 0, sizeof(settings));
    settings.size = sizeof(settings);
    CHECK_INT(0, anjay_net_get_settings(&settings));
    return settings;
}

void configure(const anjay_net_settings_t *settings) {
    const char *problem = NULL;
    if (anjay_net_configure(settings, &problem) != 0) {
        FAIL("the settings are refused: %s", problem ? problem : "no reason");
    }
}
