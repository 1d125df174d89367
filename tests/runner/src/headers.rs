//! The C headers, made by cbindgen from the `ffi` crate's sources.

use anjay_net_support::cargo::root;
use cbindgen::{
    Builder, Config, DocumentationStyle, EnumConfig, ExportConfig, Language, RenameRule, Style,
};

/// What one header is made of.
struct Header {
    file: &'static str,
    guard: &'static str,
    about: &'static str,
    /// C that cbindgen can't make from Rust.
    prelude: &'static str,
    sources: &'static [&'static str],
}

/// `long double` takes part in the alignment and has no name in Rust, and the
/// v-table is written before the object whose methods it lists.
const PRELUDE: &str = "
struct anjay_net_socket_t;

/*
 Room for any sockaddr, aligned like the widest of its members.
 */
typedef union anjay_net_endpoint_data_t {
  uint8_t buf[128];
  void *align_pointer;
  void (*align_function)(void);
  long double align_long_double;
  intmax_t align_intmax;
} anjay_net_endpoint_data_t;";

const HEADERS: [Header; 2] = [
    Header {
        file: "anjay_net.h",
        guard: "ANJAY_NET_H",
        about: "/*\n * anjay-net: the library's own API. May be included next to avs_commons'\n * headers. C99 and C++.\n */",
        prelude: "",
        sources: &["settings.rs", "stats.rs", "logging.rs", "capture.rs"],
    },
    Header {
        file: "anjay_net_abi.h",
        guard: "ANJAY_NET_ABI_H",
        about: "/*\n * anjay-net: the avs_commons socket ABI under our own type names, for\n * programs that have no avs_commons headers. NEVER include it together with\n * those: both declare the same functions. C99 and C++.\n */",
        prelude: PRELUDE,
        sources: &["abi.rs", "errno.rs", "symbols.rs"],
    },
];

/// Types that no function names: keys and states cross as plain integers, the
/// configuration as `const void *`.
const INCLUDED: [&str; 7] = [
    "ErrorCode",
    "SocketType",
    "AddressFamily",
    "SocketState",
    "SocketOptKey",
    "SocketConfiguration",
    "LogLevel",
];

/// C name of each exported type and constant.
const C_NAMES: [(&str, &str); 30] = [
    ("Error", "anjay_net_error_t"),
    ("ErrorCode", "anjay_net_errno"),
    ("EndpointData", "anjay_net_endpoint_data_t"),
    ("Duration", "anjay_net_duration_t"),
    ("SocketType", "anjay_net_socket_type"),
    ("AddressFamily", "anjay_net_af"),
    ("SocketState", "anjay_net_socket_state"),
    ("SocketOptKey", "anjay_net_socket_opt"),
    ("ResolvedEndpoint", "anjay_net_resolved_endpoint_t"),
    ("SocketConfiguration", "anjay_net_socket_configuration_t"),
    ("DaneTlsaArray", "anjay_net_dane_tlsa_array_t"),
    (
        "DtlsHandshakeTimeouts",
        "anjay_net_dtls_handshake_timeouts_t",
    ),
    ("SocketOptValue", "anjay_net_socket_opt_value_t"),
    ("Settings", "anjay_net_settings_t"),
    ("Histogram", "anjay_net_histogram_t"),
    ("Stats", "anjay_net_stats_t"),
    ("SocketStats", "anjay_net_socket_stats_t"),
    ("LogLevel", "anjay_net_log_level"),
    ("LogHandler", "anjay_net_log_handler_t"),
    ("CaptureLimits", "anjay_net_capture_limits_t"),
    ("Socket", "anjay_net_socket_t"),
    ("AddrInfo", "anjay_net_addrinfo_t"),
    ("SocketVTable", "anjay_net_socket_v_table_t"),
    ("IF_NAMESIZE", "ANJAY_NET_IF_NAMESIZE"),
    ("SOCKADDR_CAPACITY", "ANJAY_NET_SOCKADDR_CAPACITY"),
    ("ERRNO_CATEGORY", "ANJAY_NET_ERRNO_CATEGORY"),
    (
        "ADDRINFO_RESOLVE_F_PASSIVE",
        "ANJAY_NET_ADDRINFO_RESOLVE_F_PASSIVE",
    ),
    (
        "ADDRINFO_RESOLVE_F_V4MAPPED",
        "ANJAY_NET_ADDRINFO_RESOLVE_F_V4MAPPED",
    ),
    (
        "ADDRINFO_RESOLVE_F_NOADDRCONFIG",
        "ANJAY_NET_ADDRINFO_RESOLVE_F_NOADDRCONFIG",
    ),
    ("ADDRINFO_END", "ANJAY_NET_ADDRINFO_END"),
];

fn config(header: &Header) -> Config {
    Config {
        language: Language::C,
        style: Style::Both,
        cpp_compat: true,
        include_guard: Some(header.guard.into()),
        header: Some(header.about.into()),
        autogen_warning: Some(
            "/* Generated from crates/ffi by `cargo headers`; do not edit. */".into(),
        ),
        usize_is_size_t: true,
        documentation_style: DocumentationStyle::C,
        no_includes: true,
        sys_includes: vec!["stdbool.h".into(), "stddef.h".into(), "stdint.h".into()],
        after_includes: Some(header.prelude.into()),
        defines: [(
            "feature = avs-commons-4".to_owned(),
            "ANJAY_NET_AVS_COMMONS_4".to_owned(),
        )]
        .into(),
        enumeration: EnumConfig {
            rename_variants: RenameRule::QualifiedScreamingSnakeCase,
            ..EnumConfig::default()
        },
        export: ExportConfig {
            include: INCLUDED.map(str::to_owned).into(),
            exclude: vec!["EndpointData".into()],
            rename: C_NAMES
                .map(|(rust, c)| (rust.to_owned(), c.to_owned()))
                .into(),
            ..ExportConfig::default()
        },
        ..Config::default()
    }
}

/// The text of every header: file name and contents.
pub fn generate() -> Result<Vec<(&'static str, String)>, cbindgen::Error> {
    HEADERS
        .iter()
        .map(|header| {
            let mut builder = Builder::new().with_config(config(header));
            for source in header.sources {
                builder = builder.with_src(root().join("crates/ffi/src").join(source));
            }
            let mut text = Vec::new();
            builder.generate()?.write(&mut text);
            let text = String::from_utf8_lossy(&text);
            Ok((header.file, inside_the_condition(&text)))
        })
        .collect()
}

/// cbindgen ends a conditional field after the condition, where strict
/// compilers see an empty field when it does not hold.
fn inside_the_condition(text: &str) -> String {
    text.replace("\n#endif\n  ;\n", ";\n#endif\n")
}
