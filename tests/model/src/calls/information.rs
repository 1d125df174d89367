//! What can be asked and set, and calls that make no sense.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::call::{Slot, Timeout};
use super::model::{Model, State};
use super::world::{Pair, World, assert_one_of};
use crate::c::{Code, Info, Socket, abi};
use crate::code;

/// Calls a method with arguments that a [`Socket`] would not pass.
macro_rules! call {
    ($socket:expr, $method:ident $(, $argument:expr)*) => {{
        let socket: &Socket = $socket;
        // SAFETY: the object is alive, and what is no NULL and no absurd length
        // is valid.
        unsafe { (socket.methods().$method)(socket.as_ptr() $(, $argument)*) }
    }};
}

/// The MTU of the loopback interface, which for IPv4 is more than a packet can
/// have (`IP_MAX_MTU`).
fn path_mtu(model: &Model) -> c_int {
    let peer = model.peer.as_ref().expect("a connected socket has a peer");
    if peer.addr.is_ipv4() { 65_535 } else { 65_536 }
}

impl World {
    pub(super) fn decorate(&self, slot: Slot, other: Slot) {
        if let (Some(pair), Some(other)) = (&self.slots[slot], &self.slots[other]) {
            assert_eq!(pair.real.decorate(&other.real), code::ENOTSUP);
        }
    }

    pub(super) fn info(&self, slot: Slot, info: Info, size: usize) {
        let Some(Pair { real, model }) = &self.slots[slot] else {
            return;
        };
        let expected = text(model, info).and_then(|text| match text.len() < size {
            true => Ok(text),
            false => Err(code::ERANGE),
        });
        assert_eq!(real.info(info, size), expected, "{info:?} of {model:?}");
    }

    pub(super) fn interface_name(&self, slot: Slot) {
        let Some(Pair { real, model }) = &self.slots[slot] else {
            return;
        };
        let name = real.interface_name();
        if !model.is_open() {
            return assert_eq!(name, Err(code::EBADF));
        }
        let ip = model.local_addr().ip();
        match ip.to_string().as_str() {
            "127.0.0.1" | "::1" => assert_eq!(name.as_deref(), Ok("lo")),
            _ if ip.is_unspecified() => assert_eq!(name, Err(code::ENODEV)),
            // Of the interface's network, not its address.
            _ => assert!(matches!(name.as_deref(), Ok("lo") | Err(&code::ENODEV))),
        }
    }

    pub(super) fn get_option(&self, slot: Slot, key: c_int) {
        let Some(Pair { real, model }) = &self.slots[slot] else {
            return;
        };
        let is_connected = matches!(model.state, State::Connected | State::Accepted);
        let int = |expected: Result<c_int, Code>| {
            assert_eq!(real.int_option(key), expected, "option {key} of {model:?}");
        };
        match key {
            // These are verified after each call.
            0 | 1 | 6 | 7 => {}
            2 if !model.is_open() => int(Ok(0)),
            2 => int(Ok(if model.is_v6 { 2 } else { 1 })),
            3 if !model.is_open() => int(Err(code::EBADF)),
            3 if is_connected && model.is_udp() => int(Ok(path_mtu(model))),
            3 if model.state == State::Bound => {
                assert!(real.int_option(key).is_err(), "MTU of a bound socket");
            }
            3 => {
                let _any = real.int_option(key);
            }
            4 if !model.is_udp() => {
                let code = real.int_option(key).expect_err("an MTU of TCP");
                let expected = [code::ENOTSUP, code::EBADF];
                assert_one_of(code, &expected[..1 + usize::from(!model.is_open())], "MTU");
            }
            4 if !model.is_open() => int(Err(code::EBADF)),
            4 if model.state == State::Bound => int(Ok(if model.is_v6 { 1232 } else { 548 })),
            4 if is_connected => int(Ok(match path_mtu(model) {
                65_535 => 65_507,
                _ => 65_488,
            })),
            4 => {
                let _any = real.int_option(key);
            }
            9 => assert_eq!(real.get_opt(key), Ok([0])),
            12 => int(Ok(model.preferred)),
            13 => int(Ok(model.forced)),
            _ => int(Err(code::EINVAL)),
        }
    }

    pub(super) fn set_option(&mut self, slot: Slot, key: c_int, value: c_int) {
        let Some(Pair { real, model }) = &mut self.slots[slot] else {
            return;
        };
        if key == 0 {
            // Takes a duration; see SetTimeout.
            return;
        }
        let code = real.set_int_option(key, value);
        let family = match key {
            12 => &mut model.preferred,
            13 => &mut model.forced,
            _ => return assert_eq!(code, code::EINVAL, "option {key}"),
        };
        if (0..=2).contains(&value) {
            assert_eq!(code, code::OK);
            *family = value;
        } else {
            assert_eq!(code, code::EINVAL, "family {value}");
        }
    }

    pub(super) fn set_timeout(&mut self, slot: Slot, timeout: Timeout) {
        if let Some(Pair { real, model }) = &mut self.slots[slot] {
            assert_eq!(real.set_receive_timeout(timeout), code::OK);
            model.timeout = timeout;
        }
    }

    /// NULL and absurd arguments: an error, and nothing changes.
    pub(super) fn nonsense(&self, slot: Slot) {
        let Some(Pair { real, model }) = &self.slots[slot] else {
            return;
        };
        let is_open = model.is_open();
        // A wrong state may be noticed first.
        let bad = |error: abi::Error, expected: Code| {
            let expected = [expected, code::EBADF];
            let expected = &expected[..1 + usize::from(!is_open)];
            assert_one_of(Code::of(error), expected, "nonsense");
        };
        let (null, absurd) = (ptr::null_mut::<c_void>(), usize::MAX);
        let mut byte = [0u8; 1];
        let buf = byte.as_mut_ptr();
        let mut len = 0usize;
        let text: *mut c_char = null.cast();
        let (host, port) = (c"127.0.0.1".as_ptr(), c"1".as_ptr());
        bad(call!(real, send, null, 3), code::EFAULT);
        bad(call!(real, send, buf.cast(), absurd), code::EINVAL);
        bad(call!(real, send_to, null, 3, host, port), code::EFAULT);
        bad(
            call!(real, send_to, buf.cast(), absurd, host, port),
            code::EINVAL,
        );
        bad(
            call!(real, receive, ptr::null_mut(), buf.cast(), 1),
            code::EINVAL,
        );
        bad(call!(real, receive, &mut len, null, 3), code::EFAULT);
        bad(
            call!(real, receive, &mut len, buf.cast(), absurd),
            code::EINVAL,
        );
        bad(
            call!(
                real,
                receive_from,
                &mut len,
                buf.cast(),
                1,
                text,
                9,
                text,
                9
            ),
            code::EINVAL,
        );
        bad(call!(real, get_interface_name, text), code::EINVAL);
        bad(call!(real, get_local_host, text, 9), code::EINVAL);
        bad(call!(real, get_remote_port, text, 9), code::EINVAL);
        bad(call!(real, get_opt, 1, ptr::null_mut()), code::EINVAL);
        bad(call!(real, accept, ptr::null_mut()), code::EINVAL);
        assert_eq!((byte, len), ([0], 0), "nothing was written");
        without_socket(real);
    }
}

/// No socket at all.
fn without_socket(real: &Socket) {
    let methods = real.methods();
    let none = ptr::null_mut();
    // SAFETY: NULL is what these methods must bear.
    let errors = unsafe {
        [
            (methods.connect)(none, ptr::null(), ptr::null()),
            (methods.send)(none, ptr::null(), 0),
            (methods.bind)(none, ptr::null(), ptr::null()),
            (methods.accept)(none, real.as_ptr()),
            (methods.close)(none),
            (methods.shutdown)(none),
            (methods.decorate)(none, none),
        ]
    };
    for error in errors {
        assert_eq!(Code::of(error), code::EINVAL);
    }
    // SAFETY: these methods, too, must bear NULL, and a pointer to NULL.
    unsafe {
        assert!((methods.get_system_socket)(none).is_null());
        assert_eq!(Code::of((methods.cleanup)(ptr::null_mut())), code::OK);
        let mut nobody = ptr::null_mut();
        assert_eq!(Code::of((methods.cleanup)(&mut nobody)), code::OK);
    }
}

/// What one of the five methods should say.
fn text(model: &Model, info: Info) -> Result<String, Code> {
    if !model.is_open() {
        return Err(code::EBADF);
    }
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).expect("it was accepted");
    let local = model.local_addr();
    let peer = model.peer.as_ref();
    match info {
        Info::LocalHost => Ok(local.ip().to_string()),
        Info::LocalPort => Ok(local.port().to_string()),
        Info::RemoteHost => peer
            .map(|peer| peer.addr.ip().to_string())
            .ok_or(code::ENOTCONN),
        Info::RemoteHostname => peer.map(|peer| text(&peer.host)).ok_or(code::ENOBUFS),
        Info::RemotePort => peer.map(|peer| text(&peer.port)).ok_or(code::ENOBUFS),
    }
}
