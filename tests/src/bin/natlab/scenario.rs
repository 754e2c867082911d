//! The scenarios: what happens to the link, and what must hold afterwards.

use std::time::Duration;

use crate::house::Line;
use crate::verdict::{DETECTED_MS, OWN_ADDRESS_MS};
use inkwire_tests::net::hop::Weather;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// The ISP gives the router another public address.
    PublicAddress,
    /// The router forgets its mappings.
    Mappings,
    /// Nothing passes for a while.
    Gap(Duration),
    /// Loss and delay all the time; nothing else.
    Loss,
    /// The broker is killed and started again.
    Broker,
    /// The PCs get other private addresses.
    PrivateAddress,
}

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether all PCs have the same few source ports.
    pub(crate) same_ports: bool,
    /// Only with `--full`.
    pub(crate) long: bool,
}

const fn scenario(name: &'static str, kind: Kind) -> Scenario {
    Scenario { name, kind, same_ports: false, long: false }
}

/// The issue's, in its order.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("address_change", Kind::PublicAddress),
    scenario("mapping_flush", Kind::Mappings),
    scenario("drop_3s", Kind::Gap(Duration::from_secs(3))),
    scenario("drop_30s", Kind::Gap(Duration::from_secs(30))),
    Scenario { long: true, ..scenario("drop_5min", Kind::Gap(Duration::from_secs(300))) },
    scenario("loss", Kind::Loss),
    Scenario { same_ports: true, ..scenario("same_port", Kind::PublicAddress) },
    scenario("broker_restart", Kind::Broker),
    scenario("agent_address", Kind::PrivateAddress),
];

const LOSSY: Weather = Weather { delay: Duration::from_millis(100), loss: 0.02, rate: None };

impl Scenario {
    pub(crate) fn line(&self) -> Line {
        if self.kind == Kind::Loss { Line::Hop(LOSSY) } else { Line::Cable }
    }

    pub(crate) fn round_trip_ms(&self) -> f64 {
        if self.kind == Kind::Loss { 200.0 } else { 1.0 }
    }

    /// How long nothing passes.
    pub(crate) fn gap(&self) -> Duration {
        if let Kind::Gap(gap) = self.kind { gap } else { Duration::ZERO }
    }

    /// Within what the change must be noticed, where it must.
    pub(crate) fn detected_ms(&self, idle: bool) -> Option<f64> {
        match self.kind {
            Kind::PrivateAddress => Some(OWN_ADDRESS_MS),
            Kind::PublicAddress | Kind::Mappings | Kind::Gap(_) if !idle => Some(DETECTED_MS),
            Kind::PublicAddress | Kind::Mappings | Kind::Gap(_) | Kind::Loss | Kind::Broker => None,
        }
    }

    /// Whether somebody must have dialled: a gap of three seconds may be over before anybody noticed.
    pub(crate) fn must_detect(&self, idle: bool) -> bool {
        match self.kind {
            Kind::Loss => false,
            Kind::Gap(gap) => !idle && gap > Duration::from_secs(3),
            Kind::PublicAddress | Kind::Mappings | Kind::Broker | Kind::PrivateAddress => true,
        }
    }

    /// When a busy agent dials at the latest after the link is back: every second for a minute, then with jitter up to 30 s.
    pub(crate) fn dials_within_ms(&self) -> Option<f64> {
        match self.kind {
            Kind::Gap(gap) if gap > Duration::from_secs(60) => Some(30_000.0),
            Kind::Gap(_) => Some(1000.0),
            Kind::PublicAddress | Kind::Mappings | Kind::Loss | Kind::Broker | Kind::PrivateAddress => None,
        }
    }

    /// Within what a job that was submitted while idle reaches its agent.
    pub(crate) fn reached_ms(&self, report_interval: Duration) -> f64 {
        let interval = match self.kind {
            // Nothing is silent here: idle agents are told, and come back with a jitter of up to 30 s.
            Kind::Broker => Duration::from_secs(30),
            Kind::PublicAddress | Kind::Mappings | Kind::Gap(_) | Kind::Loss | Kind::PrivateAddress => {
                report_interval
            }
        };
        (interval + Duration::from_secs(10) + self.gap()).as_secs_f64() * 1000.0
    }

    /// Whether agents must be seen from elsewhere afterwards.
    pub(crate) fn moves(&self) -> bool {
        match self.kind {
            Kind::PublicAddress | Kind::Mappings | Kind::PrivateAddress => true,
            Kind::Gap(_) | Kind::Loss | Kind::Broker => false,
        }
    }
}
