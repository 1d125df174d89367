/*
 * Opens the shared object of its argument, uses it, closes it and does so
 * again. Has sockets of its own under the same names, which must not be taken
 * for the plugin's.
 */

#include <anjay_net_abi.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

anjay_net_error_t _avs_net_create_udp_socket(anjay_net_socket_t **out, const void *configuration) {
    const anjay_net_error_t refused = { ANJAY_NET_ERRNO_CATEGORY, ANJAY_NET_ERRNO_EPERM };
    (void) configuration;
    *out = NULL;
    return refused;
}

static int use(const char *path) {
    int (*use_socket)(void);
    int result;
    void *symbol;
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin) {
        fprintf(stderr, "%s\n", dlerror());
        return -1;
    }
    symbol = dlsym(plugin, "plugin_use_socket");
    memcpy(&use_socket, &symbol, sizeof(symbol));
    result = symbol ? use_socket() : -1;
    return dlclose(plugin) ? -1 : result;
}

int main(int argc, char **argv) {
    int i;
    for (i = 0; argc == 2 && i < 3; ++i) {
        int result = use(argv[1]);
        if (result) {
            fprintf(stderr, "round %d: %d\n", i, result);
            return 1;
        }
    }
    return argc == 2 ? 0 : 2;
}
