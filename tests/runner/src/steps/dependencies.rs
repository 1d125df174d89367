//! What the product depends on, looked at by cargo-deny where it is installed:
//! licences, sources, crates in two versions, known holes. The rules are in
//! `deny.toml`.

use std::process::Stdio;

use anjay_net_support::cargo::cargo;

use crate::cargo::run;

/// Checks what can be checked, and says what can't.
pub fn check() -> Result<(), String> {
    if !succeeds(&["deny", "--version"]) {
        println!("not checked: cargo-deny is missing; to have it: cargo install cargo-deny");
        return Ok(());
    }
    run(["deny", "check", "bans", "licenses", "sources"], [])?;
    // The list of known holes is on the network.
    if !succeeds(&["deny", "fetch", "db"]) {
        println!("known holes not checked: the list of advisories can't be fetched");
        return Ok(());
    }
    run(["deny", "check", "advisories"], [])
}

fn succeeds(arguments: &[&str]) -> bool {
    let mut command = cargo();
    command.args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
