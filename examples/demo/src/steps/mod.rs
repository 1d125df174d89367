//! The steps, one module each.

pub mod counters;
pub mod download;
pub mod outage;
pub mod reads;
pub mod reconnect;
pub mod registration;
pub mod stream;
pub mod truncation;
