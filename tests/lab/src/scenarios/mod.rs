//! The scenarios.

mod changes;
mod deadlines;
mod errors;
mod limits;
mod links;
mod names;
mod racing;
mod udp;

use crate::meter::Figures;

/// Something that happens to networks, and what must hold when it does.
pub struct Scenario {
    /// Its name, for command lines and tables.
    pub name: &'static str,
    /// What must hold.
    pub claim: &'static str,
    pub(crate) company: Company,
    /// What happens, in the child process.
    pub(crate) script: fn() -> Figures,
}

/// Who may run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// Others that mostly wait, too.
    Others,
    /// Nobody: it keeps the processor busy while others measure times, or has
    /// the tightest of times. What others do to their namespaces keeps the
    /// kernel's one lock for all links and addresses (rtnl) for milliseconds.
    None,
}

const fn scenario(name: &'static str, claim: &'static str, script: fn() -> Figures) -> Scenario {
    Scenario {
        name,
        claim,
        company: Company::Others,
        script,
    }
}

const fn alone(name: &'static str, claim: &'static str, script: fn() -> Figures) -> Scenario {
    Scenario {
        company: Company::None,
        ..scenario(name, claim, script)
    }
}

/// All of them.
pub const ALL: &[Scenario] = &[
    alone(
        "black_holed_ipv6",
        "TCP to a name with good IPv4: 300 ms and a round trip, 100 of 100 times",
        racing::black_holed_ipv6,
    ),
    alone(
        "literals_cost_nothing",
        "10,000 resolutions of a literal: no thread, no system call",
        limits::literals_cost_nothing,
    ),
    alone(
        "random_order_is_fair",
        "10,000 resolutions of 8 addresses: each comes first 12.5 % +- 1.5 %",
        limits::random_order_is_fair,
    ),
    alone(
        "failures_leave_nothing",
        "1,000 failing connects: descriptors and threads as before",
        limits::failures_leave_nothing,
    ),
    scenario(
        "black_holed_ipv4",
        "IPv6 wins at once, or after 250 ms if IPv4 is preferred",
        racing::black_holed_ipv4,
    ),
    scenario(
        "failing_at_once",
        "an address that is refused or without a route delays nothing",
        racing::failing_at_once,
    ),
    scenario(
        "seven_dead_of_eight",
        "TCP connects within 2.0 s",
        racing::seven_dead_of_eight,
    ),
    scenario(
        "no_ipv6_at_all",
        "TCP and UDP use IPv4 at once",
        racing::no_ipv6_at_all,
    ),
    scenario(
        "several_addresses",
        "dnsmasq: all of them, IPv6 first, the preferred one before all; C as Rust",
        names::several_addresses,
    ),
    scenario(
        "truncated_answer",
        "dnsmasq: an answer that takes TCP is complete",
        names::truncated_answer,
    ),
    scenario(
        "changing_answers",
        "dnsmasq: the next connect goes where the name points now",
        names::changing_answers,
    ),
    scenario(
        "slow_answers",
        "eight sockets wait for one question, and no longer than it takes",
        names::slow_answers,
    ),
    scenario(
        "one_family_slow",
        "the other family connects 50 ms after its answer",
        names::one_family_slow,
    ),
    scenario(
        "server_failure",
        "SERVFAIL, refusal and no route to the name server: an error at once",
        names::server_failure,
    ),
    scenario(
        "dead_name_server",
        "ETIMEDOUT within the deadline and 100 ms; literals are not delayed",
        deadlines::dead_name_server,
    ),
    scenario(
        "dead_name_server_default",
        "ETIMEDOUT after 10 s when nothing was configured",
        deadlines::dead_name_server_default,
    ),
    scenario(
        "serve_stale",
        "opt-in: the preferred endpoint when the name can't be resolved",
        deadlines::serve_stale,
    ),
    scenario(
        "late_answers",
        "answers after the deadline leave nothing behind",
        deadlines::late_answers,
    ),
    scenario(
        "udp_after_icmp_error",
        "after an ICMP error the next connect takes another address",
        udp::after_icmp_error,
    ),
    scenario(
        "udp_after_silence",
        "after silence the next connect takes another address",
        udp::after_silence,
    ),
    scenario(
        "udp_sticky",
        "a failing address never replaces the sticky one; C and Rust",
        udp::sticky,
    ),
    scenario(
        "udp_penalty_ends",
        "after its time the address is tried again",
        udp::penalty_ends,
    ),
    scenario(
        "late_route",
        "the connect after a route appeared works, of the same socket",
        links::late_route,
    ),
    scenario(
        "interface_down_and_up",
        "a tied socket fails at once while it is down or gone, then connects anew",
        links::interface_down_and_up,
    ),
    scenario(
        "lock_of_all_links",
        "by name, too, nothing waits for the kernel's lock of all links",
        links::lock_of_all_links,
    ),
    scenario(
        "interface_of_one_family",
        "a tied socket uses the families that its interface has",
        links::interface_of_one_family,
    ),
    scenario(
        "link_local_peers",
        "scopes by name, number and in brackets; kept in texts and endpoints",
        links::link_local_peers,
    ),
    scenario(
        "loopback_only",
        "bind, literals and names of /etc/hosts work with lo alone",
        links::loopback_only,
    ),
    scenario(
        "packet_too_big",
        "a path-MTU report ends no receive and costs no send",
        changes::packet_too_big,
    ),
    scenario(
        "address_replaced",
        "a connected UDP socket goes on from the new address, on the same port",
        changes::address_replaced,
    ),
    scenario(
        "one_way_traffic",
        "silence counts only when something was asked",
        changes::one_way_traffic,
    ),
    scenario(
        "dead_tcp_peer",
        "a peer that vanished: ECONNRESET every time, without waiting or spinning",
        changes::dead_tcp_peer,
    ),
    alone(
        "name_of_the_hosts_file",
        "1,000 connects with a dead name server: median 1 ms, no query",
        changes::name_of_the_hosts_file,
    ),
    scenario(
        "nat64",
        "IPv4 addresses and names are reached from an IPv6-only network",
        changes::nat64,
    ),
    scenario(
        "errors_tell_what_happened",
        "unknown, no such family, dead, refused, no route: each its own code",
        errors::errors_tell_what_happened,
    ),
    scenario(
        "close_and_shutdown_wake",
        "a call that waits ends within 50 ms: EBADF, ECONNABORTED",
        errors::close_and_shutdown_wake,
    ),
];
