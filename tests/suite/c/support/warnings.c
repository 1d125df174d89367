#include "warnings.h"

#include "anjay_net.h"
#include "check.h"

static int warnings;

static void count(void *arg, int level, const char *line) {
    (void) arg;
    (void) line;
    if (level >= ANJAY_NET_LOG_LEVEL_WARNING) {
        __atomic_add_fetch(&warnings, 1, __ATOMIC_SEQ_CST);
    }
}

void count_warnings(void) {
    __atomic_store_n(&warnings, 0, __ATOMIC_SEQ_CST);
    CHECK_INT(0, anjay_net_set_log_handler(count, NULL, ANJAY_NET_LOG_LEVEL_WARNING));
}

int warnings_counted(void) {
    return __atomic_load_n(&warnings, __ATOMIC_SEQ_CST);
}
