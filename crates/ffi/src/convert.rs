//! Every conversion of what C passes.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{self, MaybeUninit};
use core::slice;
use std::io;
use std::net::SocketAddr;

use anjay_net_resolve::{Family, write_port};
use anjay_net_socket::{
    Configuration, ENDPOINT_MAX, Status, TimeSpan, address_text, decode_endpoint, encode_endpoint,
};

use crate::abi::{
    AddressFamily, Duration, Error, ResolvedEndpoint, SOCKADDR_CAPACITY, SocketConfiguration,
    SocketState,
};
use crate::errno::{ErrorCode, code_of_errno};

impl From<io::Error> for Error {
    #[inline(always)]
    fn from(error: io::Error) -> Error {
        match error.raw_os_error() {
            Some(errno) => {
                // It is that number and owns nothing, which costs more
                // instructions to find out than all of this.
                mem::forget(error);
                code_of_errno(errno).into()
            }
            None => ErrorCode::UnknownError.into(),
        }
    }
}

impl From<io::Result<()>> for Error {
    #[inline]
    fn from(result: io::Result<()>) -> Error {
        match result {
            Ok(()) => Error::OK,
            Err(error) => error.into(),
        }
    }
}

impl From<Duration> for TimeSpan {
    fn from(duration: Duration) -> TimeSpan {
        TimeSpan {
            seconds: duration.seconds,
            nanoseconds: duration.nanoseconds,
        }
    }
}

impl From<TimeSpan> for Duration {
    fn from(span: TimeSpan) -> Duration {
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

/// A value that is none of the enum's.
pub(crate) struct UnknownFamily;

/// The family of a C enum value; `Ok(None)` is "unspecified".
pub(crate) fn family(value: c_int) -> Result<Option<Family>, UnknownFamily> {
    const UNSPEC: c_int = AddressFamily::Unspec as c_int;
    const INET4: c_int = AddressFamily::Inet4 as c_int;
    const INET6: c_int = AddressFamily::Inet6 as c_int;
    match value {
        UNSPEC => Ok(None),
        INET4 => Ok(Some(Family::V4)),
        INET6 => Ok(Some(Family::V6)),
        _ => Err(UnknownFamily),
    }
}

/// The reverse of [`family`].
pub(crate) fn family_value(family: Option<Family>) -> c_int {
    (match family {
        None => AddressFamily::Unspec,
        Some(Family::V4) => AddressFamily::Inet4,
        Some(Family::V6) => AddressFamily::Inet6,
    }) as c_int
}

/// Text from C; NULL is empty.
///
/// # Safety
/// `text` is NULL or NUL-terminated and stays as it is for `'a`.
#[inline]
pub(crate) unsafe fn text<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: not NULL, and the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// More bytes than any object has.
const ABSURD: usize = isize::MAX as usize;

/// A buffer to read from: `EFAULT` for NULL with a length, `EINVAL` for a
/// length that no memory has.
///
/// # Safety
/// A `buf` that is not NULL is readable for `len` bytes, for `'a`.
#[inline]
pub(crate) unsafe fn input<'a>(buf: *const c_void, len: usize) -> Result<&'a [u8], Error> {
    if buf.is_null() {
        return if len == 0 {
            Ok(&[])
        } else {
            Err(ErrorCode::EFAULT.into())
        };
    }
    if len > ABSURD {
        return Err(ErrorCode::EINVAL.into());
    }
    // SAFETY: not NULL, and the caller's promise.
    Ok(unsafe { slice::from_raw_parts(buf.cast(), len) })
}

/// A buffer to write to; errors as [`input`]. Nothing of it is read.
///
/// # Safety
/// A `buf` that is not NULL is writable for `len` bytes, for `'a`, and nobody
/// else uses it.
#[inline]
pub(crate) unsafe fn output<'a>(
    buf: *mut c_void,
    len: usize,
) -> Result<&'a mut [MaybeUninit<u8>], Error> {
    if buf.is_null() {
        return if len == 0 {
            Ok(&mut [])
        } else {
            Err(ErrorCode::EFAULT.into())
        };
    }
    if len > ABSURD {
        return Err(ErrorCode::EINVAL.into());
    }
    // SAFETY: not NULL, and the caller's promise.
    Ok(unsafe { slice::from_raw_parts_mut(buf.cast(), len) })
}

/// Writes a value where C wants it; `None` for NULL.
///
/// # Safety
/// A pointer that is not NULL is writable, of any alignment.
#[inline]
pub(crate) unsafe fn put<T>(out: *mut T, value: T) -> Option<()> {
    if out.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller's promise.
    unsafe { out.write_unaligned(value) };
    Some(())
}

/// Writes text and its NUL into a buffer of C: `ERANGE`, and nothing touched,
/// when it does not fit; `EINVAL` for NULL.
///
/// # Safety
/// A `buf` that is not NULL is writable for `size` bytes.
#[inline]
pub(crate) unsafe fn put_text(buf: *mut c_char, size: usize, text: &[u8]) -> Error {
    if buf.is_null() {
        return ErrorCode::EINVAL.into();
    }
    if text.len() >= size {
        return ErrorCode::ERANGE.into();
    }
    // SAFETY: text and NUL fit, and the caller's promise.
    unsafe {
        buf.cast::<u8>()
            .copy_from_nonoverlapping(text.as_ptr(), text.len());
        buf.add(text.len()).write(0);
    }
    Error::OK
}

/// Writes host and port, each only where C wants it (not NULL); the error is
/// the first one.
///
/// # Safety
/// As [`put_text`], for both.
#[inline]
pub(crate) unsafe fn put_host_port(
    addr: &SocketAddr,
    (host, host_size): (*mut c_char, usize),
    (port, port_size): (*mut c_char, usize),
) -> Error {
    let mut result = Error::OK;
    if !host.is_null() {
        // SAFETY: the caller's promise.
        result = unsafe { put_text(host, host_size, address_text(addr).as_bytes()) };
    }
    if !port.is_null() {
        // SAFETY: the caller's promise.
        let written = unsafe { put_text(port, port_size, write_port(addr.port()).as_bytes()) };
        if result == Error::OK {
            result = written;
        }
    }
    result
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
    // SAFETY: not NULL, and the caller's promise.
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

/// Stores an address in an endpoint of C, all of its bytes; `None` for NULL.
///
/// # Safety
/// `out` is NULL or writable, of any alignment.
#[inline]
pub(crate) unsafe fn put_endpoint(out: *mut ResolvedEndpoint, addr: &SocketAddr) -> Option<()> {
    if out.is_null() {
        return None;
    }
    let mut bytes = [0u8; ENDPOINT_MAX];
    let size = encode_endpoint(addr, &mut bytes);
    // At most 28.
    #[allow(clippy::cast_possible_truncation)]
    let size = size as u8;
    // SAFETY: not NULL, and the caller's promise.
    unsafe {
        (&raw mut (*out).size).write(size);
        let data = (&raw mut (*out).data).cast::<u8>();
        data.write_bytes(0, SOCKADDR_CAPACITY);
        data.copy_from_nonoverlapping(bytes.as_ptr(), ENDPOINT_MAX);
    }
    Some(())
}

/// A struct of C that begins with its size: as much as there is of it, the
/// rest from `defaults`. `None` for NULL, for a size that holds not even
/// itself, and for a longer struct of a newer header whose additions are used.
///
/// # Safety
/// `T` is `repr(C)`, begins with a `usize` and is valid for any bytes; `from`
/// is NULL or readable for as many bytes as it says.
pub(crate) unsafe fn sized<T: Copy>(from: *const T, mut defaults: T) -> Option<T> {
    // SAFETY: the caller's promise.
    let size = unsafe { size_field(from) }?;
    let known = size.min(size_of::<T>());
    // SAFETY: the caller's promise.
    let additions = unsafe { slice::from_raw_parts(from.cast::<u8>().add(known), size - known) };
    if additions.iter().any(|&byte| byte != 0) {
        return None;
    }
    // SAFETY: both are valid for `known` bytes, any bytes are a `T`.
    unsafe {
        (&raw mut defaults)
            .cast::<u8>()
            .copy_from_nonoverlapping(from.cast(), known);
    }
    Some(defaults)
}

/// Stores a struct that begins with its size, as much of it as fits; what it
/// does not have of a newer header becomes zero. `None` as for [`sized`].
///
/// # Safety
/// As [`sized`]; `to` is NULL or writable for as many bytes as it says.
pub(crate) unsafe fn put_sized<T: Copy>(to: *mut T, value: T) -> Option<()> {
    // SAFETY: the caller's promise.
    let size = unsafe { size_field(to) }?;
    let known = size.min(size_of::<T>());
    let field = size_of::<usize>();
    // SAFETY: both are valid for `known` bytes. The size stays as it is.
    unsafe {
        let (from, to) = ((&raw const value).cast::<u8>(), to.cast::<u8>());
        to.add(field)
            .copy_from_nonoverlapping(from.add(field), known - field);
        to.add(known).write_bytes(0, size - known);
    }
    Some(())
}

/// # Safety
/// `from` is NULL or points at a `usize`, of any alignment.
unsafe fn size_field<T>(from: *const T) -> Option<usize> {
    if from.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller's promise.
    let size = unsafe { from.cast::<usize>().read_unaligned() };
    (size_of::<usize>()..=SIZE_LIMIT)
        .contains(&size)
        .then_some(size)
}

/// No struct of ours will ever be longer.
const SIZE_LIMIT: usize = 4096;

/// What a socket is made with, and where its endpoint is remembered.
///
/// # Safety
/// `config` is NULL or points at a configuration, of any alignment.
#[inline]
pub(crate) unsafe fn configuration(
    config: *const SocketConfiguration,
) -> Result<(Configuration, *mut ResolvedEndpoint), Error> {
    if config.is_null() {
        return Ok((Configuration::default(), core::ptr::null_mut()));
    }
    // SAFETY: not NULL, and the caller's promise; any bytes are valid, as
    // there are no enums and no booleans in it.
    let raw = unsafe { config.read_unaligned() };
    let bad = |_| Error::from(ErrorCode::EINVAL);
    let configuration = Configuration {
        dscp: raw.dscp,
        priority: raw.priority,
        reuse_addr: boolean(raw.reuse_addr)?,
        transparent: boolean(raw.transparent)?,
        interface: interface(&raw)?,
        forced_family: family(raw.address_family).map_err(bad)?,
        preferred_family: family(raw.preferred_family).map_err(bad)?,
        forced_mtu: u32::try_from(raw.forced_mtu).ok().filter(|&mtu| mtu > 0),
    };
    Ok((configuration, raw.preferred_endpoint))
}

fn boolean(value: u8) -> Result<bool, Error> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ErrorCode::EINVAL.into()),
    }
}

#[inline]
fn interface(raw: &SocketConfiguration) -> Result<Option<Box<str>>, Error> {
    match raw.interface_name[0] {
        0 => Ok(None),
        _ => interface_name(raw).map(Some),
    }
}

#[cold]
fn interface_name(raw: &SocketConfiguration) -> Result<Box<str>, Error> {
    let bytes = raw.interface_name.map(|byte| byte as u8);
    let name = CStr::from_bytes_until_nul(&bytes)
        .ok()
        .and_then(|name| name.to_str().ok())
        .ok_or(Error::from(ErrorCode::EINVAL))?;
    // Unlike the ways that end the program when memory runs out.
    let mut text = String::new();
    text.try_reserve_exact(name.len())
        .map_err(|_| Error::from(ErrorCode::ENOMEM))?;
    text.push_str(name);
    Ok(text.into_boxed_str())
}
