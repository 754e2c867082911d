//! A story, played: its steps in their order, then everything is mended and must come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use inkwire_protocol::job::{Decision, Event, State};
use inkwire_protocol::limits::DEFAULT_EXPIRY;

use super::broker::{self};
use super::pc::{Pc, agent_id};
use super::{Accepted, Verdict, World, account};
use crate::broker::jobs::Wanted;
use crate::broker::store::{AccountRow, Change, NewAgent};
use crate::chance::{below, mix, one_in};
use crate::disk::Disk;
use crate::rt::{scoped, since, true_ms};
use crate::story::{PLAY_MS, Step, Story};
use crate::wire::{Cut, Side, net};
use crate::{chance, log, rt, watch};

/// After an hour's wait for a person everything has to come to rest within this much.
const REST_WITHIN: Duration = Duration::from_secs(3 * 3600);

/// Plays a story; `tell` keeps what happened.
pub(crate) fn play(story: &Story, tell: bool) -> Verdict {
    chance::seed(mix(story.seed ^ 0x5eed));
    net(|net| net.reset());
    watch::reset();
    log::keep(tell);
    let _listening = log::listen(tell);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    let verdict = runtime.block_on(async {
        rt::begin();
        let mut world = World::new(story).await;
        let breaches = world.run(story).await;
        let (packets, facts) = watch::counts();
        let jobs = world.accepted.len() as u64;
        let (seconds, trace) = (since().as_secs_f64(), watch::trace());
        Verdict { breaches, lines: log::take(), steps: world.steps, packets, facts, jobs, seconds, trace }
    });
    net(|net| net.reset());
    verdict
}

impl World {
    async fn new(story: &Story) -> Self {
        let disk = Disk::new("broker");
        let broker = broker::start(&disk).await;
        let mut world = Self {
            broker_disk: disk,
            broker,
            pcs: Vec::new(),
            wanted: Vec::new(),
            accepted: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            store_copy: None,
            unsaid_restore: false,
            read: BTreeMap::new(),
            turn: 0,
            steps: 0,
        };
        for number in 0..2 {
            let row =
                AccountRow { id: account(number), name: format!("account-{number}"), created_ms: true_ms() };
            world.commit(Change::CreateAccount(row)).await;
        }
        for (number, plan) in story.agents.iter().enumerate() {
            let mut public_key = [0; 32];
            public_key[0] = number as u8;
            let new = NewAgent {
                id: agent_id(number),
                account: Some(account(number)),
                enrolment: None,
                public_key,
                name: format!("agent-{number}"),
                hostname: "pc".into(),
                os: "sim".into(),
                version: "0".into(),
                at_ms: true_ms(),
            };
            world.commit(Change::PairAgent(Box::new(new))).await;
            let name = format!("pc-{number}");
            let mut pc = Pc::new(number, name.clone(), plan, Disk::new(name));
            pc.start();
            world.pcs.push(pc);
        }
        world
    }

    async fn commit(&self, change: Change) {
        if let Some(broker) = &self.broker
            && let Some(Err(error)) = broker.ask(broker.store.commit(vec![change])).await
        {
            log::line(|| format!("not committed: {error}"));
        }
    }

    async fn run(&mut self, story: &Story) -> Vec<watch::Breach> {
        let mut steps = story.steps.iter().peekable();
        let mut later: Vec<(u64, Back)> = Vec::new();
        loop {
            let step_at = steps.peek().map(|(at, _)| *at);
            let back_at = later.iter().map(|(at, _)| *at).min();
            let Some(at) = [step_at, back_at].into_iter().flatten().min() else { break };
            self.until(at).await;
            if back_at == Some(at) {
                let due: Vec<_> = later.extract_if(.., |(when, _)| *when <= at).collect();
                for (_, back) in due {
                    self.back(back).await;
                }
            } else if let Some((_, step)) = steps.next() {
                log::line(|| format!("* {step:?}"));
                self.step(step, story, &mut later).await;
            }
            self.look().await;
            let found = watch::breaches();
            if !found.is_empty() {
                return found;
            }
        }
        self.until(PLAY_MS).await;
        self.rest().await;
        watch::breaches()
    }

    async fn until(&mut self, ms: u64) {
        loop {
            let now = since().as_millis() as u64;
            if now >= ms {
                return;
            }
            tokio::time::sleep(Duration::from_millis((ms - now).min(500))).await;
            self.restart_what_ended().await;
        }
    }

    /// Whoever keeps the services running starts them again.
    async fn restart_what_ended(&mut self) {
        for pc in &mut self.pcs {
            if pc.process.is_some() && !pc.runs() {
                pc.kill();
                pc.start();
            }
        }
        if self.broker.as_ref().is_some_and(|broker| broker.process.is_dead()) {
            self.broker = broker::start(&self.broker_disk).await;
        }
    }

    async fn step(&mut self, step: &Step, story: &Story, later: &mut Vec<(u64, Back)>) {
        let now = since().as_millis() as u64;
        let ms = Duration::from_millis;
        match *step {
            Step::Submit { agent, times, .. } => self.submit(step, agent, times).await,
            Step::Cancel { job } => self.ask(job, Event::Cancel),
            Step::Hold { job } => self.ask(job, Event::Hold),
            Step::Release { job } => self.ask(job, Event::Release),
            Step::Reprint { job } => self.ask(job, Event::Decide(Decision::Reprint)),
            Step::Cut { agent, silent } => {
                self.pcs[agent].line.cut(if silent { Cut::Silent } else { Cut::Reset })
            }
            Step::Stall { agent, up, ms: for_ } => {
                self.pcs[agent].line.stall(if up { Side::Agent } else { Side::Broker }, ms(for_));
            }
            Step::Gone { agent, ms: for_, moved } => {
                self.pcs[agent].line.go(ms(for_), moved);
                if moved {
                    self.pcs[agent].line.cut(Cut::Silent);
                }
            }
            Step::Slow { agent, latency_ms, bytes_s } => {
                self.pcs[agent].line.set_speed(ms(latency_ms), bytes_s)
            }
            Step::Late { agent, ms: for_ } => self.pcs[agent].line.late(ms(for_)),
            Step::KillBroker { down_ms, at_sync } => match &self.broker {
                Some(broker) if at_sync > 0 => broker.process.doom(at_sync),
                Some(broker) => {
                    broker.process.kill();
                    self.broker = None;
                    later.push((now + down_ms, Back::Broker));
                }
                None => {}
            },
            Step::KillAgent { agent, down_ms, at_sync } => match &self.pcs[agent].process {
                Some(process) if at_sync > 0 => process.doom(at_sync),
                Some(_) => {
                    self.pcs[agent].kill();
                    later.push((now + down_ms, Back::Agent(agent)));
                }
                None => {}
            },
            Step::DiskFull { agent, ms: for_ } => {
                self.pcs[agent].disk.set_full(true);
                later.push((now + for_, Back::Disk(agent)));
            }
            Step::WriteFails { agent, sync } => self.pcs[agent].disk.fail_at(sync),
            Step::LoseSpool { agent } => {
                self.pcs[agent].kill();
                self.pcs[agent].disk.wipe();
                watch::spool_lost();
                self.forget(agent);
                self.pcs[agent].start();
            }
            Step::CopyDisk { agent } => {
                let copy = self.pcs[agent].disk.copy("copy");
                let undecided = self.undecided_of(agent).await;
                self.doubtful.extend(undecided);
                self.pcs[agent].copy = Some(copy);
            }
            Step::PutBack { agent } => {
                let Some(copy) = self.pcs[agent].copy.take() else { return };
                self.pcs[agent].kill();
                self.pcs[agent].disk.take(&copy);
                watch::spool_lost();
                self.forget(agent);
                self.pcs[agent].start();
            }
            Step::Clone { agent, ms: for_ } => {
                let Some(copy) = self.pcs[agent].copy.take() else { return };
                let plan = &story.agents[agent];
                let pc = &mut self.pcs[agent];
                if let Some(before) = pc.twins.last_mut() {
                    before.kill();
                }
                let name = format!("pc-{agent}-twin-{}", pc.twins.len());
                let mut twin = Pc::new(agent, name, plan, copy);
                twin.start();
                pc.twins.push(twin);
                watch::spool_lost();
                self.forget(agent);
                later.push((now + for_, Back::Twin(agent)));
            }
            Step::CopyStore => self.store_copy = Some((self.broker_disk.copy("store-copy"), self.turn)),
            Step::PutBackStore => self.put_back_store(),
            Step::ClockJump { agent, ms } => {
                self.pcs[agent].skew_ms = ms;
                if let Some(process) = &self.pcs[agent].process {
                    process.skew_ms.store(ms, std::sync::atomic::Ordering::Relaxed);
                }
            }
            Step::Trouble { agent, printer, trouble, ms: for_ } => {
                self.pcs[agent].devices[printer].trouble(trouble, ms(for_));
            }
        }
    }

    /// A backup of the store is put back: what was accepted since is not known any more.
    fn put_back_store(&mut self) {
        let Some((copy, turn)) = self.store_copy.take() else { return };
        if let Some(broker) = self.broker.take() {
            broker.process.kill();
        }
        self.broker_disk.take(&copy);
        self.unsaid_restore = one_in(2);
        if !self.unsaid_restore {
            self.broker_disk.remove("incarnation");
        }
        self.accepted.retain(|_, job| job.turn <= turn);
        self.read.clear();
        watch::store_restored();
    }

    /// An agent's memory is gone. Where the store's is as well and nobody has said so, nobody can know what was printed.
    fn forget(&mut self, agent: usize) {
        if self.unsaid_restore {
            self.doubtful.extend(self.accepted.values().filter(|job| job.agent == agent).map(|job| job.id));
        }
    }

    async fn back(&mut self, back: Back) {
        match back {
            Back::Broker => {
                if self.broker.is_none() {
                    self.broker = broker::start(&self.broker_disk).await;
                }
            }
            Back::Agent(agent) => {
                if self.pcs[agent].process.is_none() {
                    self.pcs[agent].start();
                }
            }
            Back::Disk(agent) => self.pcs[agent].disk.set_full(false),
            Back::Twin(agent) => {
                if let Some(twin) = self.pcs[agent].twins.last_mut() {
                    twin.kill();
                }
                self.let_in(agent).await;
            }
        }
    }

    /// The operator has seen to it that there is one PC, and ends the quarantine, if there is one.
    async fn let_in(&mut self, agent: usize) {
        let release =
            Change::ReleaseAgent { account: account(agent), agent: agent_id(agent), at_ms: true_ms() };
        self.commit(release).await;
    }

    /// An app submits, and asks again with the same key where it had no answer, or is told to.
    async fn submit(&mut self, step: &Step, agent: usize, times: u32) {
        let Step::Submit { printer, bytes, qty, priority, hold, stream, on_uncertain, expires_s, .. } = *step
        else {
            return;
        };
        let Some(broker) = &self.broker else { return };
        let number = self.wanted.len();
        let printers = broker.ask(broker.store.agent_printers(agent_id(agent))).await;
        let printers = printers.and_then(Result::ok).unwrap_or_default();
        let Some(printer) = printers.into_iter().find(|row| row.info.name == format!("printer-{printer}"))
        else {
            return;
        };
        let mut document = Vec::with_capacity(bytes as usize);
        while (document.len() as u64) < bytes {
            document
                .extend_from_slice(&mix(document.len() as u64 ^ ((number as u64 + 1) << 40)).to_be_bytes());
        }
        document.truncate(bytes as usize);
        let most = DEFAULT_EXPIRY.as_secs();
        let wanted = Wanted {
            account: account(agent),
            printer,
            key: format!("key-{number}"),
            document: Bytes::from(document),
            qty,
            priority,
            hold,
            stream,
            on_uncertain,
            expires_ms: true_ms() + expires_s.min(most) * 1000,
        };
        self.wanted.push((agent, wanted.clone()));
        for _ in 0..times.max(1) {
            self.create(number, agent, &wanted).await;
        }
    }

    async fn create(&mut self, number: usize, agent: usize, wanted: &Wanted) {
        let Some(broker) = &self.broker else { return };
        let (jobs, asked) = (broker.jobs.clone(), wanted.clone());
        let work = async move { jobs.create(&asked).await };
        let asking = scoped(Some(Arc::clone(&broker.process)), work);
        let Ok(Ok(Ok(job))) = tokio::time::timeout(Duration::from_secs(10), asking).await else { return };
        watch::document(job.id, wanted.document.clone());
        self.turn += 1;
        let accepted = Accepted {
            id: job.id,
            account: wanted.account,
            agent,
            qty: wanted.qty,
            document: wanted.document.clone(),
            turn: self.turn,
        };
        log::line(|| format!("job #{number} {} of {} bytes is accepted", job.id, wanted.document.len()));
        if let Some(before) = self.accepted.get(&number)
            && before.id != job.id
        {
            watch::breach("I1", format!("the same key made the jobs {} and {}", before.id, job.id));
        }
        self.accepted.entry(number).or_insert(accepted);
    }

    /// Something is asked of a job; nobody waits for the answer.
    fn ask(&self, number: usize, event: Event) {
        let (Some(broker), Some(job)) = (&self.broker, self.accepted.get(&number)) else { return };
        let (jobs, account, id) = (broker.jobs.clone(), job.account, job.id);
        let work = async move { jobs.ask(account, id, event).await };
        drop(tokio::spawn(scoped(Some(Arc::clone(&broker.process)), work)));
    }

    /// Everything is mended; then all must end.
    async fn rest(&mut self) {
        log::line(|| "everything is mended".to_owned());
        if self.broker.as_ref().is_none_or(|broker| broker.process.is_dead()) {
            self.broker = broker::start(&self.broker_disk).await;
        }
        for agent in 0..self.pcs.len() {
            let pc = &mut self.pcs[agent];
            pc.line.mend();
            pc.disk.set_full(false);
            pc.disk.fail_at(0);
            pc.devices.iter().for_each(|device| device.mend());
            if let Some(process) = &pc.process {
                process.doom(0);
            }
            if pc.process.is_none() {
                pc.start();
            }
            if !pc.twins.is_empty() {
                self.back(Back::Twin(agent)).await;
            }
        }
        if let Some(broker) = &self.broker {
            broker.process.doom(0);
        }
        let until = since() + REST_WITHIN;
        while since() < until {
            tokio::time::sleep(Duration::from_secs(10)).await;
            self.restart_what_ended().await;
            for agent in 0..self.pcs.len() {
                self.let_in(agent).await;
            }
            let open = self.open_jobs().await;
            if open.is_empty() {
                break;
            }
            for (number, state) in open {
                match state {
                    State::Held => self.ask(number, Event::Release),
                    State::Uncertain => {
                        let decision = if one_in(2) { Decision::Printed } else { Decision::Drop };
                        self.ask(number, Event::Decide(decision));
                    }
                    _ => {}
                }
            }
        }
        // What is said last has to arrive, too.
        tokio::time::sleep(Duration::from_secs(5 + below(3))).await;
        self.look_at_rest().await;
    }
}

/// What comes back by itself.
enum Back {
    Broker,
    Agent(usize),
    Disk(usize),
    Twin(usize),
}
