//! Both forms of the option value: what avs_commons 4.1 to 5.0 expects of an
//! archive with the feature `avs-commons-4`, and that an archive of the wrong
//! form says so and makes no socket.

use anjay_net_tests::{Abi, CheckedBy, Program, Sources, Target};

/// Every case of a program holds with the older form, too.
fn holds_in_the_older_abi(file: &str) {
    let program = Program::build(&Sources {
        abi: Abi::Commons4,
        ..Sources::c(file)
    });
    let cases = program.cases();
    assert!(cases.len() > 5, "{file} has cases");
    for case in cases.iter().filter(|case| !Target::get().skips(case)) {
        program.run_case(case, CheckedBy::Itself);
    }
}

/// Option values of 16 bytes travel in registers.
#[test]
fn options_hold_in_the_older_abi() {
    holds_in_the_older_abi("options.c");
}

#[test]
fn states_hold_in_the_older_abi() {
    holds_in_the_older_abi("states.c");
}

#[test]
fn udp_holds_in_the_older_abi() {
    holds_in_the_older_abi("udp.c");
}

/// What arrives through `set_opt` is what is waited for.
#[test]
fn timeouts_hold_in_the_older_abi() {
    holds_in_the_older_abi("receive_timeouts.c");
}

/// Runs one case of a program that says it is Anjay of that version; gives
/// what it wrote to standard error.
fn run(file: &str, abi: Abi, case: &str, version: &str) -> String {
    let program = Program::build(&Sources {
        abi,
        ..Sources::c(file)
    });
    let output = program
        .command(CheckedBy::Itself)
        .arg(case)
        .env("ANJAY_NET_TEST_VERSION", version)
        .output()
        .expect("the program can be started");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{case} with version {version:?}: {text}"
    );
    text
}

/// Exactly one line, and it names the cure.
fn assert_advice(text: &str, found: &str) {
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in ["anjay-net: ", found, "avs-commons-4"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn each_archive_serves_the_anjay_it_is_for() {
    for version in ["2.4.0", "2.15.0", "3.0.0"] {
        let text = run("client.c", Abi::Commons4, "sockets_are_made", version);
        assert_eq!(text, "", "{version}");
    }
    for version in ["3.1.0", "3.3.1", "3.14.0", "4.0.0"] {
        let text = run("client.c", Abi::Commons5, "sockets_are_made", version);
        assert_eq!(text, "", "{version}");
    }
}

#[test]
fn no_archive_serves_an_anjay_of_the_other_abi() {
    for case in [
        "no_socket_is_made",
        "no_socket_is_made_without_initialisation",
    ] {
        for version in ["2.4.0", "2.15.0", "3.0.0"] {
            let text = run("client.c", Abi::Commons5, case, version);
            assert_advice(&text, &format!("Anjay {version}"));
        }
        for version in ["3.1.0", "3.14.0"] {
            let text = run("client.c", Abi::Commons4, case, version);
            assert_advice(&text, &format!("Anjay {version}"));
        }
    }
}

/// A version of the user's own tells nothing, and is no reason to refuse.
#[test]
fn a_version_that_is_none_is_no_reason_to_refuse() {
    for abi in [Abi::Commons4, Abi::Commons5] {
        for version in ["", "our-build", "7"] {
            let text = run("client.c", abi, "sockets_are_made", version);
            assert_eq!(text, "", "{version}");
        }
    }
}

#[test]
fn avs_commons_with_dtls_tells_its_form_without_anjay() {
    let file = "newer_commons.c";
    assert_eq!(run(file, Abi::Commons5, "sockets_are_made", ""), "");
    let text = run(file, Abi::Commons4, "no_socket_is_made", "");
    assert_advice(&text, "another avs_commons");
}
