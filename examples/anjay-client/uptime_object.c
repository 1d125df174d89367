#include "uptime_object.h"

#include <stdint.h>
#include <string.h>

#include <avsystem/commons/avs_time.h>

enum { OBJECT = 26241, INSTANCE = 0 };

enum { SECONDS = 0, LABEL = 1, RESET = 2 };

/* The only instance. A failed transaction restores the copy of the label. */
static struct {
    avs_time_monotonic_t since;
    char label[32];
    char label_before[32];
} g_uptime = { .label = "anjay-client" };

static int list_resources(anjay_t *anjay,
                          const anjay_dm_object_def_t *const *object,
                          anjay_iid_t iid,
                          anjay_dm_resource_list_ctx_t *resources) {
    (void) anjay;
    (void) object;
    (void) iid;
    anjay_dm_emit_res(resources, SECONDS, ANJAY_DM_RES_R, ANJAY_DM_RES_PRESENT);
    anjay_dm_emit_res(resources, LABEL, ANJAY_DM_RES_RW, ANJAY_DM_RES_PRESENT);
    anjay_dm_emit_res(resources, RESET, ANJAY_DM_RES_E, ANJAY_DM_RES_PRESENT);
    return 0;
}

static int64_t seconds(void) {
    int64_t seconds = 0;
    avs_time_duration_to_scalar(&seconds, AVS_TIME_S,
                                avs_time_monotonic_diff(avs_time_monotonic_now(),
                                                        g_uptime.since));
    return seconds;
}

static int read_resource(anjay_t *anjay,
                         const anjay_dm_object_def_t *const *object,
                         anjay_iid_t iid,
                         anjay_rid_t rid,
                         anjay_riid_t riid,
                         anjay_output_ctx_t *output) {
    (void) anjay;
    (void) object;
    (void) iid;
    (void) riid;
    switch (rid) {
    case SECONDS:
        return anjay_ret_i64(output, seconds());
    case LABEL:
        return anjay_ret_string(output, g_uptime.label);
    default:
        return ANJAY_ERR_METHOD_NOT_ALLOWED;
    }
}

static int write_resource(anjay_t *anjay,
                          const anjay_dm_object_def_t *const *object,
                          anjay_iid_t iid,
                          anjay_rid_t rid,
                          anjay_riid_t riid,
                          anjay_input_ctx_t *input) {
    (void) anjay;
    (void) object;
    (void) iid;
    (void) riid;
    return rid == LABEL ? anjay_get_string(input, g_uptime.label, sizeof(g_uptime.label))
                        : ANJAY_ERR_METHOD_NOT_ALLOWED;
}

static int execute_resource(anjay_t *anjay,
                            const anjay_dm_object_def_t *const *object,
                            anjay_iid_t iid,
                            anjay_rid_t rid,
                            anjay_execute_ctx_t *arguments) {
    (void) object;
    (void) iid;
    (void) arguments;
    if (rid != RESET) {
        return ANJAY_ERR_METHOD_NOT_ALLOWED;
    }
    g_uptime.since = avs_time_monotonic_now();
    uptime_object_notify(anjay);
    return 0;
}

static int begin(anjay_t *anjay, const anjay_dm_object_def_t *const *object) {
    (void) anjay;
    (void) object;
    memcpy(g_uptime.label_before, g_uptime.label, sizeof(g_uptime.label));
    return 0;
}

static int rollback(anjay_t *anjay, const anjay_dm_object_def_t *const *object) {
    (void) anjay;
    (void) object;
    memcpy(g_uptime.label, g_uptime.label_before, sizeof(g_uptime.label));
    return 0;
}

static const anjay_dm_object_def_t DEFINITION = {
    .oid = OBJECT,
    .handlers = {
        .list_instances = anjay_dm_list_instances_SINGLE,
        .list_resources = list_resources,
        .resource_read = read_resource,
        .resource_write = write_resource,
        .resource_execute = execute_resource,
        .transaction_begin = begin,
        .transaction_validate = anjay_dm_transaction_NOOP,
        .transaction_commit = anjay_dm_transaction_NOOP,
        .transaction_rollback = rollback,
    },
};

/* Anjay keeps a pointer to this one. */
static const anjay_dm_object_def_t *const OBJECT_POINTER = &DEFINITION;

int uptime_object_install(anjay_t *anjay) {
    g_uptime.since = avs_time_monotonic_now();
    return anjay_register_object(anjay, &OBJECT_POINTER);
}

void uptime_object_notify(anjay_t *anjay) {
    anjay_notify_changed(anjay, OBJECT, INSTANCE, SECONDS);
}
