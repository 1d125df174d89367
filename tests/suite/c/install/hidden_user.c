/*
 * Refers to the library's symbols as avs_commons does where the compiler knows
 * visibility: as hidden ones, which must be inside of the same shared object.
 */

#include <stddef.h>

struct error {
    unsigned short category;
    unsigned short code;
};

__attribute__((visibility("hidden"))) struct error _avs_net_create_udp_socket(void **out,
                                                                            const void *configuration);

/* 0 when a socket is made. It is the process's until its end. */
int hidden_user(void);

int hidden_user(void) {
    static void *the_socket;
    return _avs_net_create_udp_socket(&the_socket, NULL).code;
}
