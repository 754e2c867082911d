//! The ISP's router: NAPT, and silent like a real one. What it does not know it drops and says nothing.

use anyhow::{Context, Result};

use inkwire_tests::net::netns::Netns;

/// Plain masquerade would answer the first packet after a change with an RST (from whoever then gets it), and no agent
/// would ever have to find out by itself. So: nothing invalid passes, a TCP connection begins with a SYN or not at all,
/// nothing is taken from the Internet's side, and no ICMP error is sent.
const RULES: &str = r#"
table ip router {
    chain before {
        type filter hook prerouting priority filter; policy accept;
        ct state invalid counter drop
        ct state new tcp flags & (fin|syn|rst|ack) != syn counter drop
    }
    chain own {
        type filter hook input priority filter; policy accept;
        iifname "wan" drop
    }
    chain says {
        type filter hook output priority filter; policy accept;
        icmp type { destination-unreachable, redirect, time-exceeded } drop
    }
    chain cut {
        type filter hook forward priority filter - 10; policy accept;
    }
    chain through {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "lan" oifname "wan" accept
    }
    chain leaving {
        type nat hook postrouting priority srcnat;
        oifname "wan" masquerade random
    }
}
"#;

pub(crate) fn configure(isp: &Netns) -> Result<()> {
    isp.nft(RULES)?;
    isp.set("net/ipv4/ip_forward", "1")?;
    isp.set("net/ipv4/conf/all/send_redirects", "0")?;
    isp.set("net/ipv4/conf/wan/send_redirects", "0")?;
    // A connection that is not known is not taken up from its middle.
    isp.set("net/netfilter/nf_conntrack_tcp_loose", "0")
}

/// The router forgets every mapping, as after a restart. What comes later gets another port.
pub(crate) fn forget_mappings(isp: &Netns) -> Result<()> {
    isp.exec("conntrack -F").map(drop)
}

/// Everything between LAN and Internet is dropped.
pub(crate) fn cut(isp: &Netns) -> Result<()> {
    isp.nft("add rule ip router cut drop").map(drop)
}

/// And passes again.
pub(crate) fn mend(isp: &Netns) -> Result<()> {
    isp.nft("flush chain ip router cut").map(drop)
}

/// Counts RSTs that come in from outside.
pub(crate) fn count_resets(netns: &Netns) -> Result<()> {
    let rules = r#"table inet watch {
        counter resets { }
        chain arriving {
            type filter hook input priority raw; policy accept;
            iifname != "lo" tcp flags & rst == rst counter name resets
        }
    }"#;
    netns.nft(rules).map(drop)
}

/// How many came so far.
pub(crate) fn resets(netns: &Netns) -> Result<u64> {
    let text = netns.exec("nft -j list counter inet watch resets")?;
    let answer: serde_json::Value = serde_json::from_str(&text).context("nft did not print JSON")?;
    let counters = answer["nftables"].as_array().into_iter().flatten();
    let count = counters.filter_map(|entry| entry["counter"]["packets"].as_u64()).next();
    count.with_context(|| format!("nft did not say how many resets it counted: {text}"))
}
