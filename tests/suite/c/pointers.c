/*
 * Every pointer of every method and exported function: NULL, where no type of C
 * may be, and with too little room behind it. Rows say what comes of each.
 */

#include "anjay_net.h"
#include "fixture.h"

#include <stdlib.h>
#include <unistd.h>

/* What the calls are made with, and memory of any alignment. */
static struct {
    sock_t *udp;    /* connected */
    sock_t *bound;  /* UDP, bound */
    sock_t *closed; /* UDP */
    sock_t *server; /* TCP, listening */
    peer_t peer;
    anjay_net_addrinfo_t *list;
    endpoint_t endpoint;
} cast;

static char text[64];
static char port[16];
static size_t length;
static value_t value;

typedef struct row {
    const char *name;
    /* Makes a call with this for one of its pointers, which are fine otherwise. Not
       all results are errors: others are told as if they were. */
    unsigned (*call)(void *p);
    unsigned when_null;
    unsigned when_misaligned; /* zero bytes at an odd address */
    struct row *next;
} row_t;

static row_t *rows;

#define ANJAY_NET_ERRNO_FINE ANJAY_NET_ERRNO_NO_ERROR

#define ROW(Name, Null, Misaligned, ...)                                                           \
    static unsigned Name(void *p) {                                                                \
        return (unsigned) (__VA_ARGS__);                                                           \
    }                                                                                              \
    static row_t row_##Name = { #Name, Name, ANJAY_NET_ERRNO_##Null, ANJAY_NET_ERRNO_##Misaligned, \
        NULL };                                                                                    \
    __attribute__((constructor)) static void add_##Name(void) {                                    \
        row_##Name.next = rows;                                                                    \
        rows = &row_##Name;                                                                        \
    }

#define METHOD(Name, Null, Misaligned, Socket, Method, ...) \
    ROW(Name, Null, Misaligned, V(cast.Socket)->Method(__VA_ARGS__).code)

/* For functions that give 0 when all is fine. */
#define STATUS(Name, Null, Misaligned, ...) \
    ROW(Name, Null, Misaligned, (__VA_ARGS__) ? ANJAY_NET_ERRNO_EINVAL : 0)

/* -------------------------------------------------------- the socket --- */

METHOD(connect_socket, EINVAL, EINVAL, udp, connect, p, "127.0.0.1", "9")
METHOD(decorate_socket, EINVAL, EINVAL, udp, decorate, p, cast.closed)
METHOD(send_socket, EINVAL, EINVAL, udp, send, p, "x", 1)
METHOD(send_to_socket, EINVAL, EINVAL, udp, send_to, p, "x", 1, "127.0.0.1", "9")
METHOD(receive_socket, EINVAL, EINVAL, udp, receive, p, &length, text, sizeof(text))
METHOD(receive_from_socket, EINVAL, EINVAL, udp, receive_from, p, &length, text, 8, text + 8, 40,
        port, sizeof(port))
METHOD(bind_socket, EINVAL, EINVAL, udp, bind, p, "127.0.0.1", "0")
METHOD(accept_socket, EINVAL, EINVAL, server, accept, p, cast.closed)
METHOD(accept_new_socket, EINVAL, EINVAL, server, accept, cast.server, p)
METHOD(close_socket, EINVAL, EINVAL, udp, close, p)
METHOD(shutdown_socket, EINVAL, EINVAL, udp, shutdown, p)
STATUS(get_system_socket_socket, EINVAL, EINVAL, !V(cast.udp)->get_system_socket(p))
METHOD(get_interface_name_socket, EINVAL, EINVAL, udp, get_interface_name, p, text)
METHOD(get_remote_host_socket, EINVAL, EINVAL, udp, get_remote_host, p, text, 64)
METHOD(get_remote_hostname_socket, EINVAL, EINVAL, udp, get_remote_hostname, p, text, 64)
METHOD(get_remote_port_socket, EINVAL, EINVAL, udp, get_remote_port, p, text, 64)
METHOD(get_local_host_socket, EINVAL, EINVAL, udp, get_local_host, p, text, 64)
METHOD(get_local_port_socket, EINVAL, EINVAL, udp, get_local_port, p, text, 64)
METHOD(get_opt_socket, EINVAL, EINVAL, udp, get_opt, p, ANJAY_NET_SOCKET_OPT_STATE, &value)
METHOD(set_opt_socket, EINVAL, EINVAL, udp, set_opt, p, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
        duration_value(1, 0))

/* --------------------------------------------------- text and buffers --- */

static unsigned closed_again(anjay_net_error_t error) {
    CHECK_OK(V(cast.closed)->close(cast.closed));
    return error.code;
}

ROW(connect_host, EADDRNOTAVAIL, EADDRNOTAVAIL,
        closed_again(V(cast.closed)->connect(cast.closed, p, "9")))
ROW(connect_port, FINE, FINE, closed_again(V(cast.closed)->connect(cast.closed, "127.0.0.1", p)))
ROW(bind_address, FINE, FINE, closed_again(V(cast.closed)->bind(cast.closed, p, "0")))
ROW(bind_port, FINE, FINE, closed_again(V(cast.closed)->bind(cast.closed, "127.0.0.1", p)))
METHOD(send_buffer, EFAULT, FINE, udp, send, cast.udp, p, 1)
METHOD(send_no_buffer, FINE, FINE, udp, send, cast.udp, p, 0)
METHOD(send_to_buffer, EFAULT, FINE, bound, send_to, cast.bound, p, 1, "127.0.0.1", cast.peer.port)
METHOD(send_to_host, EADDRNOTAVAIL, EADDRNOTAVAIL, bound, send_to, cast.bound, "x", 1, p,
        cast.peer.port)
/* Port 0, to which nothing can be sent. */
METHOD(send_to_port, EINVAL, EINVAL, bound, send_to, cast.bound, "x", 1, "127.0.0.1", p)

static unsigned receive_into(size_t *out_length, void *buffer, size_t size) {
    peer_say(&cast.peer, cast.udp, "x");
    return V(cast.udp)->receive(cast.udp, out_length, buffer, size).code;
}

ROW(receive_length, EINVAL, FINE, receive_into(p, text, sizeof(text)))
ROW(receive_buffer, EFAULT, FINE, receive_into(&length, p, 8))

static unsigned receive_from_into(
        size_t *out_length, void *buffer, char *out_host, char *out_port) {
    peer_say(&cast.peer, cast.udp, "x");
    return V(cast.udp)
            ->receive_from(cast.udp, out_length, buffer, 8, out_host, 16, out_port, 8)
            .code;
}

ROW(receive_from_length, EINVAL, FINE, receive_from_into(p, text, text + 8, port))
ROW(receive_from_buffer, EFAULT, FINE, receive_from_into(&length, p, text + 8, port))
ROW(receive_from_host, EINVAL, FINE, receive_from_into(&length, text, p, port))
ROW(receive_from_port, EINVAL, FINE, receive_from_into(&length, text, text + 8, p))

METHOD(get_interface_name_out, EINVAL, FINE, udp, get_interface_name, cast.udp, p)
METHOD(get_remote_host_out, EINVAL, FINE, udp, get_remote_host, cast.udp, p, 16)
METHOD(get_remote_hostname_out, EINVAL, FINE, udp, get_remote_hostname, cast.udp, p, 16)
METHOD(get_remote_port_out, EINVAL, FINE, udp, get_remote_port, cast.udp, p, 16)
METHOD(get_local_host_out, EINVAL, FINE, udp, get_local_host, cast.udp, p, 16)
METHOD(get_local_port_out, EINVAL, FINE, udp, get_local_port, cast.udp, p, 16)

/* ------------------------------------------------------------ options --- */

#define OPTION(Name, Key) \
    METHOD(Name, EINVAL, FINE, udp, get_opt, cast.udp, ANJAY_NET_SOCKET_OPT_##Key, p)

OPTION(opt_recv_timeout, RECV_TIMEOUT)
OPTION(opt_state, STATE)
OPTION(opt_addr_family, ADDR_FAMILY)
OPTION(opt_mtu, MTU)
OPTION(opt_inner_mtu, INNER_MTU)
OPTION(opt_bytes_sent, BYTES_SENT)
OPTION(opt_bytes_received, BYTES_RECEIVED)
OPTION(opt_has_buffered_data, HAS_BUFFERED_DATA)
OPTION(opt_preferred_family, PREFERRED_ADDR_FAMILY)
OPTION(opt_forced_family, FORCED_ADDR_FAMILY)

/* ------------------------------------------------------ made and freed --- */

typedef anjay_net_error_t (*create_t)(sock_t **out, const void *config);

static unsigned create_into(create_t create, void *out) {
    anjay_net_error_t error = create(out, NULL);
    if (error.code == 0) {
        sock_t *socket;
        memcpy(&socket, out, sizeof(socket));
        CHECK_OK(V(socket)->cleanup(out));
        memcpy(&socket, out, sizeof(socket));
        CHECK(socket == NULL);
    }
    return error.code;
}

static unsigned create_with(create_t create, const void *config) {
    sock_t *socket;
    anjay_net_error_t error = create(&socket, config);
    if (error.code == 0) {
        dispose(&socket);
    }
    return error.code;
}

ROW(create_tcp_out, EINVAL, FINE, create_into(_avs_net_create_tcp_socket, p))
ROW(create_udp_out, EINVAL, FINE, create_into(_avs_net_create_udp_socket, p))
ROW(create_tcp_config, FINE, FINE, create_with(_avs_net_create_tcp_socket, p))
ROW(create_udp_config, FINE, FINE, create_with(_avs_net_create_udp_socket, p))
/* Of the memory behind p, which is zero: a pointer to NULL. */
METHOD(cleanup_pointer, FINE, FINE, udp, cleanup, p)

static unsigned connect_storing(void *endpoint) {
    sock_t *socket = new_udp(&(config_t){ .preferred_endpoint = endpoint });
    unsigned code = V(socket)->connect(socket, "127.0.0.1", cast.peer.port).code;
    if (endpoint) {
        CHECK_INT(sizeof(struct sockaddr_in), *(unsigned char *) endpoint);
    }
    dispose(&socket);
    return code;
}

ROW(config_preferred_endpoint, FINE, FINE, connect_storing(p))

/* ------------------------------------------------------- address lists --- */

static bool resolves(const char *host, const char *service, const endpoint_t *preferred) {
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(UDP, V4, host, service, 0, preferred);
    bool found = list != NULL;
    avs_net_addrinfo_delete(&list);
    return found;
}

STATUS(resolve_ex_host, EINVAL, EINVAL, !resolves(p, "1", NULL))
STATUS(resolve_ex_port, FINE, FINE, !resolves("127.0.0.1", p, NULL))
STATUS(resolve_ex_preferred, FINE, FINE, !resolves("127.0.0.1", "1", p))

static int next_of(anjay_net_addrinfo_t *list, endpoint_t *out) {
    avs_net_addrinfo_rewind(cast.list);
    return avs_net_addrinfo_next(list, out);
}

STATUS(next_list, EINVAL, EINVAL, next_of(p, &cast.endpoint) < 0)
STATUS(next_out, EINVAL, FINE, next_of(cast.list, p) < 0)
ROW(rewind_list, FINE, FINE, (avs_net_addrinfo_rewind(p), 0))
ROW(delete_list, FINE, FINE, (avs_net_addrinfo_delete(p), 0))

#define TEXT_OF(Endpoint, Host, HostSize, Port, PortSize) \
    avs_net_resolved_endpoint_get_host_port(Endpoint, Host, HostSize, Port, PortSize).code

ROW(get_host_port_endpoint, EINVAL, EINVAL, TEXT_OF(p, text, 64, port, 16))
ROW(get_host_port_host, FINE, FINE, TEXT_OF(&cast.endpoint, p, 16, port, 16))
ROW(get_host_port_port, FINE, FINE, TEXT_OF(&cast.endpoint, text, 64, p, 16))

/* ----------------------------------- settings, statistics and captures --- */

static anjay_net_settings_t settings;
static anjay_net_socket_stats_t own_stats;

/* A struct that begins with its size, at `out`. */
static void *sized(void *out, size_t size) {
    if (out) {
        memcpy(out, &size, sizeof(size));
    }
    return out;
}

STATUS(get_settings_out, EINVAL, FINE, anjay_net_get_settings(sized(p, sizeof(settings))))
STATUS(configure_settings, EINVAL, FINE,
        anjay_net_configure(p ? memcpy(p, &settings, sizeof(settings)) : NULL, NULL))

static int configure_badly(void *problem) {
    anjay_net_settings_t bad = settings;
    bad.max_lookups = 0;
    return anjay_net_configure(&bad, problem);
}

STATUS(configure_problem, FINE, FINE, configure_badly(p) != -1)
STATUS(get_stats_out, EINVAL, FINE, anjay_net_get_stats(sized(p, sizeof(anjay_net_stats_t))))
STATUS(socket_get_stats_socket, EINVAL, EINVAL,
        anjay_net_socket_get_stats(p, sized(&own_stats, sizeof(own_stats))))
STATUS(socket_get_stats_out, EINVAL, FINE,
        anjay_net_socket_get_stats(cast.udp, sized(p, sizeof(own_stats))))
/* It tells how long the text is, whatever the room. */
STATUS(stats_text_buf, FINE, FINE, anjay_net_stats_text(p, p ? 100 : 0) < 100)
/* The empty path is nobody's. */
STATUS(stats_write_path, EINVAL, EINVAL, anjay_net_stats_write(p))
STATUS(set_log_handler_arg, FINE, FINE,
        anjay_net_set_log_handler(NULL, p, ANJAY_NET_LOG_LEVEL_QUIET))
STATUS(capture_start_path, EINVAL, EINVAL, anjay_net_capture_start(p, NULL))

static int capture_with(void *limits) {
    char path[] = "/tmp/anjay-net-test-XXXXXX";
    SYS(close((int) SYS(mkstemp(path))));
    int status = anjay_net_capture_start(path, sized(limits, sizeof(anjay_net_capture_limits_t)));
    if (status == 0) {
        CHECK_INT(0, anjay_net_capture_stop());
    }
    SYS(unlink(path));
    return status;
}

STATUS(capture_start_limits, FINE, FINE, capture_with(p))

/* ------------------------------------------------------------- cases --- */

static void assemble(void) {
    /* Not every kernel, and no emulator, knows the path's MTU. */
    config_t config = { .reuse_addr = 1, .forced_mtu = 1400 };
    cast.udp = new_udp(&config);
    cast.peer = connect_to_peer(cast.udp, UDP, AF_INET);
    cast.bound = bound_udp("127.0.0.1", NULL);
    cast.closed = new_udp(NULL);
    cast.server = listening_tcp("127.0.0.1", &config);
    cast.list = avs_net_addrinfo_resolve_ex(UDP, ANY, "127.0.0.1", "1", 0, NULL);
    CHECK_INT(0, avs_net_addrinfo_next(cast.list, &cast.endpoint));
    settings.size = sizeof(settings);
    CHECK_INT(0, anjay_net_get_settings(&settings));
}

/* They are as before. */
static void dismiss(void) {
    CHECK_STATE(CONNECTED, cast.udp);
    CHECK_STATE(BOUND, cast.bound);
    CHECK_STATE(CLOSED, cast.closed);
    CHECK_STATE(BOUND, cast.server);
    send_text(cast.udp, "fine");
    avs_net_addrinfo_delete(&cast.list);
}

static void check_code_of(const row_t *row, void *pointer, unsigned expected) {
    unsigned code = row->call(pointer);
    if (code != expected) {
        FAIL("%s: %s, expected %s", row->name, code_name(code), code_name(expected));
    }
}

TEST(null_for_every_pointer) {
    int count = 0;
    assemble();
    for (const row_t *row = rows; row; row = row->next) {
        check_code_of(row, NULL, row->when_null);
        ++count;
    }
    CHECK_INT(78, count);
    dismiss();
}

TEST(every_pointer_misaligned) {
    /* Aligned for all types, and so nothing in it but the first byte. */
    static union {
        long double widest;
        char bytes[1024];
    } room;
    assemble();
    for (const row_t *row = rows; row; row = row->next) {
        for (size_t offset = 1; offset < 16; offset += 2) {
            memset(&room, 0, sizeof(room));
            check_code_of(row, room.bytes + offset, row->when_misaligned);
        }
    }
    dismiss();
}

/* In memory that ends where the room does, for the memory checker. */
static void check_sizes(const char *name, getter_t getter, const char *expected) {
    size_t needed = strlen(expected) + 1;
    for (size_t size = 0; size <= needed; ++size) {
        char *room = (char *) malloc(size ? size : 1);
        check_code(name, size < needed ? ANJAY_NET_ERRNO_ERANGE : 0, getter(cast.udp, room, size));
        if (size == needed) {
            CHECK_STR(expected, room);
        }
        free(room);
    }
}

static anjay_net_error_t endpoint_host(sock_t *socket, char *out, size_t size) {
    (void) socket;
    return avs_net_resolved_endpoint_get_host_port(&cast.endpoint, out, size, NULL, 0);
}

static anjay_net_error_t endpoint_port(sock_t *socket, char *out, size_t size) {
    (void) socket;
    return avs_net_resolved_endpoint_get_host_port(&cast.endpoint, NULL, 0, out, size);
}

static anjay_net_error_t sender_host(sock_t *socket, char *out, size_t size) {
    peer_say(&cast.peer, socket, "x");
    return V(socket)->receive_from(
            socket, &length, text, sizeof(text), out, size, port, sizeof(port));
}

static anjay_net_error_t sender_port(sock_t *socket, char *out, size_t size) {
    peer_say(&cast.peer, socket, "x");
    return V(socket)->receive_from(
            socket, &length, port, sizeof(port), text, sizeof(text), out, size);
}

TEST(every_text_with_too_little_room) {
    assemble();
    const char *own_port = local_port(cast.udp);
    check_sizes("get_remote_host", V(cast.udp)->get_remote_host, "127.0.0.1");
    check_sizes("get_remote_hostname", V(cast.udp)->get_remote_hostname, "127.0.0.1");
    check_sizes("get_remote_port", V(cast.udp)->get_remote_port, cast.peer.port);
    check_sizes("get_local_host", V(cast.udp)->get_local_host, "127.0.0.1");
    check_sizes("get_local_port", V(cast.udp)->get_local_port, own_port);
    check_sizes("receive_from: host", sender_host, "127.0.0.1");
    check_sizes("receive_from: port", sender_port, cast.peer.port);
    check_sizes("get_host_port: host", endpoint_host, "127.0.0.1");
    check_sizes("get_host_port: port", endpoint_port, "1");
    dismiss();
}

/* As much as the caller's version of the struct has. */
TEST(settings_with_too_little_room) {
    assemble();
    for (size_t size = 0; size <= sizeof(settings); ++size) {
        size_t room = size < sizeof(size) ? sizeof(size) : size;
        anjay_net_settings_t *mine = (anjay_net_settings_t *) malloc(room);
        int expected = size < sizeof(size) ? -1 : 0;
        memcpy(mine, &size, sizeof(size));
        CHECK_INT(expected, anjay_net_get_settings(mine));
        CHECK_INT(expected, anjay_net_configure(mine, NULL));
        free(mine);
    }
    dismiss();
}
