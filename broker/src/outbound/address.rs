//! Which addresses the broker may be sent to by an app's URL: public ones, and what the configuration allows.
//! Pure: an address in, a verdict out.
//!
//! The tables follow the special-purpose registries of IANA (RFC 6890 and what came after it). An IPv6 address that carries an IPv4
//! address in it (mapped, NAT64, 6to4, ISATAP) is judged by both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// IPv4 networks that are not the public internet: (first address, prefix length).
const SPECIAL_V4: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // shared by carriers (CGNAT)
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, and the clouds' metadata
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays, given up
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarking
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, and broadcast
];

/// Parts of the global unicast space 2000::/3 that are not the public internet; 6to4 is judged by what it carries.
const SPECIAL_V6: &[([u16; 2], u32)] = &[
    ([0x2001, 0x0000], 23), // protocol assignments: Teredo, benchmarking, ORCHID
    ([0x2001, 0x0db8], 32), // documentation
    ([0x3fff, 0x0000], 20), // documentation
];

/// Whether an address is on the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|&(network, prefix)| {
        let mask = u32::MAX << (32 - prefix);
        bits & mask == u32::from_be_bytes(network)
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let groups = address.segments();
    let v4_at = |at: usize| Ipv4Addr::from_bits(u32::from(groups[at]) << 16 | u32::from(groups[at + 1]));
    match groups {
        // Mapped, and NAT64 with the well-known prefix: what is reached is the IPv4 address.
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => return is_public_v4(v4_at(6)),
        [0x2002, ..] => return is_public_v4(v4_at(1)),
        // ISATAP may stand behind any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] if !is_public_v4(v4_at(6)) => return false,
        _ => {}
    }
    // Everything else that is not global unicast: unspecified, loopback, compatible, local NAT64, discard, unique local, link-local,
    // site-local, multicast.
    let is_unicast = groups[0] & 0xe000 == 0x2000;
    let head = u32::from(groups[0]) << 16 | u32::from(groups[1]);
    is_unicast
        && !SPECIAL_V6.iter().any(|&([first, second], prefix)| {
            let mask = u32::MAX << (32 - prefix);
            head & mask == u32::from(first) << 16 | u32::from(second)
        })
}

/// Whether the broker may connect to an address: it is public, or in a network that the configuration allows.
pub(crate) fn may_reach(address: IpAddr, allowed: &[IpNet]) -> bool {
    // An IPv4 network in the configuration also means its mapped form.
    let plain = address.to_canonical();
    is_public(address) || allowed.iter().any(|network| network.contains(&plain) || network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_public_is_public() {
        let public = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.114.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:82f::200e",
            "2001:4860:4860::8888",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2a00::5efe:808:808",
        ];
        let not = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::808:808",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::",
            "2002:c0a8:101::",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456:789a::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
            "2a00::5efe:a00:1",
            "2a00::200:5efe:7f00:1",
        ];
        let read = |text: &str| text.parse::<IpAddr>().unwrap();
        for address in public {
            assert!(is_public(read(address)), "{address}");
        }
        for address in not {
            assert!(!is_public(read(address)), "{address}");
        }
    }

    #[test]
    fn the_configuration_allows_networks_and_nothing_beside_them() {
        let allowed = ["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let may = |text: &str| may_reach(text.parse().unwrap(), &allowed);
        assert!(may("127.0.0.1") && may("::ffff:127.0.0.1") && may("fd00::7") && may("8.8.8.8"));
        assert!(!may("10.0.0.1") && !may("::1") && !may("fc00::1") && !may("::ffff:10.0.0.1"));
        assert!(!may_reach("127.0.0.1".parse().unwrap(), &[]));
    }
}
