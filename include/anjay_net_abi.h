/*
 * anjay-net: the avs_commons socket ABI under our own type names, for
 * programs that have no avs_commons headers. NEVER include it together with
 * those: both declare the same functions. C99 and C++.
 */

#ifndef ANJAY_NET_ABI_H
#define ANJAY_NET_ABI_H

/* Generated from crates/ffi by `cargo headers`; do not edit. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct anjay_net_socket_t;

/*
 Room for any sockaddr, aligned like the widest of its members.
 */
typedef union anjay_net_endpoint_data_t {
  uint8_t buf[128];
  void *align_pointer;
  void (*align_function)(void);
  long double align_long_double;
  intmax_t align_intmax;
} anjay_net_endpoint_data_t;

/*
 Longest interface name with its NUL (`IF_NAMESIZE`), in bytes.
 */
#define ANJAY_NET_IF_NAMESIZE 16

/*
 Bytes an endpoint reserves for its `sockaddr`.
 */
#define ANJAY_NET_SOCKADDR_CAPACITY 128

/*
 Category of the socket error codes.
 */
#define ANJAY_NET_ERRNO_CATEGORY 37766

/*
 Flag of `avs_net_addrinfo_resolve_ex`: results are for bind.
 */
#define ANJAY_NET_ADDRINFO_RESOLVE_F_PASSIVE 1

/*
 Flag of `avs_net_addrinfo_resolve_ex`: IPv4 results as v4-mapped IPv6.
 */
#define ANJAY_NET_ADDRINFO_RESOLVE_F_V4MAPPED 2

/*
 Flag of `avs_net_addrinfo_resolve_ex`: a family needs no configured
 address.
 */
#define ANJAY_NET_ADDRINFO_RESOLVE_F_NOADDRCONFIG 4

/*
 What `avs_net_addrinfo_next` returns after the last endpoint.
 */
#define ANJAY_NET_ADDRINFO_END 1

/*
 A socket error code; each is named after the errno it stands for.
 */
typedef enum anjay_net_errno {
  /*
   Success.
   */
  ANJAY_NET_ERRNO_NO_ERROR = 0,
  ANJAY_NET_ERRNO_E2BIG = 1,
  ANJAY_NET_ERRNO_EACCES = 2,
  ANJAY_NET_ERRNO_EADDRINUSE = 3,
  ANJAY_NET_ERRNO_EADDRNOTAVAIL = 4,
  ANJAY_NET_ERRNO_EAFNOSUPPORT = 5,
  ANJAY_NET_ERRNO_EAGAIN = 6,
  ANJAY_NET_ERRNO_EALREADY = 7,
  ANJAY_NET_ERRNO_EBADF = 8,
  ANJAY_NET_ERRNO_EBADMSG = 9,
  ANJAY_NET_ERRNO_EBUSY = 10,
  ANJAY_NET_ERRNO_ECHILD = 11,
  ANJAY_NET_ERRNO_ECONNABORTED = 12,
  ANJAY_NET_ERRNO_ECONNREFUSED = 13,
  ANJAY_NET_ERRNO_ECONNRESET = 14,
  ANJAY_NET_ERRNO_EDEADLK = 15,
  ANJAY_NET_ERRNO_EDESTADDRREQ = 16,
  ANJAY_NET_ERRNO_EDOM = 17,
  ANJAY_NET_ERRNO_EEXIST = 18,
  ANJAY_NET_ERRNO_EFAULT = 19,
  ANJAY_NET_ERRNO_EFBIG = 20,
  ANJAY_NET_ERRNO_EHOSTUNREACH = 21,
  ANJAY_NET_ERRNO_EINPROGRESS = 22,
  ANJAY_NET_ERRNO_EINTR = 23,
  ANJAY_NET_ERRNO_EINVAL = 24,
  ANJAY_NET_ERRNO_EIO = 25,
  ANJAY_NET_ERRNO_EISCONN = 26,
  ANJAY_NET_ERRNO_EISDIR = 27,
  ANJAY_NET_ERRNO_ELOOP = 28,
  ANJAY_NET_ERRNO_EMFILE = 29,
  ANJAY_NET_ERRNO_EMLINK = 30,
  ANJAY_NET_ERRNO_EMSGSIZE = 31,
  ANJAY_NET_ERRNO_ENAMETOOLONG = 32,
  ANJAY_NET_ERRNO_ENETDOWN = 33,
  ANJAY_NET_ERRNO_ENETRESET = 34,
  ANJAY_NET_ERRNO_ENETUNREACH = 35,
  ANJAY_NET_ERRNO_ENFILE = 36,
  ANJAY_NET_ERRNO_ENOBUFS = 37,
  ANJAY_NET_ERRNO_ENODEV = 38,
  ANJAY_NET_ERRNO_ENOENT = 39,
  ANJAY_NET_ERRNO_ENOEXEC = 40,
  ANJAY_NET_ERRNO_ENOLINK = 41,
  ANJAY_NET_ERRNO_ENOMEM = 42,
  ANJAY_NET_ERRNO_ENOMSG = 43,
  ANJAY_NET_ERRNO_ENOPROTOOPT = 44,
  ANJAY_NET_ERRNO_ENOSPC = 45,
  ANJAY_NET_ERRNO_ENOSYS = 46,
  ANJAY_NET_ERRNO_ENOTBLK = 47,
  ANJAY_NET_ERRNO_ENOTCONN = 48,
  ANJAY_NET_ERRNO_ENOTDIR = 49,
  ANJAY_NET_ERRNO_ENOTEMPTY = 50,
  ANJAY_NET_ERRNO_ENOTSOCK = 51,
  ANJAY_NET_ERRNO_ENOTSUP = 52,
  ANJAY_NET_ERRNO_ENOTTY = 53,
  ANJAY_NET_ERRNO_ENXIO = 54,
  ANJAY_NET_ERRNO_EOVERFLOW = 55,
  ANJAY_NET_ERRNO_EPERM = 56,
  ANJAY_NET_ERRNO_EPIPE = 57,
  ANJAY_NET_ERRNO_EPROTO = 58,
  ANJAY_NET_ERRNO_EPROTONOSUPPORT = 59,
  ANJAY_NET_ERRNO_EPROTOTYPE = 60,
  ANJAY_NET_ERRNO_ERANGE = 61,
  ANJAY_NET_ERRNO_EROFS = 62,
  ANJAY_NET_ERRNO_ESPIPE = 63,
  ANJAY_NET_ERRNO_ESRCH = 64,
  ANJAY_NET_ERRNO_ETIMEDOUT = 65,
  ANJAY_NET_ERRNO_ETXTBSY = 66,
  ANJAY_NET_ERRNO_EXDEV = 67,
  /*
   An errno without an entry, or a defect of this library.
   */
  ANJAY_NET_ERRNO_UNKNOWN_ERROR = 65535,
} anjay_net_errno;

/*
 What kind of transport a socket or a resolution is for.
 */
typedef enum anjay_net_socket_type {
  /*
   Stream, plain.
   */
  ANJAY_NET_SOCKET_TYPE_TCP = 0,
  /*
   Datagram, plain.
   */
  ANJAY_NET_SOCKET_TYPE_UDP = 1,
  /*
   Stream under TLS.
   */
  ANJAY_NET_SOCKET_TYPE_SSL = 2,
  /*
   Datagram under DTLS.
   */
  ANJAY_NET_SOCKET_TYPE_DTLS = 3,
} anjay_net_socket_type;

/*
 An address family.
 */
typedef enum anjay_net_af {
  /*
   No restriction, or not known.
   */
  ANJAY_NET_AF_UNSPEC = 0,
  /*
   IPv4.
   */
  ANJAY_NET_AF_INET4 = 1,
  /*
   IPv6.
   */
  ANJAY_NET_AF_INET6 = 2,
} anjay_net_af;

/*
 The state of a socket, as option `State` reports it.
 */
typedef enum anjay_net_socket_state {
  /*
   No descriptor.
   */
  ANJAY_NET_SOCKET_STATE_CLOSED = 0,
  /*
   Shut down, not closed yet.
   */
  ANJAY_NET_SOCKET_STATE_SHUTDOWN = 1,
  /*
   Bound; a TCP socket listens.
   */
  ANJAY_NET_SOCKET_STATE_BOUND = 2,
  /*
   Made by accept.
   */
  ANJAY_NET_SOCKET_STATE_ACCEPTED = 3,
  /*
   Made by connect.
   */
  ANJAY_NET_SOCKET_STATE_CONNECTED = 4,
} anjay_net_socket_state;

/*
 Option keys of `get_opt` and `set_opt`. Those from 10 on came with
 avs_commons 5.1.
 */
typedef enum anjay_net_socket_opt {
  /*
   Receive timeout; get and set `recv_timeout`.
   */
  ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT = 0,
  /*
   State; get `state`.
   */
  ANJAY_NET_SOCKET_OPT_STATE = 1,
  /*
   Family of the descriptor; get `addr_family`.
   */
  ANJAY_NET_SOCKET_OPT_ADDR_FAMILY = 2,
  /*
   Path MTU in bytes; get `mtu`.
   */
  ANJAY_NET_SOCKET_OPT_MTU = 3,
  /*
   Largest datagram payload in bytes; get `mtu`.
   */
  ANJAY_NET_SOCKET_OPT_INNER_MTU = 4,
  /*
   (D)TLS sockets only.
   */
  ANJAY_NET_SOCKET_OPT_SESSION_RESUMED = 5,
  /*
   Payload bytes sent; get `bytes_sent`.
   */
  ANJAY_NET_SOCKET_OPT_BYTES_SENT = 6,
  /*
   Payload bytes received; get `bytes_received`.
   */
  ANJAY_NET_SOCKET_OPT_BYTES_RECEIVED = 7,
  /*
   (D)TLS sockets only.
   */
  ANJAY_NET_SOCKET_OPT_DANE_TLSA_ARRAY = 8,
  /*
   Data buffered above the kernel; get `flag`.
   */
  ANJAY_NET_SOCKET_OPT_HAS_BUFFERED_DATA = 9,
#if !defined(ANJAY_NET_AVS_COMMONS_4)
  /*
   (D)TLS sockets only.
   */
  ANJAY_NET_SOCKET_OPT_DTLS_HANDSHAKE_TIMEOUTS = 10,
#endif
#if !defined(ANJAY_NET_AVS_COMMONS_4)
  /*
   (D)TLS sockets only.
   */
  ANJAY_NET_SOCKET_OPT_CONNECTION_ID_RESUMED = 11,
#endif
#if !defined(ANJAY_NET_AVS_COMMONS_4)
  /*
   Soft family preference; get and set `addr_family`.
   */
  ANJAY_NET_SOCKET_OPT_PREFERRED_ADDR_FAMILY = 12,
#endif
#if !defined(ANJAY_NET_AVS_COMMONS_4)
  /*
   Hard family restriction; get and set `addr_family`.
   */
  ANJAY_NET_SOCKET_OPT_FORCED_ADDR_FAMILY = 13,
#endif
} anjay_net_socket_opt;

/*
 An opaque address list.
 */
typedef struct anjay_net_addrinfo_t anjay_net_addrinfo_t;

/*
 An error: a category and a code within it. Success is `code == 0`.
 */
typedef struct anjay_net_error_t {
  /*
   The namespace of `code`; socket errors use [`ERRNO_CATEGORY`].
   */
  uint16_t category;
  /*
   0 on success, otherwise one of [`ErrorCode`](crate::errno::ErrorCode).
   */
  uint16_t code;
} anjay_net_error_t;

/*
 A duration; valid if `0 <= nanoseconds < 10^9`. An invalid receive timeout
 means "wait forever", a negative one "do not wait".
 */
typedef struct anjay_net_duration_t {
  /*
   Whole seconds, may be negative.
   */
  int64_t seconds;
  /*
   Nanoseconds of the started second.
   */
  int32_t nanoseconds;
} anjay_net_duration_t;

#if !defined(ANJAY_NET_AVS_COMMONS_4)
/*
 Value of the DTLS handshake timeouts option (avs_commons 5.1 and newer);
 unused here, but it determines the size of the union.
 */
typedef struct anjay_net_dtls_handshake_timeouts_t {
  /*
   First retransmission timeout.
   */
  struct anjay_net_duration_t min;
  /*
   Largest retransmission timeout.
   */
  struct anjay_net_duration_t max;
} anjay_net_dtls_handshake_timeouts_t;
#endif

/*
 Value of the DANE TLSA array option, which TCP and UDP sockets refuse.
 */
typedef struct anjay_net_dane_tlsa_array_t {
  /*
   First element.
   */
  const void *array_ptr;
  /*
   Number of elements.
   */
  size_t array_element_count;
} anjay_net_dane_tlsa_array_t;

/*
 An option's value: which field counts depends on the key.

 `set_opt` takes it BY VALUE, so its size is part of the calling
 convention: 32 bytes since avs_commons 5.1, 16 before.
 */
typedef union anjay_net_socket_opt_value_t {
  /*
   For RecvTimeout.
   */
  struct anjay_net_duration_t recv_timeout;
  /*
   For State, a socket state.
   */
  int state;
  /*
   For the family keys, an address family.
   */
  int addr_family;
  /*
   For Mtu and InnerMtu, bytes.
   */
  int mtu;
  /*
   For the boolean keys.
   */
  bool flag;
  /*
   For BytesSent.
   */
  uint64_t bytes_sent;
  /*
   For BytesReceived.
   */
  uint64_t bytes_received;
#if !defined(ANJAY_NET_AVS_COMMONS_4)
  /*
   For DtlsHandshakeTimeouts.
   */
  struct anjay_net_dtls_handshake_timeouts_t dtls_handshake_timeouts;
#endif
  /*
   For DaneTlsaArray.
   */
  struct anjay_net_dane_tlsa_array_t dane_tlsa_array;
} anjay_net_socket_opt_value_t;

/*
 The 20 methods of a socket, in ABI order.

 What every method may assume, the `# Safety` of each slot: a pointer is NULL
 or valid for what its type and size say, texts are NUL-terminated. During the
 call nothing changes what it reads, and nothing else uses what it writes. A
 socket points at an object whose first field is the v-table pointer; it is
 used after its creation and before its cleanup, and cleanup runs concurrently only
 with calls that wait.
 */
typedef struct anjay_net_socket_v_table_t {
  struct anjay_net_error_t (*connect)(struct anjay_net_socket_t*, const char*, const char*);
  struct anjay_net_error_t (*decorate)(struct anjay_net_socket_t*, struct anjay_net_socket_t*);
  struct anjay_net_error_t (*send)(struct anjay_net_socket_t*, const void*, size_t);
  struct anjay_net_error_t (*send_to)(struct anjay_net_socket_t*,
                                      const void*,
                                      size_t,
                                      const char*,
                                      const char*);
  struct anjay_net_error_t (*receive)(struct anjay_net_socket_t*, size_t*, void*, size_t);
  struct anjay_net_error_t (*receive_from)(struct anjay_net_socket_t*,
                                           size_t*,
                                           void*,
                                           size_t,
                                           char*,
                                           size_t,
                                           char*,
                                           size_t);
  struct anjay_net_error_t (*bind)(struct anjay_net_socket_t*, const char*, const char*);
  struct anjay_net_error_t (*accept)(struct anjay_net_socket_t*, struct anjay_net_socket_t*);
  struct anjay_net_error_t (*close)(struct anjay_net_socket_t*);
  struct anjay_net_error_t (*shutdown)(struct anjay_net_socket_t*);
  struct anjay_net_error_t (*cleanup)(struct anjay_net_socket_t**);
  const void *(*get_system_socket)(struct anjay_net_socket_t*);
  struct anjay_net_error_t (*get_interface_name)(struct anjay_net_socket_t*, char*);
  struct anjay_net_error_t (*get_remote_host)(struct anjay_net_socket_t*, char*, size_t);
  struct anjay_net_error_t (*get_remote_hostname)(struct anjay_net_socket_t*, char*, size_t);
  struct anjay_net_error_t (*get_remote_port)(struct anjay_net_socket_t*, char*, size_t);
  struct anjay_net_error_t (*get_local_host)(struct anjay_net_socket_t*, char*, size_t);
  struct anjay_net_error_t (*get_local_port)(struct anjay_net_socket_t*, char*, size_t);
  struct anjay_net_error_t (*get_opt)(struct anjay_net_socket_t*,
                                      int,
                                      union anjay_net_socket_opt_value_t*);
  struct anjay_net_error_t (*set_opt)(struct anjay_net_socket_t*,
                                      int,
                                      union anjay_net_socket_opt_value_t);
} anjay_net_socket_v_table_t;

/*
 What C sees of a socket: its first field. The rest is private to the library
 that created the object.
 */
typedef struct anjay_net_socket_t {
  /*
   The method table; never NULL.
   */
  const struct anjay_net_socket_v_table_t *operations;
} anjay_net_socket_t;

/*
 A resolved endpoint: a `sockaddr` and how much of it is used.
 */
typedef struct anjay_net_resolved_endpoint_t {
  /*
   Used bytes of `data`; 0 = none stored.
   */
  uint8_t size;
  /*
   The raw `sockaddr`.
   */
  anjay_net_endpoint_data_t data;
} anjay_net_resolved_endpoint_t;

/*
 Creation parameters of a socket. All zero bytes are the valid default.
 */
typedef struct anjay_net_socket_configuration_t {
  /*
   Differentiated services code point, 0..=63; 0 leaves it alone.
   */
  uint8_t dscp;
  /*
   `SO_PRIORITY`, 0..=7; 0 leaves it alone.
   */
  uint8_t priority;
  /*
   `SO_REUSEADDR`, 0 or 1.
   */
  uint8_t reuse_addr;
  /*
   `IP_TRANSPARENT` / `IPV6_TRANSPARENT`, 0 or 1.
   */
  uint8_t transparent;
  /*
   `SO_BINDTODEVICE`; NUL-terminated, empty = any.
   */
  char interface_name[ANJAY_NET_IF_NAMESIZE];
  /*
   Read and written by connect; may be NULL; outlives the socket.
   */
  struct anjay_net_resolved_endpoint_t *preferred_endpoint;
  /*
   Hard restriction, an address family.
   */
  int address_family;
  /*
   Above 0 overrides the MTU options, in bytes.
   */
  int forced_mtu;
  /*
   Soft preference, ignored when `address_family` is set.
   */
  int preferred_family;
} anjay_net_socket_configuration_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Prepares the process, which creating a socket does as well.

 Errors: ENOEXEC if the program was built for the other layout of option values;
 a message on standard error says what to do.
 */
struct anjay_net_error_t _avs_net_initialize_global_compat_state(void);

/*
 Does nothing: there is nothing to clean up.
 */
void _avs_net_cleanup_global_compat_state(void);

/*
 Creates a closed TCP socket. `config` is an
 `anjay_net_socket_configuration_t`, or NULL for the default.

 Errors: EINVAL if `out` is NULL or a value is out of its limits; ENOMEM;
 ENOEXEC as _avs_net_initialize_global_compat_state().

 # Safety
 `out` is NULL or writable; `config` is NULL or a configuration.
 */
struct anjay_net_error_t _avs_net_create_tcp_socket(struct anjay_net_socket_t **out,
                                                    const void *config);

/*
 Creates a closed UDP socket; as _avs_net_create_tcp_socket().

 # Safety
 As _avs_net_create_tcp_socket().
 */
struct anjay_net_error_t _avs_net_create_udp_socket(struct anjay_net_socket_t **out,
                                                    const void *config);

/*
 Resolves a host and a port to a list of endpoints, in the order in which a
 socket would try them. Returns NULL on any error.

 `preferred` comes first if it is among them; it may be NULL.

 # Safety
 `host` and `port` are NULL or NUL-terminated, `preferred` is NULL or an
 endpoint.
 */
struct anjay_net_addrinfo_t *avs_net_addrinfo_resolve_ex(int socket_type,
                                                         int family,
                                                         const char *host,
                                                         const char *port,
                                                         int flags,
                                                         const struct anjay_net_resolved_endpoint_t *preferred);

/*
 Stores the next endpoint of a list.

 Returns 0, 1 at the end of the list, or -1 if an argument is NULL.

 # Safety
 `ctx` is NULL or a list that no other thread uses; `out` is NULL or
 writable.
 */
int avs_net_addrinfo_next(struct anjay_net_addrinfo_t *ctx,
                          struct anjay_net_resolved_endpoint_t *out);

/*
 Goes back to the first endpoint of a list.

 # Safety
 `ctx` is NULL or a list that no other thread uses.
 */
void avs_net_addrinfo_rewind(struct anjay_net_addrinfo_t *ctx);

/*
 Frees a list and sets the pointer to NULL; does nothing for NULL and for a
 pointer to NULL.

 # Safety
 `ctx` is NULL or points at NULL or at a list that no other thread uses.
 */
void avs_net_addrinfo_delete(struct anjay_net_addrinfo_t **ctx);

/*
 Writes the numeric host and port of an endpoint; either output may be NULL.

 Errors: EINVAL if `endpoint` is NULL or stores no address; ERANGE if a buffer is
 too small, which then is not written to.

 # Safety
 `endpoint` is NULL or readable; buffers are NULL or writable for their size.
 */
struct anjay_net_error_t avs_net_resolved_endpoint_get_host_port(const struct anjay_net_resolved_endpoint_t *endpoint,
                                                                 char *host,
                                                                 size_t host_size,
                                                                 char *port,
                                                                 size_t port_size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ANJAY_NET_ABI_H */
