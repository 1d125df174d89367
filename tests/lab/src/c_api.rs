//! The library as C calls it: the exported symbols and the v-table.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem;
use std::ptr;

use anjay_net::abi::{
    self, AddressFamily, Error, ResolvedEndpoint, SocketConfiguration, SocketType, SocketVTable,
};
use anjay_net::errno::ErrorCode;
use anjay_net::settings;
use anjay_net::symbols;
use anjay_net_resolve::Family;

/// A code as C sees it.
pub(crate) type Outcome = Result<(), u16>;

/// The number that C knows an error by.
pub(crate) fn code(code: ErrorCode) -> u16 {
    code as u16
}

/// An endpoint in memory of C.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint(ResolvedEndpoint);

impl Endpoint {
    /// Nothing stored.
    pub(crate) fn empty() -> Endpoint {
        // SAFETY: all zero bytes are an endpoint that stores nothing.
        Endpoint(unsafe { mem::zeroed() })
    }

    /// Host and port; `None` when nothing is stored.
    pub(crate) fn text(&self) -> Option<(String, String)> {
        let (mut host, mut port) = ([0 as c_char; 64], [0 as c_char; 6]);
        // SAFETY: a whole endpoint; buffers as long as their sizes say.
        let error = unsafe {
            symbols::avs_net_resolved_endpoint_get_host_port(
                &self.0,
                host.as_mut_ptr(),
                host.len(),
                port.as_mut_ptr(),
                port.len(),
            )
        };
        (error.code == 0).then(|| (text(&host), text(&port)))
    }

    /// The host alone.
    pub(crate) fn host(&self) -> Option<String> {
        self.text().map(|(host, _)| host)
    }
}

/// A socket of C.
pub(crate) struct Socket {
    raw: *mut abi::Socket,
    /// The configuration's `preferred_endpoint`: outlives `raw`, and does not
    /// move.
    preferred: *mut ResolvedEndpoint,
}

impl Socket {
    pub(crate) fn tcp() -> Socket {
        Socket::create(SocketType::Tcp, |_| {})
    }

    pub(crate) fn udp() -> Socket {
        Socket::create(SocketType::Udp, |_| {})
    }

    /// With a changed configuration.
    pub(crate) fn create(
        kind: SocketType,
        change: impl FnOnce(&mut SocketConfiguration),
    ) -> Socket {
        let preferred = Box::into_raw(Box::new(Endpoint::empty().0));
        // SAFETY: all zero bytes are the valid default of this C struct.
        let mut config: SocketConfiguration = unsafe { mem::zeroed() };
        config.preferred_endpoint = preferred;
        change(&mut config);
        let mut raw = ptr::null_mut();
        let create = match kind {
            SocketType::Tcp => symbols::_avs_net_create_tcp_socket,
            _ => symbols::_avs_net_create_udp_socket,
        };
        // SAFETY: `raw` may be written; a whole configuration, with an
        // endpoint that outlives the socket.
        let error = unsafe { create(&mut raw, (&raw const config).cast()) };
        assert_eq!(error.code, 0, "a socket is made");
        Socket { raw, preferred }
    }

    fn methods(&self) -> &SocketVTable {
        // SAFETY: the object is alive and starts with a pointer to its
        // v-table, which lives as long as the program.
        unsafe { &*(*self.raw).operations }
    }

    pub(crate) fn connect(&mut self, host: &str, port: &str) -> Outcome {
        let (host, port) = (c_string(host), c_string(port));
        // SAFETY: the object is alive, the texts are terminated.
        outcome(unsafe { (self.methods().connect)(self.raw, host.as_ptr(), port.as_ptr()) })
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Outcome {
        // SAFETY: the object is alive; pointer and length are of one slice.
        outcome(unsafe { (self.methods().send)(self.raw, bytes.as_ptr().cast(), bytes.len()) })
    }

    pub(crate) fn receive(&self) -> Result<Vec<u8>, u16> {
        let (mut buf, mut len) = ([0u8; 2048], 0);
        // SAFETY: the object is alive; the buffer is as long as its size says.
        outcome(unsafe {
            (self.methods().receive)(self.raw, &mut len, buf.as_mut_ptr().cast(), buf.len())
        })?;
        Ok(buf[..len].to_vec())
    }

    pub(crate) fn close(&mut self) -> Outcome {
        // SAFETY: the object is alive.
        outcome(unsafe { (self.methods().close)(self.raw) })
    }

    pub(crate) fn remote_host(&self) -> Result<String, u16> {
        let mut buf = [0 as c_char; 64];
        // SAFETY: the object is alive; the buffer is as long as its size says.
        outcome(unsafe {
            (self.methods().get_remote_host)(self.raw, buf.as_mut_ptr(), buf.len())
        })?;
        Ok(text(&buf))
    }

    /// What connect stored.
    pub(crate) fn preferred(&self) -> Endpoint {
        // SAFETY: written by methods that take `&mut self` only.
        Endpoint(unsafe { *self.preferred })
    }

    /// As if the caller had kept it from another day.
    pub(crate) fn set_preferred(&mut self, endpoint: Endpoint) {
        // SAFETY: read by methods that take `&mut self` only.
        unsafe { *self.preferred = endpoint.0 };
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the object is alive, and nothing uses it after this; the
        // endpoint is from a box, and the socket that used it is gone.
        unsafe {
            let _ = (self.methods().cleanup)(&mut self.raw);
            drop(Box::from_raw(self.preferred));
        }
    }
}

/// `avs_net_addrinfo_resolve_ex` and the rest of it; `None` for its NULL.
pub(crate) fn resolve(
    host: &str,
    port: &str,
    family: Option<Family>,
    preferred: Option<&Endpoint>,
) -> Option<Vec<Endpoint>> {
    let (host, port) = (c_string(host), c_string(port));
    let preferred = preferred.map_or(ptr::null(), |endpoint| ptr::from_ref(&endpoint.0));
    // SAFETY: terminated texts; NULL or a whole endpoint.
    let mut list = unsafe {
        symbols::avs_net_addrinfo_resolve_ex(
            SocketType::Udp as c_int,
            family_value(family),
            host.as_ptr(),
            port.as_ptr(),
            0,
            preferred,
        )
    };
    if list.is_null() {
        return None;
    }
    let mut found = Vec::new();
    let mut next = Endpoint::empty();
    // SAFETY: the list lives until it is deleted; a whole endpoint.
    while unsafe { symbols::avs_net_addrinfo_next(list, &mut next.0) } == 0 {
        found.push(next);
    }
    // SAFETY: ours, and not used after this.
    unsafe { symbols::avs_net_addrinfo_delete(&mut list) };
    Some(found)
}

/// The value of `AVS_NET_AF_*`.
pub(crate) fn family_value(family: Option<Family>) -> c_int {
    (match family {
        None => AddressFamily::Unspec,
        Some(Family::V4) => AddressFamily::Inet4,
        Some(Family::V6) => AddressFamily::Inet6,
    }) as c_int
}

/// Gets the settings, changes them and configures the library with them.
pub(crate) fn configure(change: impl FnOnce(&mut settings::Settings)) {
    // SAFETY: all zero bytes are valid numbers.
    let mut settings: settings::Settings = unsafe { mem::zeroed() };
    settings.size = size_of::<settings::Settings>();
    // SAFETY: a whole struct with its size.
    let got = unsafe { settings::anjay_net_get_settings(&mut settings) };
    assert_eq!(got, 0);
    change(&mut settings);
    let mut problem = ptr::null();
    // SAFETY: a whole struct with its size; `problem` may be written.
    let set = unsafe { settings::anjay_net_configure(&settings, &mut problem) };
    assert_eq!(set, 0);
}

fn outcome(error: Error) -> Outcome {
    match error.code {
        0 => Ok(()),
        code => Err(code),
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

fn text(buf: &[c_char]) -> String {
    let bytes: Vec<u8> = buf.iter().map(|&byte| byte as u8).collect();
    let text = CStr::from_bytes_until_nul(&bytes).expect("a terminated text");
    text.to_string_lossy().into_owned()
}
