//! What passes on the LAN, with times: SYNs, their answers, and resets, as tcpdump sees them on the router.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::house::BROKER;
use inkwire_tests::net::netns::Netns;

/// One packet of interest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    /// Unix milliseconds, with fractions.
    pub(crate) at_ms: f64,
    /// The PC that sent it or that it went to.
    pub(crate) pc: Ipv4Addr,
    pub(crate) what: What,
}

/// What kind of packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A PC dials.
    Syn,
    /// The broker answered.
    SynAck,
    /// A reset that a PC sent; the router may drop it.
    ResetOut,
    /// A reset on its way to a PC.
    ResetIn,
}

/// A running tcpdump.
#[derive(Debug)]
pub(crate) struct Wire {
    child: Child,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Wire {
    pub(crate) fn listen(isp: &Netns) -> Result<Self> {
        let filter = format!("host {BROKER} and tcp[tcpflags] & (tcp-syn|tcp-rst) != 0");
        let spawn = || {
            Command::new("tcpdump")
                .args(["-i", "lan", "-n", "-tt", "-l", "--immediate-mode", "-Z", "root", &filter])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
        };
        let mut child = isp.inside(spawn)?.context("cannot run tcpdump; is it installed?")?;
        let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            bail!("tcpdump has no output");
        };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&seen);
        thread::spawn(move || {
            for packet in BufReader::new(out).lines().map_while(Result::ok).filter_map(|line| parse(&line)) {
                list.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(packet);
            }
        });
        let wire = Self { child, seen };
        let mut says = BufReader::new(err).lines().map_while(Result::ok);
        if !says.any(|line| line.starts_with("listening on")) {
            bail!("tcpdump does not listen on the router's LAN side");
        }
        Ok(wire)
    }

    /// Everything since a time (Unix milliseconds).
    pub(crate) fn since(&self, ms: f64) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.iter().filter(|packet| packet.at_ms >= ms).copied().collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("natlab: cannot end tcpdump: {error}");
        }
    }
}

/// `1795364380.273802 IP 192.168.7.11.33552 > 203.0.113.10.443: Flags [S], seq ...`
fn parse(line: &str) -> Option<Seen> {
    let mut words = line.split_whitespace();
    let at_s: f64 = words.next()?.parse().ok()?;
    if words.next()? != "IP" {
        return None;
    }
    let address = |word: &str| word.rsplit_once('.')?.0.parse::<Ipv4Addr>().ok();
    let from = address(words.next()?)?;
    let to = address(words.nth(1)?.trim_end_matches(':'))?;
    let flags = line.split_once("Flags [")?.1.split_once(']')?.0;
    let what = match (flags, from == BROKER) {
        ("S", false) => What::Syn,
        ("S.", true) => What::SynAck,
        (flags, true) if flags.contains('R') => What::ResetIn,
        (flags, false) if flags.contains('R') => What::ResetOut,
        _ => return None,
    };
    Some(Seen { at_ms: at_s * 1000.0, pc: if from == BROKER { to } else { from }, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tcpdump_are_read() {
        let line =
            |rest: &str| parse(&format!("1795364380.5 IP {rest}, seq 1, length 0")).map(|s| (s.pc, s.what));
        let pc = Ipv4Addr::new(192, 168, 7, 11);
        assert_eq!(line("192.168.7.11.40000 > 203.0.113.10.443: Flags [S]"), Some((pc, What::Syn)));
        assert_eq!(line("203.0.113.10.443 > 192.168.7.11.40000: Flags [S.]"), Some((pc, What::SynAck)));
        assert_eq!(line("203.0.113.10.443 > 192.168.7.11.40000: Flags [R.]"), Some((pc, What::ResetIn)));
        assert_eq!(line("192.168.7.11.40000 > 203.0.113.10.443: Flags [R]"), Some((pc, What::ResetOut)));
        assert_eq!(line("192.168.7.11.40000 > 203.0.113.10.443: Flags [.]"), None);
        assert_eq!(parse("tcpdump: nonsense"), None);
    }
}
