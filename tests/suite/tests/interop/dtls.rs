//! OpenSSL, Debian packages `openssl` and `libssl-dev`. The handshake and the
//! echo are OpenSSL's on both sides; on one of them every datagram goes
//! through our UDP v-table.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use anjay_net_tests::{CheckedBy, Guard, Lines, Program, Sources, require_header, require_program};

use crate::{OurServer, expect_success};

fn our_program() -> Arc<Program> {
    require_header("openssl/ssl.h", "libssl-dev");
    Program::build(&Sources {
        libraries: vec!["-lssl", "-lcrypto"],
        ..Sources::c("interop/dtls.c")
    })
}

/// A self-signed certificate and its key, made once for all tests.
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        Identity::new("small", &key)
    })
}

impl Identity {
    fn new(name: &str, key: &[&str]) -> Identity {
        require_program("openssl", "openssl");
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let identity = Identity {
            certificate: directory.join(format!("{name}-certificate.pem")),
            key: directory.join(format!("{name}-key.pem")),
        };
        expect_success(
            Command::new("openssl")
                .args(["req", "-x509", "-nodes", "-days", "2"])
                .args(key)
                .args(["-subj", "/CN=localhost", "-keyout"])
                .arg(&identity.key)
                .arg("-out")
                .arg(&identity.certificate),
        );
        identity
    }
}

#[test]
fn our_client_shakes_hands_with_s_server() {
    let identity = identity();
    let child = Command::new("openssl")
        .args(["s_server", "-dtls1_2", "-accept", "127.0.0.1:0"])
        .arg("-cert")
        .arg(&identity.certificate)
        .arg("-key")
        .arg(&identity.key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl can be started");
    let mut server = Guard::new(child);
    let mut input = server.child().stdin.take().expect("the input is piped");
    let output = server.child().stdout.take().expect("the output is piped");
    let mut output = Lines::of(output);
    let line = output.expect("ACCEPT ");
    let (_, port) = line.rsplit_once(':').expect("the server names its port");

    let mut client = Guard::new(
        our_program()
            .command(CheckedBy::Itself)
            .args(["client", "127.0.0.1", port])
            .arg(&identity.certificate)
            .arg("are you there?\n")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be started"),
    );
    // s_server prints what it hears and sends what it is told.
    output.expect("are you there?");
    input
        .write_all(b"yes, says s_server\n")
        .expect("s_server listens");
    let answer = client.child().stdout.take().expect("the output is piped");
    Lines::of(answer).expect("yes, says s_server");
    let status = client.child().wait().expect("a child can be waited for");
    assert!(status.success(), "our client: {status}");
}

#[test]
fn s_client_shakes_hands_with_our_server() {
    let identity = identity();
    let certificate = identity.certificate.to_str().expect("the path is text");
    let key = identity.key.to_str().expect("the path is text");
    let server = OurServer::start(
        &our_program(),
        CheckedBy::Itself,
        &["server", "127.0.0.1", certificate, key],
    );
    let child = Command::new("openssl")
        .args([
            "s_client",
            "-dtls1_2",
            "-verify_return_error",
            "-CAfile",
            certificate,
        ])
        .arg("-connect")
        .arg(format!("127.0.0.1:{}", server.port))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl can be started");
    let mut client = Guard::new(child);
    let mut input = client.child().stdin.take().expect("the input is piped");
    let output = client.child().stdout.take().expect("the output is piped");
    let mut output = Lines::of(output);
    output.expect("Verify return code: 0 (ok)");
    for text in ["first", "second", "third"] {
        writeln!(input, "the {text} echo").expect("s_client listens");
        output.expect(&format!("the {text} echo"));
    }
    // The end of its input: s_client says goodbye, and our server ends.
    drop(input);
    server.expect_success();
}

/// With certificates that take several datagrams, of which the first is too big
/// for the router; and with an empty datagram in the middle of the handshake.
#[test]
fn certificates_pass_a_router_with_a_smaller_mtu() {
    let identity = Identity::new("large", &["-newkey", "rsa:4096"]);
    expect_success(
        our_program()
            .command(CheckedBy::Itself)
            .arg("routed")
            .arg(&identity.certificate)
            .arg(&identity.key),
    );
}
