//! The way to an address, as the kernel tells it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The router on the way to an address by that interface; `None` for what is on
/// the link, or where the kernel's main table does not tell.
pub fn gateway(to: IpAddr, interface: &str) -> Option<IpAddr> {
    match to {
        IpAddr::V4(to) => {
            let table = fs::read_to_string("/proc/net/route").ok()?;
            v4_gateway(&table, to, interface).map(IpAddr::V4)
        }
        IpAddr::V6(to) => {
            let table = fs::read_to_string("/proc/net/ipv6_route").ok()?;
            v6_gateway(&table, to, interface).map(IpAddr::V6)
        }
    }
}

/// The lines of proc(5)'s /proc/net/route: interface, destination, gateway,
/// flags, ..., mask at 7. Numbers are the bytes of memory, in hex.
fn v4_gateway(table: &str, to: Ipv4Addr, interface: &str) -> Option<Ipv4Addr> {
    let address = |text: &str| {
        let bytes = u32::from_str_radix(text, 16).ok()?.to_ne_bytes();
        Some(Ipv4Addr::from(bytes))
    };
    let (_, best) = table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (destination, mask) = (address(fields.get(1)?)?, address(fields.get(7)?)?);
            let matches = *fields.first()? == interface && to & mask == destination;
            let gateway = address(fields.get(2)?)?;
            matches.then_some((mask.to_bits().count_ones(), gateway))
        })
        .max_by_key(|(length, _)| *length)?;
    (!best.is_unspecified()).then_some(best)
}

/// The lines of /proc/net/ipv6_route: destination, its prefix length, source,
/// its length, next hop, metric, counters, flags, interface.
fn v6_gateway(table: &str, to: Ipv6Addr, interface: &str) -> Option<Ipv6Addr> {
    let address = |text: &str| Some(Ipv6Addr::from(u128::from_str_radix(text, 16).ok()?));
    let (_, best) = table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let length = u32::from_str_radix(fields.get(1)?, 16).ok()?;
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            let destination = address(fields.first()?)?;
            let matches =
                *fields.last()? == interface && to.to_bits() & mask == destination.to_bits();
            matches.then_some((length, address(fields.get(4)?)?))
        })
        .max_by_key(|(length, _)| *length)?;
    (!best.is_unspecified()).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_of_the_interface_counts() {
        let bytes = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        let line = |interface: &str, to, by, mask| {
            let [to, by, mask] = [to, by, mask].map(bytes);
            format!("{interface}\t{to}\t{by}\t0003\t0\t0\t0\t{mask}\t0\t0\t0\n")
        };
        let table = "Iface\tDestination\tGateway\n".to_owned()
            + &line("eth0", [0; 4], [10, 0, 0, 1], [0; 4])
            + &line("eth0", [10, 0, 0, 0], [0; 4], [255, 0, 0, 0])
            + &line("eth1", [0; 4], [192, 0, 2, 1], [0; 4]);
        let gateway = |to: [u8; 4], interface| v4_gateway(&table, to.into(), interface);
        assert_eq!(
            gateway([198, 51, 100, 1], "eth0"),
            Some([10, 0, 0, 1].into())
        );
        assert_eq!(gateway([10, 9, 8, 7], "eth0"), None);
        assert_eq!(gateway([10, 9, 8, 7], "eth1"), Some([192, 0, 2, 1].into()));
        assert_eq!(gateway([10, 9, 8, 7], "lo"), None);
    }

    #[test]
    fn ipv6_routes_are_read() {
        let none = "0".repeat(32);
        let router = format!("fe80{}1", "0".repeat(27));
        let table = format!(
            "20010db8{0} 20 {none} 00 {none} 00000100 1 0 00000001 eth0\n\
             {none} 00 {none} 00 {router} 00000400 1 0 00000003 eth0\n",
            "0".repeat(24)
        );
        let gateway = |to: &str| v6_gateway(&table, to.parse().unwrap(), "eth0");
        assert_eq!(gateway("2001:db8::7"), None);
        assert_eq!(gateway("2001:db9::7"), Some("fe80::1".parse().unwrap()));
    }
}
