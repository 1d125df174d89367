//! Both forms of the option value: avs_commons 4.1 to 5.0 expects an archive
//! with the feature `avs-commons-4`. An archive of the wrong form says so and
//! makes no socket.

use anjay_net_tests::{Abi, CheckedBy, Program, Sources};

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
        let text = run("abis/client.c", Abi::Commons4, "sockets_are_made", version);
        assert_eq!(text, "", "{version}");
    }
    for version in ["3.1.0", "3.3.1", "3.14.0", "4.0.0"] {
        let text = run("abis/client.c", Abi::Commons5, "sockets_are_made", version);
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
            let text = run("abis/client.c", Abi::Commons5, case, version);
            assert_advice(&text, &format!("Anjay {version}"));
        }
        for version in ["3.1.0", "3.14.0"] {
            let text = run("abis/client.c", Abi::Commons4, case, version);
            assert_advice(&text, &format!("Anjay {version}"));
        }
    }
}

/// A version of the user's own tells nothing, and is no reason to refuse.
#[test]
fn a_version_that_is_none_is_no_reason_to_refuse() {
    for abi in [Abi::Commons4, Abi::Commons5] {
        for version in ["", "our-build", "7"] {
            let text = run("abis/client.c", abi, "sockets_are_made", version);
            assert_eq!(text, "", "{version}");
        }
    }
}

#[test]
fn avs_commons_with_dtls_tells_its_form_without_anjay() {
    let file = "abis/newer_commons.c";
    assert_eq!(run(file, Abi::Commons5, "sockets_are_made", ""), "");
    let text = run(file, Abi::Commons4, "no_socket_is_made", "");
    assert_advice(&text, "another avs_commons");
}
