/*
 * The simulation of an older kernel itself.
 */

#include "kernel.h"
#include "sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void check_option_is_missing(int fd, int level, int name) {
    int value = 0;
    socklen_t size = sizeof(value);
    CHECK_INT(-1, getsockopt(fd, level, name, &value, &size));
    CHECK_INT(ENOPROTOOPT, errno);
}

TEST(what_came_after_3_2_is_missing) {
    char byte;
    int fd = (int) SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int value = 1;
    become_linux_3_2();
    CHECK_INT(-1, syscall(SYS_getrandom, &byte, 1, 0));
    CHECK_INT(ENOSYS, errno);
    check_option_is_missing(fd, SOL_SOCKET, SO_REUSEPORT);
    check_option_is_missing(fd, SOL_SOCKET, SO_INCOMING_CPU);
    check_option_is_missing(fd, IPPROTO_TCP, TCP_FASTOPEN);
    CHECK_INT(-1, setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value,
                             sizeof(value)));
    CHECK_INT(ENOPROTOOPT, errno);
    SYS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value)));
    SYS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)));
    SYS(close(fd));
}
