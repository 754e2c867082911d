//! Plays a scenario: in a house of its own, once while documents are in flight to all agents and once while idle.

use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use inkwire_client::protocol::app::Agent;
use inkwire_client::protocol::limits::START_WINDOW_BYTES;

use crate::clock::now_ms;
use crate::house::House;
use crate::load::{self, Sheet};
use crate::router;
use crate::scenario::{Kind, Scenario};
use crate::site::Site;
use crate::verdict::{self, Expected, Measured};
use crate::wire::{What, Wire};
use inkwire_tests::sent::{self, Sent};

/// How a run is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Windows of a document.
    pub(crate) windows: u64,
    /// The same over the line with loss, where everything is slow.
    pub(crate) windows_with_loss: u64,
    pub(crate) report_interval: Duration,
}

/// A job submitted after a silent change while idle: a small one.
const IDLE_BYTES: u64 = 200 * 1024;

struct Stage<'a> {
    scenario: &'a Scenario,
    plan: Plan,
    house: House,
    wire: Wire,
    site: Site,
}

/// Both runs of a scenario, each with what did not hold.
pub(crate) fn play(
    scenario: &Scenario,
    plan: Plan,
    stem: &str,
    dir: &Path,
) -> Result<Vec<(Measured, Vec<String>)>> {
    let house = House::build(stem, scenario.line())?;
    if scenario.same_ports {
        house.same_ports()?;
    }
    let wire = Wire::listen(&house.isp)?;
    let site = Site::open(&house, dir, plan.report_interval)?;
    let mut stage = Stage { scenario, plan, house, wire, site };
    Ok(vec![stage.run(false)?, stage.run(true)?])
}

/// The moment of the change and what was true then.
struct Cut {
    at_ms: f64,
    back_ms: f64,
    /// Resets that agents and broker had got in all when the link was back. After a gap the old mappings still live, and the
    /// kernel of an agent that has dialled anew answers what comes for its old connection: that reset is its own.
    resets: u64,
}

impl Stage<'_> {
    fn run(&mut self, idle: bool) -> Result<(Measured, Vec<String>)> {
        let resets = self.house.resets()?;
        let before = self.site.app.agents()?;
        let logged = sent::packets(&self.site.broker_log()?).len();
        let told = self.site.app.told_since(0).len();
        let mut measured = Measured {
            scenario: self.scenario.name.to_owned(),
            idle,
            window: load::WINDOW,
            ..Measured::default()
        };
        let mut expected = Expected {
            detected_ms: self.scenario.detected_ms(idle),
            must_detect: self.scenario.must_detect(idle),
            round_trip_ms: self.scenario.round_trip_ms(),
            dials_within_ms: self.scenario.dials_within_ms(),
            ..Expected::default()
        };
        let (sheets, cut) = if idle {
            let (sheets, cut, submitted_ms) = self.idle()?;
            let (outcome, problems) = load::settle(&self.site, &sheets, self.patience())?;
            take(&mut measured, &mut expected, outcome, problems);
            measured.submit_to_packet_ms =
                load::reached(&self.site.app, told, &sheets).map(|at_ms| at_ms - submitted_ms);
            expected.submit_to_packet_ms = Some(self.scenario.reached_ms(self.plan.report_interval));
            (sheets, cut)
        } else {
            let (sheets, cut, cut_at) = self.busy(told)?;
            expected.cut_at = cut_at;
            expected.packets_least = load::packets_least(&sheets)?;
            let (outcome, problems) = load::settle(&self.site, &sheets, self.patience())?;
            take(&mut measured, &mut expected, outcome, problems);
            (sheets, cut)
        };
        measured.documents = sheets.len();
        expected.problems.extend(load::gaps(&self.site.app, told));
        let packets = sent::packets(&self.site.broker_log()?).split_off(logged);
        measured.sent_twice_max = Some(sent::twice_max(&packets));
        let after = self.site.app.agents()?;
        self.look_at_registry(&before, &after, &mut measured, &mut expected);
        if self.scenario.kind != Kind::Loss {
            self.look_at_wire(&cut, idle, &packets, &after, &mut measured);
        }
        expected.resets = match self.scenario.kind {
            Kind::Broker => None,
            Kind::Gap(_) => Some(cut.resets - resets),
            Kind::PublicAddress | Kind::Mappings | Kind::PrivateAddress | Kind::Loss => {
                Some(self.house.resets()? - resets)
            }
        };
        let problems = verdict::problems(&measured, &expected);
        measured.ok = problems.is_empty();
        Ok((measured, problems))
    }

    /// Documents to all agents, and the change in their middle.
    fn busy(&mut self, told: usize) -> Result<(Vec<Sheet>, Cut, Vec<f64>)> {
        let lossy = self.scenario.kind == Kind::Loss;
        // Over the line with loss one document for each agent takes long enough.
        let wanted = |index: &usize| !lossy || index % 2 == self.site.devices[*index].pc % 2;
        let devices: Vec<usize> = (0..self.site.devices.len()).filter(wanted).collect();
        let windows = if lossy { self.plan.windows_with_loss } else { self.plan.windows };
        let sheets = load::submit(&self.site, &devices, windows * START_WINDOW_BYTES, 1, true)?;
        for sheet in &sheets {
            self.site.app.release(sheet.job)?;
        }
        if lossy {
            let cut = Cut { at_ms: now_ms(), back_ms: now_ms(), resets: self.house.resets()? };
            return Ok((sheets, cut, Vec::new()));
        }
        load::until_in_flight(&self.site.app, told, &sheets)?;
        let at_ms = self.change()?;
        let cut_at = load::progress(&self.site.app, told, &sheets);
        let (back_ms, resets) = self.end_change(at_ms)?;
        Ok((sheets, Cut { at_ms, back_ms, resets }, cut_at))
    }

    /// The change while nothing is under way, and one document to each agent a second later.
    fn idle(&mut self) -> Result<(Vec<Sheet>, Cut, f64)> {
        let devices: Vec<usize> = (0..self.site.devices.len()).filter(|index| index % 2 == 0).collect();
        let at_ms = self.change()?;
        thread::sleep(Duration::from_secs(1));
        let submitted_ms = now_ms();
        let sheets = load::submit(&self.site, &devices, IDLE_BYTES, 2, false)?;
        let (back_ms, resets) = self.end_change(at_ms)?;
        Ok((sheets, Cut { at_ms, back_ms, resets }, submitted_ms))
    }

    /// Lets it happen; returns when it began.
    fn change(&mut self) -> Result<f64> {
        let at_ms = now_ms();
        match self.scenario.kind {
            Kind::PublicAddress => self.house.change_public_address()?,
            Kind::Mappings => router::forget_mappings(&self.house.isp)?,
            Kind::Gap(_) => router::cut(&self.house.isp)?,
            Kind::Loss => {}
            Kind::Broker => self.site.restart_broker(&self.house)?,
            Kind::PrivateAddress => self.house.change_private_addresses()?,
        }
        Ok(at_ms)
    }

    /// Waits for its end, where it has one; returns when the link was back, and the resets until then.
    fn end_change(&self, at_ms: f64) -> Result<(f64, u64)> {
        let Kind::Gap(gap) = self.scenario.kind else { return Ok((at_ms, 0)) };
        let left_ms = at_ms + gap.as_secs_f64() * 1000.0 - now_ms();
        thread::sleep(Duration::from_secs_f64(left_ms.max(0.0) / 1000.0));
        let resets = self.house.resets()?;
        router::mend(&self.house.isp)?;
        Ok((now_ms(), resets))
    }

    /// How long jobs may take to their end.
    fn patience(&self) -> Duration {
        let slow = if self.scenario.kind == Kind::Loss { 900 } else { 150 };
        Duration::from_secs(slow) + self.scenario.gap() + self.plan.report_interval
    }

    fn look_at_registry(
        &self,
        before: &[Agent],
        after: &[Agent],
        measured: &mut Measured,
        expected: &mut Expected,
    ) {
        let epochs = |agents: &[Agent]| agents.iter().map(|agent| agent.epoch.0).sum::<u64>();
        let reconnects = epochs(after) - epochs(before);
        if self.scenario.kind == Kind::Loss {
            expected.reconnects = Some(reconnects);
            return;
        }
        if reconnects == 0 && !self.scenario.moves() {
            return;
        }
        let pairs = before.iter().zip(after);
        let updated = pairs.filter(|(old, new)| self.is_updated(old, new)).count();
        measured.endpoint_updated = Some(updated == after.len());
    }

    fn is_updated(&self, old: &Agent, new: &Agent) -> bool {
        if old.epoch == new.epoch {
            return !self.scenario.moves();
        }
        let Some(now) = new.observed_endpoint else { return false };
        let in_history = new.endpoints.first().is_some_and(|change| change.to == now);
        let elsewhere = !self.scenario.moves() || old.observed_endpoint != Some(now);
        in_history && elsewhere && now.ip() == IpAddr::V4(self.house.public())
    }

    /// Times, for the slowest of the agents.
    fn look_at_wire(
        &self,
        cut: &Cut,
        idle: bool,
        packets: &[Sent],
        agents: &[Agent],
        measured: &mut Measured,
    ) {
        let seen = self.wire.since(cut.at_ms);
        let mut detected = Vec::new();
        let mut to_packet = Vec::new();
        for address in self.house.addresses() {
            let of = |what: What| seen.iter().filter(move |it| it.pc == *address && it.what == what);
            if let Some(syn) = of(What::Syn).next() {
                detected.push(syn.at_ms - cut.at_ms);
            }
            let answered = of(What::SynAck).next().map(|it| it.at_ms);
            let through =
                answered.and_then(|at| of(What::Syn).rfind(|syn| syn.at_ms <= at)).map(|it| it.at_ms);
            let from_ms = if self.scenario.gap().is_zero() { through } else { Some(cut.back_ms) };
            let agent =
                agents.iter().find(|it| it.local_endpoint.is_some_and(|at| at.ip() == IpAddr::V4(*address)));
            if let (Some(from_ms), Some(agent)) = (from_ms, agent) {
                let id = agent.id.to_string();
                let first = packets.iter().find(|packet| packet.agent == id && packet.at_ms >= from_ms);
                to_packet.extend(first.map(|packet| packet.at_ms - from_ms));
            }
        }
        measured.detected_ms = detected.into_iter().reduce(f64::max);
        if !idle {
            measured.link_back_to_packet_ms = to_packet.into_iter().reduce(f64::max);
        }
    }
}

fn take(measured: &mut Measured, expected: &mut Expected, outcome: load::Outcome, problems: Vec<String>) {
    measured.intact = outcome.intact;
    measured.printed_once = outcome.printed_once;
    measured.uncertain = outcome.uncertain;
    expected.problems.extend(problems);
}
