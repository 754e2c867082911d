//! The source's figure 1: a broker on the Internet, an ISP's router with NAPT, a LAN with three PCs.
//!
//! ```text
//!   inet (broker)            isp (router, NAPT, silent)                 pc1 .. pc3 (agents)
//!   203.0.113.10 ──wan──── wan 203.0.113.21 │ lan 192.168.7.1 ──┬── eth0 192.168.7.11
//!                 or a hop of two TUN       │     (a bridge)    ├── eth0 192.168.7.12
//!                 devices: delay and loss   │                   └── eth0 192.168.7.13
//! ```

use std::net::Ipv4Addr;

use std::sync::Arc;

use anyhow::Result;

use crate::router;
use inkwire_tests::net::hop::{Hop, Weather};
use inkwire_tests::net::netns::Netns;

/// Where the broker is, always.
pub(crate) const BROKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// How many PCs.
pub(crate) const AGENTS: usize = 3;
/// What the Internet carries in a second unless a hop says otherwise: slow enough that a document can be cut in its middle.
const MBIT_PER_S: u32 = 100;

/// How the router reaches the Internet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line {
    /// A cable with a bandwidth, no loss, no delay.
    Cable,
    /// A user-space hop with delay and loss.
    Hop(Weather),
}

/// The namespaces and what connects them.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) inet: Arc<Netns>,
    pub(crate) isp: Netns,
    pub(crate) agents: Vec<Netns>,
    addresses: Vec<Ipv4Addr>,
    public: Ipv4Addr,
    line: Line,
    // Last: its devices go with the namespaces.
    _hop: Option<Hop>,
}

impl House {
    pub(crate) fn build(stem: &str, line: Line) -> Result<Self> {
        let inet = Arc::new(Netns::create(stem, "inet")?);
        let isp = Netns::create(stem, "isp")?;
        let hop = match line {
            Line::Cable => {
                inet.cable("wan", &isp, "wan")?;
                let tbf =
                    format!("tc qdisc add dev wan root tbf rate {MBIT_PER_S}mbit burst 64kb latency 30ms");
                inet.exec(&tbf)?;
                None
            }
            Line::Hop(weather) => Some(Hop::start(&inet, &isp, weather)?),
        };
        inet.ip(&format!("addr add {BROKER}/24 dev wan"))?;
        let public = public(0);
        isp.ip(&format!("addr add {public}/24 dev wan"))?;
        isp.ip("link add lan type bridge")?;
        isp.ip("link set lan up")?;
        isp.ip("addr add 192.168.7.1/24 dev lan")?;
        let mut house =
            Self { inet, isp, agents: Vec::new(), addresses: Vec::new(), public, line, _hop: hop };
        house.know_neighbour()?;
        for number in 1..=AGENTS {
            house.plug_in(stem, number)?;
        }
        router::configure(&house.isp)?;
        for netns in house.agents.iter().chain([house.inet.as_ref()]) {
            router::count_resets(netns)?;
        }
        Ok(house)
    }

    fn plug_in(&mut self, stem: &str, number: usize) -> Result<()> {
        let pc = Netns::create(stem, &format!("pc{number}"))?;
        pc.cable("eth0", &self.isp, &format!("port{number}"))?;
        self.isp.ip(&format!("link set port{number} master lan"))?;
        let address = private(number, 0);
        pc.ip(&format!("addr add {address}/24 dev eth0"))?;
        pc.ip("route add default via 192.168.7.1")?;
        self.agents.push(pc);
        self.addresses.push(address);
        Ok(())
    }

    /// What goes to an address that the router no longer has must vanish on the way, as on the Internet: without this the
    /// broker's own kernel would find out by ARP that nobody has it.
    fn know_neighbour(&self) -> Result<()> {
        if matches!(self.line, Line::Hop(_)) {
            return Ok(());
        }
        let text = self.isp.exec("cat /sys/class/net/wan/address")?;
        for number in 0..PUBLIC {
            let address = public(number);
            self.inet.ip(&format!("neigh replace {address} lladdr {} dev wan nud permanent", text.trim()))?;
        }
        Ok(())
    }

    /// The router's public address now.
    pub(crate) fn public(&self) -> Ipv4Addr {
        self.public
    }

    /// The agents' private addresses now.
    pub(crate) fn addresses(&self) -> &[Ipv4Addr] {
        &self.addresses
    }

    /// The ISP gives the router another public address. What belonged to the old one goes silent.
    pub(crate) fn change_public_address(&mut self) -> Result<()> {
        let old = self.public;
        let new =
            (0..PUBLIC).map(public).find(|address| octet(*address) > octet(old)).unwrap_or_else(|| public(0));
        self.isp.ip(&format!("addr del {old}/24 dev wan"))?;
        self.isp.ip(&format!("addr add {new}/24 dev wan"))?;
        router::forget_mappings(&self.isp)?;
        self.public = new;
        Ok(())
    }

    /// Each PC gets another private address, as from a DHCP server that lost its leases.
    pub(crate) fn change_private_addresses(&mut self) -> Result<()> {
        for (index, pc) in self.agents.iter().enumerate() {
            let old = self.addresses[index];
            let generation = (octet(old) / 10).rem_euclid(20);
            let new = private(index + 1, generation);
            pc.ip(&format!("addr del {old}/24 dev eth0"))?;
            pc.ip(&format!("addr add {new}/24 dev eth0"))?;
            pc.ip("route add default via 192.168.7.1")?;
            self.addresses[index] = new;
        }
        Ok(())
    }

    /// The same few source ports on every PC: NAPT must tell them apart.
    pub(crate) fn same_ports(&self) -> Result<()> {
        self.agents.iter().try_for_each(|pc| pc.set("net/ipv4/ip_local_port_range", "40000 40015"))
    }

    /// RSTs that reached agents and broker from outside so far.
    pub(crate) fn resets(&self) -> Result<u64> {
        self.agents.iter().chain([self.inet.as_ref()]).map(router::resets).sum()
    }
}

/// How many public addresses the ISP gives out, one after the other.
const PUBLIC: u8 = 12;

fn public(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, 21 + number)
}

/// 192.168.7.11, .12, .13; a generation later .21, .22, .23.
fn private(number: usize, generation: u8) -> Ipv4Addr {
    let number = u8::try_from(number).unwrap_or(u8::MAX);
    Ipv4Addr::new(192, 168, 7, 10 * (generation + 1) + number)
}

fn octet(address: Ipv4Addr) -> u8 {
    address.octets()[3]
}
