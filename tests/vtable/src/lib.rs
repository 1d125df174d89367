//! The library as C calls it: the exported symbols and the methods behind the
//! v-table. Arguments are what C could pass, NULL and buffers that are too
//! small too; results are what C gets. Nothing here uses the Rust API.
//!
//! | module | what |
//! |---|---|
//! | [`code`] | error codes |
//! | [`text`] | host and port arguments |
//! | [`buffer`] | out buffers that notice what is written behind their end |
//! | [`socket`] | a socket and its 20 methods |
//! | [`addrinfo`] | stored endpoints and address lists |

pub mod addrinfo;
pub mod buffer;
pub mod code;
pub mod socket;
pub mod text;

pub use addrinfo::{Question, host_port, no_endpoint, resolve, stored};
pub use anjay_net::abi;
pub use anjay_net::settings::Settings;
pub use buffer::Buffer;
pub use code::Code;
pub use socket::{Info, Kind, Received, Socket, default_configuration};
pub use text::{NULL, Text};

use anjay_net::{settings, symbols};

/// `_avs_net_initialize_global_compat_state`.
pub fn initialize() -> Code {
    Code::of(symbols::_avs_net_initialize_global_compat_state())
}

/// `_avs_net_cleanup_global_compat_state`.
pub fn clean_up() {
    symbols::_avs_net_cleanup_global_compat_state();
}

/// Changes the settings of the process.
pub fn configure(change: impl FnOnce(&mut Settings)) {
    // SAFETY: all fields are integers, for which zero bytes are valid.
    let mut settings: Settings = unsafe { std::mem::zeroed() };
    settings.size = size_of::<Settings>();
    // SAFETY: `settings.size` is the size of the struct that is passed.
    let got = unsafe { settings::anjay_net_get_settings(&mut settings) };
    assert_eq!(got, 0, "a struct of a size that is known");
    change(&mut settings);
    // SAFETY: as for getting them; `problem` may be NULL.
    let set = unsafe { settings::anjay_net_configure(&settings, std::ptr::null_mut()) };
    assert_eq!(set, 0, "settings within their limits");
}
