//! Tells the library which target it is compiled for; the `cc` crate wants to
//! know when it runs outside a build script.

fn main() {
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    println!("cargo::rustc-env=ANJAY_NET_TEST_HOST={target}");
    println!("cargo::rerun-if-changed=build.rs");
}
