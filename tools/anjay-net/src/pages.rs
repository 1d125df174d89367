//! The manual pages and shell completions in `man/` and `completions/`, which
//! `make install-tools` installs, are those of the arguments.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Arguments;

/// Set to 1, it writes the files instead.
const WRITE: &str = "ANJAY_NET_WRITE_PAGES";

/// Name and contents of every file.
fn pages() -> Vec<(PathBuf, Vec<u8>)> {
    // Without the subcommand `help`, whose page would have nothing to tell.
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let mut pages = vec![man(&command)];
    pages.extend(command.get_subcommands().map(man));
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "anjay-net", &mut text);
        let file = match shell {
            Shell::Fish => "completions/anjay-net.fish",
            Shell::Zsh => "completions/_anjay-net",
            _ => "completions/anjay-net",
        };
        pages.push((file.into(), text));
    }
    pages
}

fn man(command: &clap::Command) -> (PathBuf, Vec<u8>) {
    let name = command.get_display_name().unwrap_or("anjay-net");
    let file = format!("man/{name}.1");
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone().version(env!("CARGO_PKG_VERSION")))
        .source(concat!("anjay-net ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands")
        .render(&mut text)
        .expect("memory takes any text");
    (file.into(), text)
}

#[test]
fn they_are_those_of_the_arguments() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let write = std::env::var(WRITE).is_ok_and(|value| value == "1");
    for (file, text) in pages() {
        let path = here.join(&file);
        if write {
            fs::create_dir_all(path.parent().expect("it has a directory")).expect("writable");
            fs::write(&path, &text).expect("the repository is writable");
        }
        let is_current = fs::read(&path).is_ok_and(|there| there == text);
        assert!(
            is_current,
            "{} is stale; run: {WRITE}=1 cargo test -p anjay-net-cli pages",
            file.display()
        );
    }
}
