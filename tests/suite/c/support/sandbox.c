#include "sandbox.h"

#include "check.h"
#include "settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_file(const char *path, const char *text) {
    int fd = (int) SYS(open(path, O_WRONLY | O_CLOEXEC));
    CHECK_INT(strlen(text), SYS(write(fd, text, strlen(text))));
    SYS(close(fd));
}

/* In this mount namespace the file at `path` has that text. */
static void replace_file(const char *path, const char *text) {
    char temporary[] = "/tmp/anjay-net-test-XXXXXX";
    int fd = (int) SYS(mkstemp(temporary));
    SYS(fchmod(fd, 0644));
    SYS(close(fd));
    write_file(temporary, text);
    SYS(mount(temporary, path, "", MS_BIND, ""));
    SYS(unlink(temporary));
}

/* Become root of a user namespace, which may make the others. */
static void enter_user_namespace(void) {
    char map[64];
    unsigned user = (unsigned) geteuid();
    unsigned group = (unsigned) getegid();
    SYS(unshare(CLONE_NEWUSER));
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "0 %u 1", user);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof(map), "0 %u 1", group);
    write_file("/proc/self/gid_map", map);
}

static void bring_loopback_up(void) {
    struct ifreq request;
    int fd = (int) SYS(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    memset(&request, 0, sizeof(request));
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    SYS(ioctl(fd, SIOCSIFFLAGS, &request));
    SYS(close(fd));
}

void sandbox_leave_the_host_network(void) {
    if (unshare(CLONE_NEWNET) == 0) {
        bring_loopback_up();
    } else {
        CHECK_INT(EPERM, errno);
    }
}

void sandbox_enter(const char *hosts, const char *resolv_conf) {
    if (geteuid() != 0) {
        enter_user_namespace();
    }
    SYS(unshare(CLONE_NEWNS | CLONE_NEWNET));
    SYS(mount("none", "/", "", MS_REC | MS_PRIVATE, ""));
    replace_file("/etc/hosts", hosts);
    replace_file("/etc/nsswitch.conf", "hosts: files dns\n");
    if (access("/etc/resolv.conf", F_OK) == 0) {
        replace_file("/etc/resolv.conf",
                     resolv_conf ? resolv_conf
                                 : "nameserver 127.0.0.53\n"
                                   "options timeout:1 attempts:1\n");
    } else {
        CHECK(resolv_conf == NULL);
    }
    bring_loopback_up();
}

void sandbox_await_all_answers(void) {
    anjay_net_settings_t settings = settings_in_force();
    settings.resolution_delay_ms = 1000;
    configure(&settings);
}

void sandbox_set_attempt_delay(unsigned milliseconds) {
    anjay_net_settings_t settings = settings_in_force();
    settings.attempt_delay_ms = milliseconds;
    configure(&settings);
}

void sandbox_make_unreachable(const char *network) {
    struct rtentry route;
    struct sockaddr_in address;
    int fd = (int) SYS(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    memset(&route, 0, sizeof(route));
    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    CHECK_INT(1, inet_pton(AF_INET, network, &address.sin_addr));
    memcpy(&route.rt_dst, &address, sizeof(address));
    address.sin_addr.s_addr = htonl(0xFFFFFF00);
    memcpy(&route.rt_genmask, &address, sizeof(address));
    route.rt_flags = RTF_UP | RTF_REJECT;
    SYS(ioctl(fd, SIOCADDRT, &route));
    SYS(close(fd));
}
