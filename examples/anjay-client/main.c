/*
 * A small LwM2M client: Security, Server and one object of its own, over the
 * sockets of anjay-net. It reconnects by itself after every outage. Commands on
 * standard input: offline, online, stats, quit.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <anjay/anjay.h>
#include <anjay/stats.h>
#include <anjay_net.h>
#include <avsystem/commons/avs_log.h>
#include <avsystem/commons/avs_sched.h>
#include <avsystem/commons/avs_time.h>

#include "servers.h"
#include "uptime_object.h"

#ifndef ANJAY_WITH_THREAD_SAFETY
#    error "Build Anjay with -DWITH_THREAD_SAFETY=ON: commands are read by a separate thread"
#endif

static void print_traffic(anjay_t *anjay) {
    printf("traffic: %llu bytes sent, %llu bytes received\n",
           (unsigned long long) anjay_get_tx_bytes(anjay),
           (unsigned long long) anjay_get_rx_bytes(anjay));
    fflush(stdout);
}

/* `data` is the argument of AVS_SCHED_DELAYED: a pointer to the client. */
static void every_minute(avs_sched_t *sched, const void *data) {
    anjay_t *anjay = *(anjay_t *const *) data;
    print_traffic(anjay);
    AVS_SCHED_DELAYED(sched, NULL, avs_time_duration_from_scalar(1, AVS_TIME_MIN),
                      every_minute, &anjay, sizeof(anjay));
}

/*
 * After any network error but a timeout, Anjay gives a server up and does not try
 * again by itself. anjay_transport_schedule_reconnect() also ends offline mode,
 * which must last until the command "online".
 */
static void reconnect_if_failed(anjay_t *anjay) {
    if (!anjay_transport_is_offline(anjay, ANJAY_TRANSPORT_SET_ALL)
            && anjay_all_connections_failed(anjay)) {
        anjay_transport_schedule_reconnect(anjay, ANJAY_TRANSPORT_SET_ALL);
    }
}

static void every_second(avs_sched_t *sched, const void *data) {
    anjay_t *anjay = *(anjay_t *const *) data;
    uptime_object_notify(anjay);
    reconnect_if_failed(anjay);
    AVS_SCHED_DELAYED(sched, NULL, avs_time_duration_from_scalar(1, AVS_TIME_S),
                      every_second, &anjay, sizeof(anjay));
}

/* Returns false after the command "quit". */
static bool execute(anjay_t *anjay, const char *command) {
    if (!strcmp(command, "offline")) {
        anjay_transport_enter_offline(anjay, ANJAY_TRANSPORT_SET_ALL);
    } else if (!strcmp(command, "online")) {
        anjay_transport_exit_offline(anjay, ANJAY_TRANSPORT_SET_ALL);
    } else if (!strcmp(command, "stats")) {
        print_traffic(anjay);
    } else if (!strcmp(command, "quit")) {
        anjay_event_loop_interrupt(anjay);
        return false;
    } else if (*command) {
        printf("commands: offline, online, stats, quit\n");
    }
    return true;
}

/* The client keeps running at the end of standard input: services have none. */
static void *read_commands(void *data) {
    char line[64];
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!execute((anjay_t *) data, line)) {
            break;
        }
    }
    return NULL;
}

static int run(anjay_t *anjay) {
    avs_sched_t *sched = anjay_get_scheduler(anjay);
    pthread_t commands;
    every_minute(sched, &anjay);
    every_second(sched, &anjay);
    if (pthread_create(&commands, NULL, read_commands, anjay)) {
        return -1;
    }
    pthread_detach(commands);
    return anjay_event_loop_run(anjay, avs_time_duration_from_scalar(100, AVS_TIME_MS));
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 5) {
        fprintf(stderr,
                "usage: %s ENDPOINT_NAME SERVER_URI [PSK_IDENTITY PSK_KEY]\n"
                "such as: %s my-device coap://localhost:5683\n",
                argv[0], argv[0]);
        return EXIT_FAILURE;
    }
    printf("anjay-net %s, Anjay %s\n", anjay_net_version(), anjay_get_version());
    avs_log_set_default_level(AVS_LOG_INFO);

    const anjay_configuration_t configuration = {
        .endpoint_name = argv[1],
        .in_buffer_size = 4000,
        .out_buffer_size = 4000,
        .msg_cache_size = 4000,
    };
    anjay_t *anjay = anjay_new(&configuration);
    int result = -1;
    if (anjay && !servers_install(anjay, argv[2], argc == 5 ? argv[3] : NULL, argc == 5 ? argv[4] : NULL)
            && !uptime_object_install(anjay)) {
        result = run(anjay);
    }
    if (anjay) {
        anjay_delete(anjay);
    }
    return result ? EXIT_FAILURE : EXIT_SUCCESS;
}
