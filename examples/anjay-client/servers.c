#include "servers.h"

#include <stdint.h>
#include <string.h>

#include <anjay/security.h>
#include <anjay/server.h>

enum { SHORT_SERVER_ID = 1, LIFETIME_S = 60 };

static int add_security(anjay_t *anjay, const char *uri, const char *identity, const char *key) {
    anjay_security_instance_t security = {
        .ssid = SHORT_SERVER_ID,
        .server_uri = uri,
        .security_mode = ANJAY_SECURITY_NOSEC,
    };
    anjay_iid_t iid = ANJAY_ID_INVALID;
    if (identity && key) {
        security.security_mode = ANJAY_SECURITY_PSK;
        security.public_cert_or_psk_identity = (const uint8_t *) identity;
        security.public_cert_or_psk_identity_size = strlen(identity);
        security.private_cert_or_psk_key = (const uint8_t *) key;
        security.private_cert_or_psk_key_size = strlen(key);
    }
    return anjay_security_object_add_instance(anjay, &security, &iid);
}

/* The binding mode for the transport of the URI. */
static const char *binding(const char *uri) {
    return strstr(uri, "+tcp://") ? "T" : "U";
}

static int add_server(anjay_t *anjay, const char *uri) {
    const anjay_server_instance_t server = {
        .ssid = SHORT_SERVER_ID,
        .lifetime = LIFETIME_S,
        .default_min_period = -1,
        .default_max_period = -1,
        .disable_timeout = -1,
        .binding = binding(uri),
        .notification_storing = true,
    };
    anjay_iid_t iid = ANJAY_ID_INVALID;
    return anjay_server_object_add_instance(anjay, &server, &iid);
}

int servers_install(anjay_t *anjay, const char *uri, const char *identity, const char *key) {
    if (anjay_security_object_install(anjay) || anjay_server_object_install(anjay)
            || add_security(anjay, uri, identity, key) || add_server(anjay, uri)) {
        return -1;
    }
    return 0;
}
