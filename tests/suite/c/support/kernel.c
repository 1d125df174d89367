#include "kernel.h"

#include "check.h"

#if defined(__x86_64__)

#    include <errno.h>
#    include <linux/audit.h>
#    include <linux/filter.h>
#    include <linux/seccomp.h>
#    include <netinet/in.h>
#    include <sys/prctl.h>
#    include <sys/socket.h>
#    include <sys/syscall.h>

/* The first system call that 3.2 did not have: kcmp, of 3.5. */
#    define FIRST_NEWER 312

#    define LOAD(Field) \
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, Field))
/* Skip as many instructions as the last two arguments say. */
#    define IF_EQUAL(Value, Then, Else) \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (Value), (Then), (Else))
#    define IF_AT_LEAST(Value, Then, Else) \
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (Value), (Then), (Else))
#    define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#    define FAIL_WITH(Errno) \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (Errno))
/* A block: options of this level, from that number on. */
#    define NEWER_OPTIONS(Level, First)              \
        LOAD(args[1]), IF_EQUAL((Level), 0, 4),      \
                LOAD(args[2]),                       \
                IF_AT_LEAST((First), 0, 1),          \
                FAIL_WITH(ENOPROTOOPT), ALLOW

void become_linux_3_2(void) {
    struct sock_filter filter[] = {
        LOAD(arch),
        IF_EQUAL(AUDIT_ARCH_X86_64, 1, 0),
        ALLOW,
        LOAD(nr),
        IF_AT_LEAST(FIRST_NEWER, 0, 1),
        FAIL_WITH(ENOSYS),
        IF_EQUAL(SYS_setsockopt, 2, 0),
        IF_EQUAL(SYS_getsockopt, 1, 0),
        ALLOW,
        /* SO_REUSEPORT, of 3.9, has a number that had been set aside. */
        LOAD(args[1]),
        IF_EQUAL(SOL_SOCKET, 0, 3),
        LOAD(args[2]),
        IF_EQUAL(SO_REUSEPORT, 0, 1),
        FAIL_WITH(ENOPROTOOPT),
        NEWER_OPTIONS(SOL_SOCKET, 41),   /* SO_WIFI_STATUS, 3.3 */
        NEWER_OPTIONS(IPPROTO_IP, 50),   /* IP_UNICAST_IF, 3.4 */
        NEWER_OPTIONS(IPPROTO_IPV6, 76), /* IPV6_UNICAST_IF, 3.4 */
        NEWER_OPTIONS(IPPROTO_TCP, 19),  /* TCP_REPAIR, 3.5 */
        NEWER_OPTIONS(IPPROTO_UDP, 101), /* UDP_NO_CHECK6_TX, 3.16 */
        ALLOW,
    };
    struct sock_fprog program;
    program.len = sizeof(filter) / sizeof(filter[0]);
    program.filter = filter;
    SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SYS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
}

#else

void become_linux_3_2(void) {
    FAIL("%s", "Linux 3.2 is simulated on x86-64 only");
}

#endif
