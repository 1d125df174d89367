//! Every conversion of what C passes.
//!
//! Pointers become references, slices and the types of this module, whose
//! methods are safe: what a function of C may assume of its arguments is
//! assumed here, once for each kind of argument.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::slice;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anjay_net_resolve::{Family, write_port};
use anjay_net_socket::{
    ENDPOINT_MAX, InterfaceName, Kind, SocketConfig, Status, Timeout, address_text,
    decode_endpoint, encode_endpoint,
};

use crate::abi::{
    AddressFamily, Duration, Error, ResolvedEndpoint, SOCKADDR_CAPACITY, SocketConfiguration,
    SocketOptValue, SocketState, SocketType,
};
use crate::errno::ErrorCode;

impl From<Duration> for Timeout {
    fn from(duration: Duration) -> Timeout {
        Timeout {
            seconds: duration.seconds,
            nanoseconds: duration.nanoseconds,
        }
    }
}

impl From<Timeout> for Duration {
    fn from(span: Timeout) -> Duration {
        Duration {
            seconds: span.seconds,
            nanoseconds: span.nanoseconds,
        }
    }
}

impl From<Status> for SocketState {
    fn from(status: Status) -> SocketState {
        match status {
            Status::Closed => SocketState::Closed,
            Status::Shutdown => SocketState::Shutdown,
            Status::Bound => SocketState::Bound,
            Status::Accepted => SocketState::Accepted,
            Status::Connected => SocketState::Connected,
        }
    }
}

/// The family of a C enum value; `Ok(None)` is "unspecified", and any other
/// value `EINVAL`.
pub(crate) fn family(value: c_int) -> Result<Option<Family>, Error> {
    let all = [None, Some(Family::V4), Some(Family::V6)];
    let found = all.into_iter().find(|it| family_value(*it) == value);
    found.ok_or(ErrorCode::EINVAL.error())
}

/// The transport of a C socket type; `None` for a value that is none of the
/// enum's.
pub(crate) fn kind(value: c_int) -> Option<Kind> {
    let is = |kind: SocketType| value == kind as c_int;
    if is(SocketType::Tcp) || is(SocketType::Ssl) {
        return Some(Kind::Tcp);
    }
    (is(SocketType::Udp) || is(SocketType::Dtls)).then_some(Kind::Udp)
}

/// The reverse of [`family`].
pub(crate) fn family_value(family: Option<Family>) -> c_int {
    const _: () = assert!(Family::V4 as c_int == AddressFamily::Inet4 as c_int);
    const _: () = assert!(Family::V6 as c_int == AddressFamily::Inet6 as c_int);
    family.map_or(AddressFamily::Unspec as c_int, |family| family as c_int)
}

/// Text from C; NULL is empty.
///
/// # Safety
/// `text` is NULL or NUL-terminated, and is not written to during `'a`.
#[inline]
pub(crate) unsafe fn text<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: not NULL, so it is NUL-terminated and stays unchanged.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// The path of a file; `None` for NULL.
///
/// # Safety
/// `path` is NULL or NUL-terminated, and is not written to during `'a`.
pub(crate) unsafe fn path<'a>(path: *const c_char) -> Option<&'a Path> {
    // SAFETY: NULL, or NUL-terminated and unchanged, as this function requires.
    let text = unsafe { text(path) };
    (!path.is_null()).then(|| Path::new(OsStr::from_bytes(text)))
}

/// `EFAULT` for NULL with a length, `EINVAL` for a length that no memory has;
/// `None` for an empty buffer at NULL.
#[inline]
fn buffer<T>(buf: *mut T, len: usize) -> Result<Option<NonNull<T>>, Error> {
    match NonNull::new(buf) {
        None if len == 0 => Ok(None),
        None => Err(ErrorCode::EFAULT.error()),
        // No object has more bytes.
        Some(_) if len > isize::MAX as usize => Err(ErrorCode::EINVAL.error()),
        Some(buf) => Ok(Some(buf)),
    }
}

/// A buffer to read from: `EFAULT` for NULL with a length, `EINVAL` for a
/// length that no memory has.
///
/// # Safety
/// A `buf` that is not NULL is readable for `len` bytes, and is not written to
/// during `'a`.
#[inline]
pub(crate) unsafe fn input<'a>(buf: *const c_void, len: usize) -> Result<&'a [u8], Error> {
    Ok(match buffer(buf.cast_mut(), len)? {
        None => &[],
        // SAFETY: not NULL, so readable for `len` bytes, and no longer than an
        // object can be.
        Some(buf) => unsafe { slice::from_raw_parts(buf.as_ptr().cast(), len) },
    })
}

/// A buffer to write to, which is never read; errors as [`input`].
///
/// # Safety
/// A `buf` that is not NULL is writable for `len` bytes, and nothing else uses
/// it during `'a`.
#[inline]
pub(crate) unsafe fn output<'a>(
    buf: *mut c_void,
    len: usize,
) -> Result<&'a mut [MaybeUninit<u8>], Error> {
    Ok(match buffer(buf, len)? {
        None => &mut [],
        // SAFETY: not NULL, so writable for `len` bytes that nothing else uses,
        // and no longer than an object can be; of any content.
        Some(buf) => unsafe { slice::from_raw_parts_mut(buf.as_ptr().cast(), len) },
    })
}

/// A place that C wants a value in, of any alignment and content.
pub(crate) struct Out<'a, T> {
    place: NonNull<T>,
    lifetime: PhantomData<&'a mut T>,
}

impl<T> Out<'_, T> {
    /// `None` for NULL.
    ///
    /// # Safety
    /// A `place` that is not NULL is writable during the lifetime, in which
    /// nothing else uses it.
    #[inline]
    pub(crate) unsafe fn new(place: *mut T) -> Option<Self> {
        NonNull::new(place).map(|place| Out {
            place,
            lifetime: PhantomData,
        })
    }

    #[inline]
    pub(crate) fn put(&mut self, value: T) {
        // SAFETY: writable, as `new` requires.
        unsafe { self.place.write_unaligned(value) };
    }
}

/// A pointer that C keeps and wants cleared, and what it points at; `None` when
/// `place` is NULL.
///
/// # Safety
/// A `place` that is not NULL holds a pointer, is writable during `'a`, and
/// nothing else uses it during that.
pub(crate) unsafe fn pointer<'a, T>(place: *mut *mut T) -> Option<(*mut T, Out<'a, *mut T>)> {
    // SAFETY: NULL, or writable and used by nothing else, as required.
    let out = unsafe { Out::new(place) }?;
    // SAFETY: not NULL, so it holds a pointer.
    Some((unsafe { place.read_unaligned() }, out))
}

/// What fields of [`SocketOptValue`] hold.
pub(crate) trait OptionField {}
impl OptionField for Duration {}
impl OptionField for c_int {}
impl OptionField for u64 {}
impl OptionField for bool {}

impl Out<'_, SocketOptValue> {
    /// Writes a field of the union, and nothing beside it.
    #[inline]
    pub(crate) fn put_field<T: OptionField>(&mut self, value: T) {
        const { assert!(size_of::<T>() <= size_of::<SocketOptValue>()) };
        // SAFETY: writable for the union, as `new` requires, which is no smaller than
        // the field; each field is at its beginning.
        unsafe { self.place.cast().write_unaligned(value) }
    }
}

/// The receive timeout in an option's value.
pub(crate) fn recv_timeout(value: &SocketOptValue) -> Timeout {
    // SAFETY: any bytes are integers, and C passed all of the union.
    unsafe { value.recv_timeout }.into()
}

/// The address family in an option's value.
#[cfg(not(feature = "avs-commons-4"))]
pub(crate) fn addr_family(value: &SocketOptValue) -> Result<Option<Family>, Error> {
    // SAFETY: any bytes are an integer, and C passed all of the union.
    family(unsafe { value.addr_family })
}

/// A buffer that C wants text in.
pub(crate) struct OutText<'a> {
    buf: NonNull<u8>,
    size: usize,
    lifetime: PhantomData<&'a mut [u8]>,
}

impl OutText<'_> {
    /// `None` for NULL.
    ///
    /// # Safety
    /// A `buf` that is not NULL is writable for `size` bytes during the
    /// lifetime, in which nothing else uses it.
    #[inline]
    pub(crate) unsafe fn new(buf: *mut c_char, size: usize) -> Option<Self> {
        NonNull::new(buf.cast()).map(|buf| OutText {
            buf,
            size,
            lifetime: PhantomData,
        })
    }

    /// Writes a text and a NUL: `ERANGE`, and nothing written, when they do not
    /// fit.
    #[inline]
    pub(crate) fn put(&mut self, text: &[u8]) -> Result<(), Error> {
        if text.len() >= self.size {
            return Err(ErrorCode::ERANGE.error());
        }
        // SAFETY: writable for `size` bytes, as `new` requires, which is more
        // than the text has; `text` is none of them, as nothing else uses them.
        unsafe {
            self.buf
                .copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
            self.buf.add(text.len()).write(0);
        }
        Ok(())
    }

    /// Writes an address, as [`put`](Self::put).
    #[inline(never)]
    pub(crate) fn put_host(&mut self, addr: &SocketAddr) -> Result<(), Error> {
        self.put(address_text(addr).as_bytes())
    }
}

/// Writes host and port, each where C wants it; the error is the first one.
#[inline(never)]
pub(crate) fn put_host_port(
    addr: &SocketAddr,
    host: Option<OutText<'_>>,
    port: Option<OutText<'_>>,
) -> Result<(), Error> {
    let host = host.map_or(Ok(()), |mut host| host.put_host(addr));
    let port = port.map_or(Ok(()), |mut port| {
        port.put(write_port(addr.port()).as_bytes())
    });
    host.and(port)
}

/// The endpoint of C that a socket remembers its peer in.
///
/// It is NULL, where nothing is remembered, or readable and writable for as long as the
/// slot lives, except while a method of its socket runs on another thread.
pub(crate) struct EndpointSlot(*mut ResolvedEndpoint);

impl EndpointSlot {
    /// The endpoint that the last connect reached.
    pub(crate) fn get(&self) -> Option<SocketAddr> {
        // SAFETY: NULL, or readable.
        unsafe { endpoint(self.0) }
    }

    /// Stores an endpoint, or that there is none.
    pub(crate) fn set(&self, addr: Option<&SocketAddr>) {
        // SAFETY: NULL, or writable, and nothing else has a reference to it.
        let Some(mut endpoint) = (unsafe { Out::new(self.0) }) else {
            return;
        };
        match addr {
            Some(addr) => endpoint.put_endpoint(addr),
            // SAFETY: not NULL, so writable.
            None => unsafe { (&raw mut (*self.0).size).write(0) },
        }
    }
}

/// The address stored in an endpoint; `None` for NULL, an empty one, and bytes
/// that are no address.
///
/// # Safety
/// `endpoint` is NULL or readable, of any alignment and content.
pub(crate) unsafe fn endpoint(endpoint: *const ResolvedEndpoint) -> Option<SocketAddr> {
    if endpoint.is_null() {
        return None;
    }
    // SAFETY: not NULL, so readable; a byte is always aligned.
    let size = usize::from(unsafe { (&raw const (*endpoint).size).read() });
    // An address that is longer than ours is none of ours.
    let mut bytes = [0u8; ENDPOINT_MAX];
    let used = bytes.get_mut(..size)?;
    // SAFETY: the endpoint is readable, its data longer than `bytes`.
    unsafe {
        used.as_mut_ptr()
            .copy_from_nonoverlapping((&raw const (*endpoint).data).cast(), size);
    }
    decode_endpoint(used)
}

impl Out<'_, ResolvedEndpoint> {
    /// Stores an address, and zeros behind it.
    #[inline]
    pub(crate) fn put_endpoint(&mut self, addr: &SocketAddr) {
        let mut bytes = [0u8; ENDPOINT_MAX];
        let size = encode_endpoint(addr, &mut bytes);
        let endpoint = self.place.as_ptr();
        // SAFETY: the endpoint is writable, as `new` requires, its data longer
        // than `bytes`; bytes are always aligned.
        unsafe {
            // At most 28.
            (&raw mut (*endpoint).size).write(size as u8);
            let data = (&raw mut (*endpoint).data).cast::<u8>();
            data.write_bytes(0, SOCKADDR_CAPACITY);
            data.copy_from_nonoverlapping(bytes.as_ptr(), ENDPOINT_MAX);
        }
    }
}

/// A struct of C that begins with its size, so that it can grow.
///
/// # Safety
/// The type is `repr(C)`, begins with a `usize` that holds the size, and is
/// valid for any bytes.
pub(crate) unsafe trait Growing: Copy {}

/// No struct of ours will ever be longer.
const GROWN: usize = 4096;

/// The size that a struct of C says it has, if it is at least the field itself
/// and no nonsense; `None` for NULL.
///
/// # Safety
/// A `place` that is not NULL holds a `usize`, of any alignment.
unsafe fn size_field<T: Growing>(place: *const T) -> Option<usize> {
    if place.is_null() {
        return None;
    }
    // SAFETY: not NULL, so it holds a `usize`.
    let size = unsafe { place.cast::<usize>().read_unaligned() };
    (size_of::<usize>()..=GROWN).contains(&size).then_some(size)
}

/// A struct that C passes: as much as there is of it, the rest from `defaults`.
/// `None` for NULL, for a size that holds not even itself, and for a longer
/// struct of a newer header whose additions are used.
///
/// # Safety
/// A `from` that is not NULL is readable for the size that it begins with.
pub(crate) unsafe fn growing<T: Growing>(from: *const T, mut defaults: T) -> Option<T> {
    // SAFETY: NULL, or it begins with its size.
    let size = unsafe { size_field(from) }?;
    let known = size.min(size_of::<T>());
    // SAFETY: readable for `size` bytes, of which these are the last.
    let additions = unsafe { slice::from_raw_parts(from.cast::<u8>().add(known), size - known) };
    if additions.iter().any(|&byte| byte != 0) {
        return None;
    }
    // SAFETY: both have `known` bytes, and any bytes are a `T`.
    unsafe {
        (&raw mut defaults)
            .cast::<u8>()
            .copy_from_nonoverlapping(from.cast(), known);
    }
    Some(defaults)
}

/// A place that C wants a struct in which begins with its size.
pub(crate) struct OutGrowing<'a, T: Growing> {
    place: NonNull<T>,
    size: usize,
    lifetime: PhantomData<&'a mut T>,
}

impl<T: Growing> OutGrowing<'_, T> {
    /// `None` for NULL and for a size that holds not even itself.
    ///
    /// # Safety
    /// A `place` that is not NULL is writable for the size that it begins with,
    /// during the lifetime, in which nothing else uses it.
    pub(crate) unsafe fn new(place: *mut T) -> Option<Self> {
        // SAFETY: NULL, or it begins with its size.
        let size = unsafe { size_field(place) }?;
        Some(OutGrowing {
            place: NonNull::new(place)?,
            size,
            lifetime: PhantomData,
        })
    }

    /// Stores as much of the struct as fits; what a newer header has beyond it
    /// becomes zero. The size stays as it is.
    pub(crate) fn put(&mut self, value: T) {
        let known = self.size.min(size_of::<T>());
        let field = size_of::<usize>();
        let from = (&raw const value).cast::<u8>();
        let to = self.place.as_ptr().cast::<u8>();
        // SAFETY: `value` has `known` bytes, the place `size`, as `new`
        // requires; both begin with the size field.
        unsafe {
            to.add(field)
                .copy_from_nonoverlapping(from.add(field), known - field);
            to.add(known).write_bytes(0, self.size - known);
        }
    }
}

/// What a socket is made with, and where its endpoint is remembered.
///
/// # Safety
/// `config` is NULL or points at a configuration, of any alignment, whose
/// preferred endpoint is NULL or readable and writable for as long as the slot
/// lives.
pub(crate) unsafe fn configuration(
    config: *const SocketConfiguration,
) -> Result<(SocketConfig, EndpointSlot), Error> {
    if config.is_null() {
        return Ok((SocketConfig::default(), EndpointSlot(ptr::null_mut())));
    }
    // SAFETY: not NULL, so it is a configuration; any bytes are valid, as there
    // are no enums and no booleans in it.
    let raw = unsafe { config.read_unaligned() };
    let configuration = SocketConfig {
        dscp: raw.dscp,
        priority: raw.priority,
        reuse_addr: boolean(raw.reuse_addr)?,
        transparent: boolean(raw.transparent)?,
        interface: interface(&raw)?,
        forced_family: family(raw.address_family)?,
        preferred_family: family(raw.preferred_family)?,
        forced_mtu: u32::try_from(raw.forced_mtu).ok().filter(|&mtu| mtu > 0),
    };
    // NULL, or it outlives the slot, as this function requires.
    Ok((configuration, EndpointSlot(raw.preferred_endpoint)))
}

fn boolean(value: u8) -> Result<bool, Error> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ErrorCode::EINVAL.error()),
    }
}

fn interface(raw: &SocketConfiguration) -> Result<Option<InterfaceName>, Error> {
    let bytes = raw.interface_name.map(|byte| byte as u8);
    let name = match CStr::from_bytes_until_nul(&bytes).map(CStr::to_bytes) {
        Ok(b"") => return Ok(None),
        name => name.ok().and_then(InterfaceName::new),
    };
    name.map(Some).ok_or(ErrorCode::EINVAL.error())
}
