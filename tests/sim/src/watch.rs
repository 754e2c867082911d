//! What must hold at every moment, looked at where it could break: an ack, a fact, a packet, the first byte. What is found is kept
//! for the world, which ends the run.
//!
//! I2, I3, I4, I5 of the design, and of I1 that nothing is acknowledged before it is stored.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use inkwire_protocol::ids::{Attempt, Epoch, JobId};
use inkwire_protocol::limits::MAX_WINDOW_BYTES;
use inkwire_protocol::message::{Fact, ToAgent, ToBroker};
use inkwire_protocol::packet::Header;
use inkwire_protocol::transfer::Layout;
use rusqlite::OptionalExtension as _;

use crate::agent::printers::backend::Task;
use crate::log;
use crate::rt::process;
use crate::wire::{Conn, Side};

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) rule: &'static str,
    pub(crate) what: String,
}

/// What was said of one transfer.
#[derive(Debug, Default, Clone, Copy)]
struct Way {
    /// Every packet below was heard by a broker to be durable.
    acked: u32,
    /// Every packet below was sent at least once.
    reached: u32,
}

/// A channel of a connection.
#[derive(Debug, Clone, Copy)]
struct Channel {
    job: JobId,
    attempt: Attempt,
    layout: Layout,
}

#[derive(Default)]
struct Watch {
    breaches: Vec<Breach>,
    documents: BTreeMap<JobId, Bytes>,
    ways: BTreeMap<(JobId, Attempt), Way>,
    channels: BTreeMap<(u64, u32), Channel>,
    /// Epoch and agent of a connection, and the newest epoch of the agent.
    welcomes: BTreeMap<u64, (String, Epoch)>,
    newest: BTreeMap<String, Epoch>,
    facts_told: u64,
    packets: u64,
    /// Of everything that was said, when and by whom: the same story comes to the same number.
    trace: u64,
}

thread_local! {
    static WATCH: RefCell<Watch> = RefCell::default();
}

fn with<T>(act: impl FnOnce(&mut Watch) -> T) -> T {
    WATCH.with_borrow_mut(act)
}

pub(crate) fn reset() {
    with(|watch| *watch = Watch::default());
}

/// What was found since the last time.
pub(crate) fn breaches() -> Vec<Breach> {
    with(|watch| std::mem::take(&mut watch.breaches))
}

/// Packets that were sent and facts that were told.
pub(crate) fn counts() -> (u64, u64) {
    with(|watch| (watch.packets, watch.facts_told))
}

/// What everything that was said comes to.
pub(crate) fn trace() -> u64 {
    with(|watch| watch.trace)
}

fn note(conn: &Conn, what: &[u8]) {
    let at = crate::rt::since().as_nanos() as u64;
    with(|watch| {
        let mut trace = watch.trace ^ crate::chance::mix(at ^ (conn.number << 48));
        for byte in what {
            trace = (trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        watch.trace = trace;
    });
}

pub(crate) fn breach(rule: &'static str, what: String) {
    log::line(|| format!("BREACH of {rule}: {what}"));
    with(|watch| watch.breaches.push(Breach { rule, what }));
}

/// The document of a job, as it was submitted.
pub(crate) fn document(job: JobId, bytes: Bytes) {
    with(|watch| watch.documents.insert(job, bytes));
}

/// A store that is older than it was knows less of what was heard, and an epoch may come again.
pub(crate) fn store_restored() {
    with(|watch| watch.newest.clear());
}

/// An attempt's spool is not what it was.
pub(crate) fn spool_lost() {
    with(|watch| watch.ways.values_mut().for_each(|way| way.acked = 0));
}

fn id(conn: &Conn) -> u64 {
    conn.number
}

/// A message is about to leave.
pub(crate) fn said(side: Side, conn: &Conn, text: &str) {
    log::line(|| {
        let who = process().map_or_else(String::new, |process| process.name.clone());
        format!("  {who}: says {}", text.chars().take(400).collect::<String>())
    });
    note(conn, text.as_bytes());
    match side {
        Side::Agent => {
            if let Ok(message) = serde_json::from_str::<ToBroker>(text) {
                agent_says(conn, &message);
            }
        }
        Side::Broker => {
            if let Ok(message) = serde_json::from_str::<ToAgent>(text) {
                broker_says(conn, &message);
            }
        }
    }
}

/// A message has come to the broker.
pub(crate) fn heard(conn: &Conn, text: &str) {
    let Ok(ToBroker::Ack(ack)) = serde_json::from_str::<ToBroker>(text) else { return };
    with(|watch| {
        if let Some(channel) = watch.channels.get(&(id(conn), ack.transfer.0)) {
            let way = watch.ways.entry((channel.job, channel.attempt)).or_default();
            way.acked = way.acked.max(ack.next_seq);
        }
    });
}

fn agent_says(conn: &Conn, message: &ToBroker) {
    match message {
        ToBroker::Ack(ack) => {
            let channel = with(|watch| watch.channels.get(&(id(conn), ack.transfer.0)).copied());
            if let Some(channel) = channel.filter(|_| ack.next_seq > 0)
                && let Err(why) = is_durable(&channel, ack.next_seq)
            {
                breach(
                    "I2",
                    format!("job {} attempt {}: ack {}: {why}", channel.job, channel.attempt, ack.next_seq),
                );
            }
        }
        ToBroker::Fact(fact) => {
            with(|watch| watch.facts_told += 1);
            let sql = "SELECT 1 FROM facts WHERE job = ?1 AND attempt = ?2 AND fact_seq = ?3";
            let key = (fact.job.as_bytes(), fact.attempt.0, fact.fact_seq.0);
            if !asked_here("ledger.sqlite3", sql, key) {
                breach(
                    "I10",
                    format!("job {}: a fact is told that is not in the ledger: {:?}", fact.job, fact.fact),
                );
            }
            let whole =
                "SELECT 1 FROM jobs WHERE job = ?1 AND attempt = ?2 AND phase <> 'receiving' AND ?3 > 0";
            if fact.fact == Fact::Spooled && !asked_here("ledger.sqlite3", whole, key) {
                breach("I2", format!("job {}: `spooled` is told of a document that is not whole", fact.job));
            }
        }
        ToBroker::Hello(_)
        | ToBroker::Report(_)
        | ToBroker::Refuse(_)
        | ToBroker::Reconciled { .. }
        | ToBroker::Progress { .. }
        | ToBroker::Unknown => {}
    }
}

/// Whether the database of the process that speaks knows something.
fn asked_here(file: &str, sql: &str, key: impl rusqlite::Params) -> bool {
    let Some(db) = process().and_then(|process| process.disk.look(file)) else { return false };
    db.query_row(sql, key, |_| Ok(())).optional().ok().flatten().is_some()
}

/// Whether every packet below is on the agent's stable storage.
fn is_durable(channel: &Channel, next_seq: u32) -> Result<(), String> {
    let Some(process) = process() else { return Ok(()) };
    let key = (channel.job.as_bytes(), channel.attempt.0);
    let whole = "SELECT 1 FROM jobs WHERE job = ?1 AND attempt = ?2 AND phase <> 'receiving'";
    if asked_here("ledger.sqlite3", whole, key) {
        return Ok(());
    }
    let dir = PathBuf::from(format!("/pcs/{}/spool", crate::world::agent_of(&process.name)));
    let name = format!("{}-{}", channel.job, channel.attempt);
    let part = process.disk.synced(&dir.join(format!("{name}.part"))).ok_or("it has no file")?;
    let list = process.disk.synced(&dir.join(format!("{name}.crc"))).ok_or("it has no list")?;
    let bytes = channel.layout.bytes_below(next_seq) as usize;
    if part.len() < bytes || list.len() < 4 + 4 * next_seq as usize {
        return Err(format!("{} of {bytes} bytes are synced, and {} of its list", part.len(), list.len()));
    }
    let right = with(|watch| {
        watch.documents.get(&channel.job).is_none_or(|document| document[..bytes] == part[..bytes])
    });
    if right { Ok(()) } else { Err("other bytes are synced than were submitted".into()) }
}

fn broker_says(conn: &Conn, message: &ToAgent) {
    match message {
        ToAgent::Welcome(welcome) => {
            let agent = welcome.agent_name.clone();
            let late = with(|watch| {
                watch.welcomes.insert(id(conn), (agent.clone(), welcome.epoch));
                let newest = watch.newest.entry(agent.clone()).or_default();
                let late = welcome.epoch <= *newest;
                *newest = welcome.epoch.max(*newest);
                late
            });
            if late {
                breach("I5", format!("{agent}: epoch {} is welcomed after a newer one", welcome.epoch));
            }
        }
        ToAgent::Open(open) => {
            in_epoch(conn, "a transfer is opened");
            let Ok(layout) = Layout::new(open.bytes, open.packet_bytes) else { return };
            let channel = Channel { job: open.job, attempt: open.attempt, layout };
            let way = with(|watch| {
                watch.channels.insert((id(conn), open.transfer.0), channel);
                *watch.ways.entry((open.job, open.attempt)).or_default()
            });
            if open.next_seq > 0
                && way.reached.saturating_sub(open.next_seq) > layout.packets_in(MAX_WINDOW_BYTES)
            {
                breach("I3", format!("job {}: more than a window is sent twice", open.job));
            }
        }
        ToAgent::Request { .. } => in_epoch(conn, "a request is made"),
        ToAgent::FactAck { job, attempt, fact_seq, .. } => {
            let sql = "SELECT 1 FROM jobs WHERE id = ?1 AND (fact_attempt, fact_seq) < (?2, ?3)
                       UNION SELECT 1 FROM jobs WHERE id = ?1 AND fact_attempt IS NULL";
            if asked_here("store.sqlite3", sql, (job.uuid(), attempt.0, fact_seq.0)) {
                breach(
                    "I10",
                    format!("job {job}: fact {fact_seq} of attempt {attempt} is acknowledged and not stored"),
                );
            }
        }
        ToAgent::ReportOk(_)
        | ToAgent::Blocked { .. }
        | ToAgent::Unblocked { .. }
        | ToAgent::Drop { .. }
        | ToAgent::Drain { .. }
        | ToAgent::Unknown => {}
    }
}

/// Nothing happens in an older epoch any more.
fn in_epoch(conn: &Conn, what: &str) {
    let old = with(|watch| {
        let (agent, epoch) = watch.welcomes.get(&id(conn))?;
        let newest = watch.newest.get(agent)?;
        (epoch < newest).then(|| format!("{agent}: {what} in epoch {epoch} after {newest} began"))
    });
    if let Some(old) = old {
        breach("I5", old);
    }
}

/// A packet is about to leave.
pub(crate) fn packet(conn: &Conn, header: &Header) {
    in_epoch(conn, "a packet is sent");
    note(conn, &header.encode());
    let again = with(|watch| {
        watch.packets += 1;
        let channel = watch.channels.get(&(id(conn), header.transfer.0))?;
        let way = watch.ways.entry((channel.job, channel.attempt)).or_default();
        way.reached = way.reached.max(header.seq + 1);
        (header.seq < way.acked)
            .then(|| format!("job {}: packet {} is sent after ack {}", channel.job, header.seq, way.acked))
    });
    if let Some(again) = again {
        breach("I3", again);
    }
}

/// The first byte of a copy is about to go to its device.
pub(crate) fn first_byte(task: &Task) {
    let sql =
        "SELECT 1 FROM jobs WHERE job = ?1 AND attempt = ?2 AND intent IS NOT NULL AND phase <> 'ended'";
    if !asked_here("ledger.sqlite3", sql, (task.job.as_bytes(), task.attempt.0)) {
        breach(
            "I4",
            format!("job {} attempt {}: the first byte goes without an intent", task.job, task.attempt),
        );
    }
}
