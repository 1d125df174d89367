//! What the Rust types are, by the names C knows them under.

use core::ffi::c_int;
use std::mem::{align_of, offset_of, size_of};

use anjay_net::abi;
use anjay_net::errno::ErrorCode;

use crate::facts::{Facts, Kind};

struct Collector(Facts);

impl Collector {
    fn add(&mut self, kind: Kind, name: &str, value: impl TryInto<i64>) {
        let Ok(value) = value.try_into() else {
            panic!("{name} is out of range");
        };
        let old = self.0.insert((kind, name.to_owned()), value);
        assert!(old.is_none(), "{name} is listed twice");
    }
}

/// The size of a field, told by a function that borrows it.
fn size_of_field<T, F>(_borrow: impl Fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! structure {
    ($facts:ident, $c:literal, $rust:ty { $($field:ident),* $(,)? }) => {
        $facts.add(Kind::SizeOf, $c, size_of::<$rust>());
        $facts.add(Kind::AlignOf, $c, align_of::<$rust>());
        $(
            let name = concat!($c, ".", stringify!($field));
            $facts.add(Kind::OffsetOf, name, offset_of!($rust, $field));
            let size = size_of_field(|value: &$rust| &value.$field);
            $facts.add(Kind::FieldSize, name, size);
        )*
    };
}

/// Reading a union's field is unsafe, making one from it is not: that the
/// field has the type given here is checked by making one.
macro_rules! union_of {
    ($facts:ident, $c:literal, $rust:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $facts.add(Kind::SizeOf, $c, size_of::<abi::$rust>());
        $facts.add(Kind::AlignOf, $c, align_of::<abi::$rust>());
        fields_of_union!($facts, $c, $rust { $($field: $type),* });
    };
}

macro_rules! fields_of_union {
    ($facts:ident, $c:literal, $rust:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(
            let _: fn($type) -> abi::$rust = |$field| abi::$rust { $field };
            let name = concat!($c, ".", stringify!($field));
            $facts.add(Kind::OffsetOf, name, offset_of!(abi::$rust, $field));
            $facts.add(Kind::FieldSize, name, size_of::<$type>());
        )*
    };
}

macro_rules! enumeration {
    ($facts:ident, $c_type:literal, $prefix:literal, $rust:ident { $($c:ident = $variant:ident),* $(,)? }) => {
        $facts.add(Kind::SizeOf, $c_type, size_of::<abi::$rust>());
        enumerators!($facts, $prefix, $rust { $($c = $variant),* });
    };
}

macro_rules! enumerators {
    ($facts:ident, $prefix:literal, $rust:ident { $($c:ident = $variant:ident),* $(,)? }) => {
        $($facts.add(
            Kind::Enum,
            concat!("ANJAY_NET_", $prefix, "_", stringify!($c)),
            abi::$rust::$variant as i64,
        );)*
    };
}

macro_rules! slots {
    ($facts:ident, $($slot:ident),* $(,)?) => {
        let size = size_of::<fn()>();
        $($facts.add(
            Kind::Slot,
            stringify!($slot),
            offset_of!(abi::SocketVTable, $slot) / size,
        );)*
    };
}

macro_rules! constants {
    ($facts:ident, $($name:ident),* $(,)?) => {
        $($facts.add(
            Kind::Constant,
            concat!("ANJAY_NET_", stringify!($name)),
            i64::try_from(abi::$name).expect("constants are small"),
        );)*
    };
}

macro_rules! error_codes {
    ($facts:ident, $($name:ident),* $(,)?) => {
        $facts.add(Kind::SizeOf, "anjay_net_errno", size_of::<ErrorCode>());
        $facts.add(Kind::Enum, "ANJAY_NET_ERRNO_NO_ERROR", ErrorCode::NoError as i64);
        $facts.add(Kind::Enum, "ANJAY_NET_ERRNO_UNKNOWN_ERROR", ErrorCode::UnknownError as i64);
        $($facts.add(
            Kind::Enum,
            concat!("ANJAY_NET_ERRNO_", stringify!($name)),
            ErrorCode::$name as i64,
        );)*
    };
}

/// Everything but the symbols, which only a linker sees.
pub fn layout() -> Facts {
    let mut facts = Collector(Facts::new());
    structures(&mut facts);
    enumerations(&mut facts);
    facts.0
}

fn structures(facts: &mut Collector) {
    structure!(facts, "anjay_net_error_t", abi::Error { category, code });
    structure!(
        facts,
        "anjay_net_duration_t",
        abi::Duration {
            seconds,
            nanoseconds
        }
    );
    structure!(
        facts,
        "anjay_net_resolved_endpoint_t",
        abi::ResolvedEndpoint { size, data }
    );
    structure!(
        facts,
        "anjay_net_socket_configuration_t",
        abi::SocketConfiguration {
            dscp,
            priority,
            reuse_addr,
            transparent,
            interface_name,
            preferred_endpoint,
            address_family,
            forced_mtu,
            preferred_family,
        }
    );
    structure!(
        facts,
        "anjay_net_dane_tlsa_array_t",
        abi::DaneTlsaArray {
            array_ptr,
            array_element_count
        }
    );
    #[cfg(not(feature = "avs-commons-4"))]
    structure!(
        facts,
        "anjay_net_dtls_handshake_timeouts_t",
        abi::DtlsHandshakeTimeouts { min, max }
    );
    structure!(facts, "anjay_net_socket_t", abi::Socket { operations });
    union_of!(
        facts,
        "anjay_net_endpoint_data_t",
        EndpointData {
            buf: [u8; abi::SOCKADDR_CAPACITY],
        }
    );
    union_of!(
        facts,
        "anjay_net_socket_opt_value_t",
        SocketOptValue {
            recv_timeout: abi::Duration,
            state: c_int,
            addr_family: c_int,
            mtu: c_int,
            flag: bool,
            bytes_sent: u64,
            bytes_received: u64,
            dane_tlsa_array: abi::DaneTlsaArray,
        }
    );
    #[cfg(not(feature = "avs-commons-4"))]
    fields_of_union!(
        facts,
        "anjay_net_socket_opt_value_t",
        SocketOptValue {
            dtls_handshake_timeouts: abi::DtlsHandshakeTimeouts,
        }
    );
    facts.add(
        Kind::SizeOf,
        "anjay_net_socket_v_table_t",
        size_of::<abi::SocketVTable>(),
    );
    facts.add(
        Kind::AlignOf,
        "anjay_net_socket_v_table_t",
        align_of::<abi::SocketVTable>(),
    );
    slots!(
        facts,
        connect,
        decorate,
        send,
        send_to,
        receive,
        receive_from,
        bind,
        accept,
        close,
        shutdown,
        cleanup,
        get_system_socket,
        get_interface_name,
        get_remote_host,
        get_remote_hostname,
        get_remote_port,
        get_local_host,
        get_local_port,
        get_opt,
        set_opt,
    );
}

fn enumerations(facts: &mut Collector) {
    enumeration!(facts, "anjay_net_socket_type", "SOCKET_TYPE", SocketType {
        TCP = Tcp,
        UDP = Udp,
        SSL = Ssl,
        DTLS = Dtls,
    });
    enumeration!(facts, "anjay_net_af", "AF", AddressFamily {
        UNSPEC = Unspec,
        INET4 = Inet4,
        INET6 = Inet6,
    });
    enumeration!(facts, "anjay_net_socket_state", "SOCKET_STATE", SocketState {
        CLOSED = Closed,
        SHUTDOWN = Shutdown,
        BOUND = Bound,
        ACCEPTED = Accepted,
        CONNECTED = Connected,
    });
    enumeration!(facts, "anjay_net_socket_opt", "SOCKET_OPT", SocketOptKey {
        RECV_TIMEOUT = RecvTimeout,
        STATE = State,
        ADDR_FAMILY = AddrFamily,
        MTU = Mtu,
        INNER_MTU = InnerMtu,
        SESSION_RESUMED = SessionResumed,
        BYTES_SENT = BytesSent,
        BYTES_RECEIVED = BytesReceived,
        DANE_TLSA_ARRAY = DaneTlsaArray,
        HAS_BUFFERED_DATA = HasBufferedData,
    });
    #[cfg(not(feature = "avs-commons-4"))]
    enumerators!(facts, "SOCKET_OPT", SocketOptKey {
        DTLS_HANDSHAKE_TIMEOUTS = DtlsHandshakeTimeouts,
        CONNECTION_ID_RESUMED = ConnectionIdResumed,
        PREFERRED_ADDR_FAMILY = PreferredAddrFamily,
        FORCED_ADDR_FAMILY = ForcedAddrFamily,
    });
    #[rustfmt::skip] // one a line would be 67 lines
    error_codes!(
        facts,
        E2BIG, EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EALREADY, EBADF,
        EBADMSG, EBUSY, ECHILD, ECONNABORTED, ECONNREFUSED, ECONNRESET, EDEADLK,
        EDESTADDRREQ, EDOM, EEXIST, EFAULT, EFBIG, EHOSTUNREACH, EINPROGRESS, EINTR,
        EINVAL, EIO, EISCONN, EISDIR, ELOOP, EMFILE, EMLINK, EMSGSIZE, ENAMETOOLONG,
        ENETDOWN, ENETRESET, ENETUNREACH, ENFILE, ENOBUFS, ENODEV, ENOENT, ENOEXEC,
        ENOLINK, ENOMEM, ENOMSG, ENOPROTOOPT, ENOSPC, ENOSYS, ENOTBLK, ENOTCONN, ENOTDIR,
        ENOTEMPTY, ENOTSOCK, ENOTSUP, ENOTTY, ENXIO, EOVERFLOW, EPERM, EPIPE, EPROTO,
        EPROTONOSUPPORT, EPROTOTYPE, ERANGE, EROFS, ESPIPE, ESRCH, ETIMEDOUT, ETXTBSY,
        EXDEV,
    );
    constants!(
        facts,
        IF_NAMESIZE,
        SOCKADDR_CAPACITY,
        ERRNO_CATEGORY,
        ADDRINFO_RESOLVE_F_PASSIVE,
        ADDRINFO_RESOLVE_F_V4MAPPED,
        ADDRINFO_RESOLVE_F_NOADDRCONFIG,
        ADDRINFO_END,
    );
}
