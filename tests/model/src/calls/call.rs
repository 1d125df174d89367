//! One call, as eight bytes say.

use std::fmt;

use crate::c::{Info, Kind};

/// How many sockets there can be.
pub(super) const SLOTS: usize = 6;

/// So many bytes are one call.
pub const LENGTH: usize = 8;

/// A place for a socket.
pub(super) type Slot = usize;

/// A host as an argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HostText {
    Null,
    Of(&'static [u8]),
    /// Where this slot's socket is, as an address of this host.
    OfSlot(Slot),
}

impl fmt::Debug for HostText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostText::Null => f.write_str("NULL"),
            HostText::Of(text) => write!(f, "\"{}\"", text.escape_ascii()),
            HostText::OfSlot(slot) => write!(f, "OfSlot({slot})"),
        }
    }
}

/// A port as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortText {
    Null,
    Of(&'static [u8]),
    /// The port that this slot's socket has, or had last.
    OfSlot(Slot),
    /// The same with a leading zero.
    OfSlotWithZero(Slot),
    /// Of a UDP socket that is not ours.
    OfOutsider,
    /// One that nobody hears.
    Dead,
}

/// A receive timeout, in seconds and nanoseconds.
pub(super) type Timeout = (i64, i32);

/// What to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Create {
        slot: Slot,
        kind: Kind,
        reuse: bool,
        forced: i32,
        preferred: i32,
    },
    Cleanup(Slot),
    Bind(Slot, HostText, PortText),
    Connect(Slot, HostText, PortText),
    Accept(Slot, Slot),
    Send(Slot, usize),
    SendTo(Slot, usize, HostText, PortText),
    Receive(Slot, usize),
    ReceiveFrom(Slot, usize, usize, usize),
    Shutdown(Slot),
    Close(Slot),
    Decorate(Slot, Slot),
    Info(Slot, Info, usize),
    InterfaceName(Slot),
    GetOption(Slot, i32),
    SetOption(Slot, i32, i32),
    SetTimeout(Slot, Timeout),
    /// Calls with NULL and absurd arguments.
    Nonsense(Slot),
    /// A datagram from the socket that is not ours to this slot's.
    OutsiderSends(Slot, usize),
}

const HOSTS: [HostText; 16] = [
    HostText::Of(b"127.0.0.1"),
    HostText::Of(b"127.0.0.1"),
    HostText::Of(b"127.0.0.1"),
    HostText::Of(b"127.0.0.1"),
    HostText::Of(b"::1"),
    HostText::Of(b"::1"),
    HostText::Of(b"127.0.0.2"),
    HostText::Of(b"[::1]"),
    HostText::Of(b"::ffff:127.0.0.1"),
    HostText::Of(b""),
    HostText::Null,
    HostText::Of(b"0.0.0.0"),
    HostText::Of(b"::"),
    HostText::Of(b"127.0.0.1 "),
    HostText::Of(b"127.1"),
    HostText::Of(b"\xff"),
];

const LENGTHS: [usize; 16] = [
    1, 2, 7, 8, 9, 64, 100, 1000, 1472, 9000, 20_000, 0, 0, 65_507, 65_508, 70_000,
];

const SIZES: [usize; 16] = [
    2048, 2048, 2048, 2048, 65_536, 65_536, 65_536, 65_536, 0, 1, 8, 64, 100, 1000, 1472, 9000,
];

const TEXT_SIZES: [usize; 8] = [64, 64, 64, 10, 9, 4, 1, 0];

const TIMEOUTS: [Timeout; 10] = [
    (0, 0),
    (0, 300_000),
    (0, 1_500_000),
    (-1, 0),
    (-3, 7),
    (30, 0),
    (0, -1),
    (5, 2_000_000_000),
    (i64::MAX, 999_999_999),
    (i64::MIN, 0),
];

const INFOS: [Info; 5] = [
    Info::RemoteHost,
    Info::RemoteHostname,
    Info::RemotePort,
    Info::LocalHost,
    Info::LocalPort,
];

fn pick<T: Copy, const N: usize>(from: &[T; N], byte: u8) -> T {
    from[usize::from(byte) % N]
}

fn port(byte: u8) -> PortText {
    let slot = usize::from(byte >> 4) % SLOTS;
    match byte & 15 {
        0 | 1 => PortText::Of(b"0"),
        2 => PortText::Of(b""),
        3 => PortText::Null,
        4 => PortText::OfOutsider,
        5 => PortText::Dead,
        6 => PortText::Of(b"65536"),
        7 => PortText::Of(b"-1"),
        8 => PortText::OfSlotWithZero(slot),
        _ => PortText::OfSlot(slot),
    }
}

impl Call {
    /// Any bytes are a call.
    pub(super) fn decode(bytes: [u8; LENGTH]) -> Call {
        let [what, slot, a, b, c, d, ..] = bytes;
        let slot = usize::from(slot) % SLOTS;
        let port = port(b);
        // Mostly a host that goes with the port.
        let host = match port {
            PortText::OfSlot(slot) if a >= 64 => HostText::OfSlot(slot),
            _ => pick(&HOSTS, a),
        };
        let (length, size) = (pick(&LENGTHS, c), pick(&SIZES, c));
        // What leads further comes more often.
        match what % 48 {
            0..=3 => Call::Create {
                slot,
                kind: if a & 1 == 0 { Kind::Udp } else { Kind::Tcp },
                reuse: a & 2 != 0,
                forced: i32::from(b.saturating_sub(252)).max(0) % 3,
                preferred: i32::from(c) % 3,
            },
            4..=8 => Call::Bind(slot, host, port),
            9..=14 => Call::Connect(slot, host, port),
            15..=17 => Call::Accept(slot, usize::from(a) % SLOTS),
            18..=22 => Call::Send(slot, length),
            23..=25 => Call::SendTo(slot, length, host, port),
            26..=30 => Call::Receive(slot, size),
            31..=33 => {
                let texts = (pick(&TEXT_SIZES, a), pick(&TEXT_SIZES, b));
                Call::ReceiveFrom(slot, size, texts.0, texts.1)
            }
            34 => Call::Shutdown(slot),
            35 | 36 => Call::Close(slot),
            37 => Call::Cleanup(slot),
            38 => Call::Decorate(slot, usize::from(a) % SLOTS),
            39 | 40 => Call::Info(slot, pick(&INFOS, a), pick(&TEXT_SIZES, b)),
            41 => Call::InterfaceName(slot),
            42 | 43 => Call::GetOption(slot, i32::from(a % 18) - 1),
            44 => Call::SetOption(slot, i32::from(a % 18) - 1, i32::from(d % 5) - 1),
            45 => Call::SetTimeout(slot, pick(&TIMEOUTS, a)),
            46 => Call::Nonsense(slot),
            _ => Call::OutsiderSends(slot, length),
        }
    }
}
