//! Names and addresses on a real network.
//!
//! Each [`Scenario`] is a child process with a network of its own: two network
//! namespaces joined by a cable, and a mount namespace with its own `/etc`. In
//! the one, "home", the library connects; in the other, "away", are servers and
//! name servers. What is unplugged, unanswered or swallowed there is so for the
//! kernel and for the C library, too.
//!
//! | module | what |
//! |---|---|
//! | [`run`] | plays a scenario in a child process and hears how it went |
//! | [`scenarios`] | the list, and what each one shows |
//! | `world` | the namespaces, their links, addresses and files |
//! | `servers`, `responder`, `dnsmasq` | who is away: TCP, UDP, names |
//! | `meter` | times, attempts, descriptors, threads |
//! | `client`, `c_api` | the library as Rust and as C call it |
//! | `journal` | the library's log lines |
//! | `sealed` | code that must get along without system calls |
//!
//! It takes root, `ip` (iproute2) and `dnsmasq`; [`obstacle`] tells what is
//! missing. Nothing is left behind: namespaces end with their last process,
//! and every process here ends with its parent.
//!
//! A program that plays scenarios calls [`child_main`] first of all, as it is
//! itself what runs in the child process.

mod c_api;
mod client;
mod dnsmasq;
mod journal;
mod meter;
mod responder;
pub mod run;
pub mod scenarios;
mod sealed;
mod servers;
mod world;

pub use meter::Figures;
pub use run::{Report, child_main, obstacle};
pub use scenarios::{ALL, Scenario};
