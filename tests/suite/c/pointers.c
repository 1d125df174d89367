/*
 * Every pointer of every method and exported function: NULL, where no type of C
 * may be, and with too little room behind it. A table says what comes of each.
 */

#include "anjay_net.h"
#include "pair.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* What the calls are made with, and memory of any alignment. */
typedef struct {
    sock_t *udp;    /* connected */
    sock_t *bound;  /* UDP, bound */
    sock_t *closed; /* UDP */
    sock_t *server; /* TCP, listening */
    peer_t peer;
    anjay_net_addrinfo_t *list;
    endpoint_t endpoint;
} cast_t;

static cast_t cast;

/* Makes a call with this for one of its pointers, which are fine otherwise. Not
   all results are errors: others are told as if they were. */
typedef unsigned (*call_t)(void *pointer);

#define CALL(Name, ...)                   \
    static unsigned Name(void *p) {       \
        return (unsigned) (__VA_ARGS__);  \
    }

#define METHOD(Name, Socket, Method, ...) \
    CALL(Name, V(cast.Socket)->Method(__VA_ARGS__).code)

static char text[64];
static char port_text_[16];
static size_t length;
static value_t value;

/* A datagram for the call to receive. */
static void arrive(sock_t *socket) {
    peer_send_to(&cast.peer, local_port(socket), "x", 1);
}

/* -------------------------------------------------------- the socket --- */

METHOD(connect_socket, udp, connect, (sock_t *) p, "127.0.0.1", "9")
METHOD(decorate_socket, udp, decorate, (sock_t *) p, cast.closed)
METHOD(send_socket, udp, send, (sock_t *) p, "x", 1)
METHOD(send_to_socket, udp, send_to, (sock_t *) p, "x", 1, "127.0.0.1", "9")
METHOD(receive_socket, udp, receive, (sock_t *) p, &length, text, sizeof(text))
METHOD(receive_from_socket, udp, receive_from, (sock_t *) p, &length, text, 8,
       text + 8, 40, port_text_, sizeof(port_text_))
METHOD(bind_socket, udp, bind, (sock_t *) p, "127.0.0.1", "0")
METHOD(accept_socket, server, accept, (sock_t *) p, cast.closed)
METHOD(close_socket, udp, close, (sock_t *) p)
METHOD(shutdown_socket, udp, shutdown, (sock_t *) p)
CALL(get_system_socket_socket,
     V(cast.udp)->get_system_socket((sock_t *) p) ? 0 : ANJAY_NET_ERRNO_EINVAL)
METHOD(get_interface_name_socket, udp, get_interface_name, (sock_t *) p, text)
METHOD(get_remote_host_socket, udp, get_remote_host, (sock_t *) p, text, 64)
METHOD(get_remote_hostname_socket, udp, get_remote_hostname, (sock_t *) p, text,
       64)
METHOD(get_remote_port_socket, udp, get_remote_port, (sock_t *) p, text, 64)
METHOD(get_local_host_socket, udp, get_local_host, (sock_t *) p, text, 64)
METHOD(get_local_port_socket, udp, get_local_port, (sock_t *) p, text, 64)
METHOD(get_opt_socket, udp, get_opt, (sock_t *) p, ANJAY_NET_SOCKET_OPT_STATE,
       &value)
METHOD(set_opt_socket, udp, set_opt, (sock_t *) p,
       ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT, duration_value(1, 0))
METHOD(accept_new_socket, server, accept, cast.server, (sock_t *) p)

/* --------------------------------------------------- text and buffers --- */

static unsigned closed_again(anjay_net_error_t error) {
    CHECK_OK(V(cast.closed)->close(cast.closed));
    return error.code;
}

CALL(connect_host, closed_again(V(cast.closed)->connect(
                           cast.closed, (const char *) p, "9")))
CALL(connect_port, closed_again(V(cast.closed)->connect(
                           cast.closed, "127.0.0.1", (const char *) p)))
CALL(bind_address,
     closed_again(V(cast.closed)->bind(cast.closed, (const char *) p, "0")))
CALL(bind_port, closed_again(V(cast.closed)->bind(cast.closed, "127.0.0.1",
                                                  (const char *) p)))
METHOD(send_buffer, udp, send, cast.udp, p, 1)
METHOD(send_no_buffer, udp, send, cast.udp, p, 0)
METHOD(send_to_buffer, bound, send_to, cast.bound, p, 1, "127.0.0.1",
       cast.peer.port)
METHOD(send_to_host, bound, send_to, cast.bound, "x", 1, (const char *) p,
       cast.peer.port)
METHOD(send_to_port, bound, send_to, cast.bound, "x", 1, "127.0.0.1",
       (const char *) p)

static unsigned receive_into(size_t *out_length, void *buffer, size_t size) {
    arrive(cast.udp);
    return V(cast.udp)->receive(cast.udp, out_length, buffer, size).code;
}

CALL(receive_length, receive_into((size_t *) p, text, sizeof(text)))
CALL(receive_buffer, receive_into(&length, p, 8))

static unsigned receive_from_into(size_t *out_length,
                                  void *buffer,
                                  char *host,
                                  char *port) {
    arrive(cast.udp);
    return V(cast.udp)
            ->receive_from(cast.udp, out_length, buffer, 8, host, 16, port, 8)
            .code;
}

CALL(receive_from_length,
     receive_from_into((size_t *) p, text, text + 8, port_text_))
CALL(receive_from_buffer, receive_from_into(&length, p, text + 8, port_text_))
CALL(receive_from_host, receive_from_into(&length, text, (char *) p, port_text_))
CALL(receive_from_port, receive_from_into(&length, text, text + 8, (char *) p))

METHOD(interface_name_out, udp, get_interface_name, cast.udp, (char *) p)
METHOD(remote_host_out, udp, get_remote_host, cast.udp, (char *) p, 16)
METHOD(remote_hostname_out, udp, get_remote_hostname, cast.udp, (char *) p, 16)
METHOD(remote_port_out, udp, get_remote_port, cast.udp, (char *) p, 16)
METHOD(local_host_out, udp, get_local_host, cast.udp, (char *) p, 16)
METHOD(local_port_out, udp, get_local_port, cast.udp, (char *) p, 16)

/* ------------------------------------------------------------ options --- */

#define OPTION(Name, Key)                                                  \
    METHOD(Name, udp, get_opt, cast.udp, ANJAY_NET_SOCKET_OPT_##Key,        \
           (value_t *) p)

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
    anjay_net_error_t error = create((sock_t **) out, NULL);
    if (error.code == 0) {
        sock_t *socket;
        memcpy(&socket, out, sizeof(socket));
        CHECK_OK(V(socket)->cleanup((sock_t **) out));
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

CALL(create_tcp_out, create_into(_avs_net_create_tcp_socket, p))
CALL(create_udp_out, create_into(_avs_net_create_udp_socket, p))
CALL(create_tcp_config, create_with(_avs_net_create_tcp_socket, p))
CALL(create_udp_config, create_with(_avs_net_create_udp_socket, p))
/* Of the memory behind p, which is zero: a pointer to NULL. */
METHOD(cleanup_pointer, udp, cleanup, (sock_t **) p)

static unsigned connect_storing(void *endpoint) {
    config_t config = default_config();
    sock_t *socket;
    unsigned code;
    config.preferred_endpoint = (endpoint_t *) endpoint;
    socket = new_udp(&config);
    code = V(socket)->connect(socket, "127.0.0.1", cast.peer.port).code;
    if (endpoint) {
        CHECK_INT(sizeof(struct sockaddr_in), *(unsigned char *) endpoint);
    }
    dispose(&socket);
    return code;
}

CALL(preferred_endpoint, connect_storing(p))

/* ------------------------------------------------------- address lists --- */

static unsigned resolves(const char *host,
                         const char *port,
                         const endpoint_t *preferred) {
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(
            ANJAY_NET_SOCKET_TYPE_UDP, ANJAY_NET_AF_INET4, host, port, 0,
            preferred);
    unsigned code = list ? 0 : ANJAY_NET_ERRNO_EINVAL;
    avs_net_addrinfo_delete(&list);
    return code;
}

CALL(resolve_host, resolves((const char *) p, "1", NULL))
CALL(resolve_port, resolves("127.0.0.1", (const char *) p, NULL))
CALL(resolve_preferred, resolves("127.0.0.1", "1", (const endpoint_t *) p))

static unsigned next_of(anjay_net_addrinfo_t *list, void *out) {
    avs_net_addrinfo_rewind(cast.list);
    return avs_net_addrinfo_next(list, (endpoint_t *) out) < 0
                   ? ANJAY_NET_ERRNO_EINVAL
                   : 0;
}

CALL(next_list, next_of((anjay_net_addrinfo_t *) p, &cast.endpoint))
CALL(next_out, next_of(cast.list, p))
CALL(rewind_list, (avs_net_addrinfo_rewind((anjay_net_addrinfo_t *) p), 0))
CALL(delete_pointer, (avs_net_addrinfo_delete((anjay_net_addrinfo_t **) p), 0))

CALL(text_of_endpoint, avs_net_resolved_endpoint_get_host_port(
                               (const endpoint_t *) p, text, 64, port_text_, 16)
                               .code)
CALL(text_host, avs_net_resolved_endpoint_get_host_port(
                        &cast.endpoint, (char *) p, 16, port_text_, 16)
                        .code)
CALL(text_port, avs_net_resolved_endpoint_get_host_port(
                        &cast.endpoint, text, 64, (char *) p, 16)
                        .code)

/* ---------------------------------------------------------- settings --- */

static anjay_net_settings_t settings;

static unsigned settings_into(void *out) {
    size_t size = sizeof(settings);
    if (out) {
        memcpy(out, &size, sizeof(size));
    }
    return anjay_net_get_settings((anjay_net_settings_t *) out)
                   ? ANJAY_NET_ERRNO_EINVAL
                   : 0;
}

static unsigned configure_with(void *from) {
    if (from) {
        memcpy(from, &settings, sizeof(settings));
    }
    return anjay_net_configure((const anjay_net_settings_t *) from, NULL)
                   ? ANJAY_NET_ERRNO_EINVAL
                   : 0;
}

static unsigned problem_into(void *problem) {
    anjay_net_settings_t bad = settings;
    bad.max_lookups = 0;
    CHECK_INT(-1, anjay_net_configure(&bad, (const char **) problem));
    return 0;
}

CALL(get_settings_out, settings_into(p))
CALL(configure_settings, configure_with(p))
CALL(configure_problem, problem_into(p))

/* -------------------------------------------- statistics and captures --- */

/* A struct that begins with its size, at `out`. */
static void *sized(void *out, size_t size) {
    if (out) {
        memcpy(out, &size, sizeof(size));
    }
    return out;
}

static unsigned if_not_zero(int status) {
    return status ? ANJAY_NET_ERRNO_EINVAL : 0;
}

CALL(get_stats_out, if_not_zero(anjay_net_get_stats((anjay_net_stats_t *) sized(
                            p, sizeof(anjay_net_stats_t)))))

static unsigned socket_stats(const void *socket, void *out) {
    return if_not_zero(anjay_net_socket_get_stats(
            socket, (anjay_net_socket_stats_t *) sized(
                            out, sizeof(anjay_net_socket_stats_t))));
}

static anjay_net_socket_stats_t own_stats;

CALL(socket_stats_socket, socket_stats(p, &own_stats))
CALL(socket_stats_out, socket_stats(cast.udp, p))
/* It tells how long the text is, whatever the room. */
CALL(stats_text_out,
     if_not_zero(anjay_net_stats_text((char *) p, p ? 100 : 0) < 100))
CALL(stats_write_path, if_not_zero(anjay_net_stats_write((const char *) p)))
CALL(log_argument, if_not_zero(anjay_net_set_log_handler(
                           NULL, p, ANJAY_NET_LOG_LEVEL_QUIET)))
CALL(capture_path, if_not_zero(anjay_net_capture_start((const char *) p, NULL)))

static unsigned capture_with(void *limits) {
    char path[] = "/tmp/anjay-net-test-XXXXXX";
    int status;
    SYS(close((int) SYS(mkstemp(path))));
    status = anjay_net_capture_start(
            path, (const anjay_net_capture_limits_t *) sized(
                          limits, sizeof(anjay_net_capture_limits_t)));
    if (status == 0) {
        CHECK_INT(0, anjay_net_capture_stop());
    }
    SYS(unlink(path));
    return if_not_zero(status);
}

CALL(capture_limits, capture_with(p))

/* ------------------------------------------------------------- table --- */

typedef struct {
    const char *name;
    call_t call;
    unsigned when_null;
    unsigned when_misaligned; /* zero bytes at an odd address */
} row_t;

#define ANJAY_NET_ERRNO_FINE ANJAY_NET_ERRNO_NO_ERROR

#define ROW(Name, Call, Null, Misaligned)           \
    { Name, Call, ANJAY_NET_ERRNO_##Null, ANJAY_NET_ERRNO_##Misaligned }

static const row_t ROWS[] = {
    ROW("connect: socket", connect_socket, EINVAL, EINVAL),
    ROW("connect: host", connect_host, EADDRNOTAVAIL, EADDRNOTAVAIL),
    ROW("connect: port", connect_port, FINE, FINE),
    ROW("decorate: socket", decorate_socket, EINVAL, EINVAL),
    ROW("send: socket", send_socket, EINVAL, EINVAL),
    ROW("send: buffer", send_buffer, EFAULT, FINE),
    ROW("send: buffer, length 0", send_no_buffer, FINE, FINE),
    ROW("send_to: socket", send_to_socket, EINVAL, EINVAL),
    ROW("send_to: buffer", send_to_buffer, EFAULT, FINE),
    ROW("send_to: host", send_to_host, EADDRNOTAVAIL, EADDRNOTAVAIL),
    /* Port 0, to which nothing can be sent. */
    ROW("send_to: port", send_to_port, EINVAL, EINVAL),
    ROW("receive: socket", receive_socket, EINVAL, EINVAL),
    ROW("receive: out_len", receive_length, EINVAL, FINE),
    ROW("receive: buffer", receive_buffer, EFAULT, FINE),
    ROW("receive_from: socket", receive_from_socket, EINVAL, EINVAL),
    ROW("receive_from: out_len", receive_from_length, EINVAL, FINE),
    ROW("receive_from: buffer", receive_from_buffer, EFAULT, FINE),
    ROW("receive_from: host", receive_from_host, EINVAL, FINE),
    ROW("receive_from: port", receive_from_port, EINVAL, FINE),
    ROW("bind: socket", bind_socket, EINVAL, EINVAL),
    ROW("bind: address", bind_address, FINE, FINE),
    ROW("bind: port", bind_port, FINE, FINE),
    ROW("accept: socket", accept_socket, EINVAL, EINVAL),
    ROW("accept: new_socket", accept_new_socket, EINVAL, EINVAL),
    ROW("close: socket", close_socket, EINVAL, EINVAL),
    ROW("shutdown: socket", shutdown_socket, EINVAL, EINVAL),
    ROW("cleanup: socket", cleanup_pointer, FINE, FINE),
    ROW("get_system_socket: socket", get_system_socket_socket, EINVAL, EINVAL),
    ROW("get_interface_name: socket", get_interface_name_socket, EINVAL, EINVAL),
    ROW("get_interface_name: out", interface_name_out, EINVAL, FINE),
    ROW("get_remote_host: socket", get_remote_host_socket, EINVAL, EINVAL),
    ROW("get_remote_host: out", remote_host_out, EINVAL, FINE),
    ROW("get_remote_hostname: socket", get_remote_hostname_socket, EINVAL,
        EINVAL),
    ROW("get_remote_hostname: out", remote_hostname_out, EINVAL, FINE),
    ROW("get_remote_port: socket", get_remote_port_socket, EINVAL, EINVAL),
    ROW("get_remote_port: out", remote_port_out, EINVAL, FINE),
    ROW("get_local_host: socket", get_local_host_socket, EINVAL, EINVAL),
    ROW("get_local_host: out", local_host_out, EINVAL, FINE),
    ROW("get_local_port: socket", get_local_port_socket, EINVAL, EINVAL),
    ROW("get_local_port: out", local_port_out, EINVAL, FINE),
    ROW("get_opt: socket", get_opt_socket, EINVAL, EINVAL),
    ROW("get_opt: out, receive timeout", opt_recv_timeout, EINVAL, FINE),
    ROW("get_opt: out, state", opt_state, EINVAL, FINE),
    ROW("get_opt: out, family", opt_addr_family, EINVAL, FINE),
    ROW("get_opt: out, MTU", opt_mtu, EINVAL, FINE),
    ROW("get_opt: out, inner MTU", opt_inner_mtu, EINVAL, FINE),
    ROW("get_opt: out, bytes sent", opt_bytes_sent, EINVAL, FINE),
    ROW("get_opt: out, bytes received", opt_bytes_received, EINVAL, FINE),
    ROW("get_opt: out, buffered data", opt_has_buffered_data, EINVAL, FINE),
    ROW("get_opt: out, preferred family", opt_preferred_family, EINVAL, FINE),
    ROW("get_opt: out, forced family", opt_forced_family, EINVAL, FINE),
    ROW("set_opt: socket", set_opt_socket, EINVAL, EINVAL),
    ROW("create TCP: out", create_tcp_out, EINVAL, FINE),
    ROW("create TCP: config", create_tcp_config, FINE, FINE),
    ROW("create UDP: out", create_udp_out, EINVAL, FINE),
    ROW("create UDP: config", create_udp_config, FINE, FINE),
    ROW("config: preferred_endpoint", preferred_endpoint, FINE, FINE),
    ROW("resolve_ex: host", resolve_host, EINVAL, EINVAL),
    ROW("resolve_ex: port", resolve_port, FINE, FINE),
    ROW("resolve_ex: preferred", resolve_preferred, FINE, FINE),
    ROW("next: list", next_list, EINVAL, EINVAL),
    ROW("next: out", next_out, EINVAL, FINE),
    ROW("rewind: list", rewind_list, FINE, FINE),
    ROW("delete: list", delete_pointer, FINE, FINE),
    ROW("get_host_port: endpoint", text_of_endpoint, EINVAL, EINVAL),
    ROW("get_host_port: host", text_host, FINE, FINE),
    ROW("get_host_port: port", text_port, FINE, FINE),
    ROW("anjay_net_get_settings: settings", get_settings_out, EINVAL, FINE),
    ROW("anjay_net_configure: settings", configure_settings, EINVAL, FINE),
    ROW("anjay_net_configure: problem", configure_problem, FINE, FINE),
    ROW("anjay_net_get_stats: stats", get_stats_out, EINVAL, FINE),
    ROW("anjay_net_socket_get_stats: socket", socket_stats_socket, EINVAL,
        EINVAL),
    ROW("anjay_net_socket_get_stats: stats", socket_stats_out, EINVAL, FINE),
    ROW("anjay_net_stats_text: buf", stats_text_out, FINE, FINE),
    /* The empty path is nobody's. */
    ROW("anjay_net_stats_write: path", stats_write_path, EINVAL, EINVAL),
    ROW("anjay_net_set_log_handler: arg", log_argument, FINE, FINE),
    ROW("anjay_net_capture_start: path", capture_path, EINVAL, EINVAL),
    ROW("anjay_net_capture_start: limits", capture_limits, FINE, FINE),
};

static void assemble(void) {
    config_t config = reuse_config();
    /* Not every kernel, and no emulator, knows the path's. */
    config.forced_mtu = 1400;
    cast.peer = peer_udp(AF_INET);
    cast.udp = new_udp(&config);
    CHECK_OK(V(cast.udp)->connect(cast.udp, "127.0.0.1", cast.peer.port));
    cast.bound = bound_udp("127.0.0.1", NULL);
    cast.closed = new_udp(NULL);
    cast.server = listening_tcp("127.0.0.1", &config);
    cast.list = avs_net_addrinfo_resolve_ex(ANJAY_NET_SOCKET_TYPE_UDP,
                                            ANJAY_NET_AF_UNSPEC, "127.0.0.1",
                                            "1", 0, NULL);
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
    dispose(&cast.udp);
    dispose(&cast.bound);
    dispose(&cast.closed);
    dispose(&cast.server);
    avs_net_addrinfo_delete(&cast.list);
    peer_close(&cast.peer);
}

static void check_row(const row_t *row, void *pointer, unsigned expected) {
    unsigned code = row->call(pointer);
    if (code != expected) {
        FAIL("%s: %s, expected %s", row->name, code_name(code),
             code_name(expected));
    }
}

TEST(null_for_every_pointer) {
    size_t i;
    assemble();
    for (i = 0; i < LEN(ROWS); ++i) {
        check_row(&ROWS[i], NULL, ROWS[i].when_null);
    }
    dismiss();
}

TEST(every_pointer_misaligned) {
    /* Aligned for all types, and so nothing in it but the first byte. */
    static union {
        long double widest;
        char bytes[1024];
    } room;
    size_t i;
    size_t offset;
    assemble();
    for (i = 0; i < LEN(ROWS); ++i) {
        for (offset = 1; offset < 16; offset += 2) {
            memset(&room, 0, sizeof(room));
            check_row(&ROWS[i], room.bytes + offset, ROWS[i].when_misaligned);
        }
    }
    dismiss();
}

/* ------------------------------------------------------ too little room --- */

typedef anjay_net_error_t (*getter_t)(sock_t *, char *, size_t);

/* In memory that ends where the room does, for the memory checker. */
static void check_sizes(const char *name, getter_t getter, const char *expected) {
    size_t needed = strlen(expected) + 1;
    size_t size;
    for (size = 0; size <= needed; ++size) {
        char *room = (char *) malloc(size ? size : 1);
        anjay_net_error_t error = getter(cast.udp, room, size);
        unsigned code = size < needed ? ANJAY_NET_ERRNO_ERANGE : 0;
        if (error.code != code) {
            FAIL("%s, %d bytes: %s", name, (int) size, code_name(error.code));
        }
        if (code == 0) {
            CHECK_STR(expected, room);
        }
        free(room);
    }
}

static anjay_net_error_t endpoint_host(sock_t *socket, char *out, size_t size) {
    (void) socket;
    return avs_net_resolved_endpoint_get_host_port(&cast.endpoint, out, size,
                                                   NULL, 0);
}

static anjay_net_error_t endpoint_port(sock_t *socket, char *out, size_t size) {
    (void) socket;
    return avs_net_resolved_endpoint_get_host_port(&cast.endpoint, NULL, 0, out,
                                                   size);
}

static anjay_net_error_t sender_host(sock_t *socket, char *out, size_t size) {
    arrive(socket);
    return V(socket)->receive_from(socket, &length, text, sizeof(text), out, size,
                                   port_text_, sizeof(port_text_));
}

static anjay_net_error_t sender_port(sock_t *socket, char *out, size_t size) {
    arrive(socket);
    return V(socket)->receive_from(socket, &length, port_text_,
                                   sizeof(port_text_), text, sizeof(text), out,
                                   size);
}

TEST(every_text_with_too_little_room) {
    char own_port[16];
    assemble();
    strcpy(own_port, local_port(cast.udp));
    check_sizes("get_remote_host", V(cast.udp)->get_remote_host, "127.0.0.1");
    check_sizes("get_remote_hostname", V(cast.udp)->get_remote_hostname,
                "127.0.0.1");
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
    size_t size;
    assemble();
    for (size = 0; size <= sizeof(settings); ++size) {
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
