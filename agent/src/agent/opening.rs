//! What is opened at the start: ledger, spool, printers, and what an earlier run left.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use inkwire_protocol::ids::{AgentId, PrinterNumber, SpoolId};
use inkwire_protocol::limits::MAX_PRINTERS;
use inkwire_protocol::message::{Fact, Open};
use inkwire_protocol::printer::{Backend as Kind, PrinterInfo};
use inkwire_protocol::transfer::Layout;
use inkwire_service::fsio;
use tokio::sync::{mpsc, watch};

use super::{Extras, StartError};
use crate::book::{Book, Job};
use crate::clock::BrokerClock;
use crate::config::Config;
use crate::limits::{FIRST_DESCRIBE_WITHIN, LINK_COMMANDS};
use crate::link::{Connection, LinkCommand};
use crate::printers::{self, Backend, PrinterConfig};
use crate::report::numbers::assign;
use crate::report::states::{self, Known, ask};
use crate::shared::Shared;
use crate::shared::stirred::Stirred;
use crate::spool::part::{self, PartFile};
use crate::spool::reader::{self, JobRow, Meta};
use crate::spool::{Change, JobKey, LEDGER_FILE, Ledger, LedgerError, Phase, SPOOL_DIR, sweep};

/// Everything that is open.
pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::Receiver<LinkCommand>,
    pub(super) printers: Vec<Known>,
    /// Printers that have jobs here and are not configured.
    pub(super) strangers: Vec<PrinterInfo>,
    /// Documents that are partly here.
    pub(super) partial: Vec<Partial>,
    pub(super) meta: Meta,
}

/// A document that is partly here.
pub(super) type Partial = (JobKey, Layout, Arc<Open>, PartFile);

pub(super) async fn open(config: &Config, extras: Extras, agent: AgentId) -> Result<Opened, StartError> {
    let spool_dir = config.state_dir.join(SPOOL_DIR);
    fsio::keep_private(&config.state_dir).map_err(|error| unusable(&config.state_dir, error))?;
    let ledger = open_ledger(config.state_dir.clone(), agent).await?;
    let meta = ledger.read(reader::meta).await?;
    let clock = Arc::new(BrokerClock::new(meta.clock_offset_ms, extras.clock_skew_ms));
    let printers = open_printers(config, extras, &ledger).await?;
    let infos = ask(&printers, &[], FIRST_DESCRIBE_WITHIN).await;
    let since_ms = clock.now_ms();
    let (sender, commands) = mpsc::channel(LINK_COMMANDS);
    let shared = Arc::new(Shared {
        ledger,
        book: Book::default(),
        clock,
        spool_dir,
        min_free_bytes: config.min_free_bytes,
        commands: sender,
        online: watch::Sender::new(None),
        link: watch::Sender::new(Connection::Trying { since_ms, trouble: None }),
        printers: watch::Sender::new(Arc::new(infos)),
        stirred: Stirred::default(),
        expecting: watch::Sender::new(false),
        held: Mutex::new(BTreeMap::new()),
        rtt_us: AtomicU64::new(0),
    });
    let rows = shared.ledger.read(reader::undecided).await?;
    let strangers = strangers(&rows, &printers);
    let partial = take_up(&shared, rows).await?;
    Ok(Opened { shared, commands, printers, strangers, partial, meta })
}

/// Opens the ledger and the spool's folder. Those of another agent (this PC was paired anew) are put aside, not thrown away.
async fn open_ledger(state_dir: std::path::PathBuf, agent: AgentId) -> Result<Ledger, StartError> {
    let dir = state_dir.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let fresh = || SpoolId::from_uuid(uuid::Uuid::now_v7());
        let (path, agent) = (dir.join(LEDGER_FILE), agent.to_string());
        let ledger = match Ledger::open(&path, &agent, fresh()) {
            Err(LedgerError::OtherAgent { owner, .. }) => {
                put_aside(&dir, &owner).map_err(|error| unusable(&dir, error))?;
                Ledger::open(&path, &agent, fresh())?
            }
            opened => opened?,
        };
        let spool = dir.join(SPOOL_DIR);
        fsio::create_dir_durable(&spool, 0o700).map_err(|error| unusable(&spool, error))?;
        Ok(ledger)
    });
    opened.await.map_err(|error| unusable(&state_dir, error))?
}

fn put_aside(dir: &Path, owner: &str) -> io::Result<()> {
    tracing::warn!(owner, "the spool belongs to an earlier pairing: it is put aside");
    let aside = dir.join(format!("former-{owner}"));
    std::fs::create_dir_all(&aside)?;
    let names = [
        LEDGER_FILE.to_owned(),
        format!("{LEDGER_FILE}-wal"),
        format!("{LEDGER_FILE}-shm"),
        SPOOL_DIR.into(),
    ];
    for name in names {
        match std::fs::rename(dir.join(&name), aside.join(&name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn unusable(path: &Path, error: impl std::fmt::Display) -> StartError {
    StartError::Spool { path: path.into(), problem: error.to_string() }
}

/// A printer before it has its number: name, configured number, kind, back-end.
type Made = (String, Option<u16>, Kind, Arc<dyn Backend>);

/// Printers by configuration, then those that CUPS has and that are not configured under the same name.
async fn open_printers(config: &Config, extras: Extras, ledger: &Ledger) -> Result<Vec<Known>, StartError> {
    let mut configs = config.printers.clone();
    if config.discover_cups {
        match printers::discover().await {
            Ok(found) => {
                let names: BTreeSet<_> = configs.iter().map(|printer| printer.name.clone()).collect();
                configs.extend(found.into_iter().filter(|printer| !names.contains(&printer.name)));
            }
            Err(error) => tracing::warn!(%error, "no queues of CUPS are offered"),
        }
    }
    if configs.len() > MAX_PRINTERS {
        tracing::warn!(found = configs.len(), most = MAX_PRINTERS, "some printers are left out");
        configs.truncate(MAX_PRINTERS);
    }
    let mut made: Vec<Made> = Vec::new();
    for printer in configs {
        let backend = printers::build(&printer, &config.state_dir)?;
        made.push((printer.name.clone(), printer.number, kind(&printer), backend));
    }
    let own = extras.printers.into_iter().map(|(name, backend)| (name, None, Kind::Command, backend));
    made.extend(own);

    let known = ledger.read(reader::printer_numbers).await?;
    let wanted: Vec<_> = made.iter().map(|(name, number, ..)| (name.clone(), *number)).collect();
    let numbers = assign(&known, &wanted);
    let named = made.iter().zip(&numbers);
    let changes: Vec<_> = named
        .filter(|((name, ..), number)| !known.contains(&(name.clone(), **number)))
        .map(|((name, ..), number)| Change::Printer { name: name.clone(), number: *number })
        .collect();
    if !changes.is_empty() {
        ledger.commit(changes).await?;
    }
    let printers = made.into_iter().zip(numbers).map(|((name, _, kind, backend), number)| Known {
        name,
        number: PrinterNumber(number),
        kind,
        backend,
    });
    Ok(printers.collect())
}

fn kind(printer: &PrinterConfig) -> Kind {
    match printer.uri.split(':').next().unwrap_or_default() {
        "socket" => Kind::Socket,
        "device" => Kind::Device,
        "command" => Kind::Command,
        "directory" => Kind::Directory,
        _ => Kind::Ipp,
    }
}

/// Numbers that jobs are for and no printer has.
fn strangers(rows: &[JobRow], printers: &[Known]) -> Vec<PrinterInfo> {
    let known: BTreeSet<_> = printers.iter().map(|printer| printer.number).collect();
    let wanted: BTreeSet<_> = rows.iter().map(|row| row.open.printer).collect();
    let gone = wanted.difference(&known);
    gone.map(|number| states::unasked(*number, format!("printer {number}"), Kind::Command)).collect()
}

/// Takes up what an earlier run left: whole documents wait for their printers, partial ones go on, damaged ones are told.
async fn take_up(shared: &Arc<Shared>, rows: Vec<JobRow>) -> Result<Vec<Partial>, StartError> {
    let mut partial = Vec::new();
    let known: HashSet<JobKey> = rows.iter().map(|row| row.key).collect();
    for row in rows {
        if row.phase != Phase::Receiving || row.intent.is_some() {
            shared.book.put(row.key, Job::of_row(row));
            continue;
        }
        let (key, open) = (row.key, Arc::new(row.open));
        let layout = Layout::new(open.bytes, open.packet_bytes)
            .map_err(|error| LedgerError::Unusable(format!("job {key}: {error}")))?;
        let dir = shared.spool_dir.clone();
        let reopened = tokio::task::spawn_blocking(move || PartFile::reopen(&dir, key, layout))
            .await
            .map_err(|error| unusable(&shared.spool_dir, error))?
            .map_err(|error| unusable(&shared.spool_dir, error))?;
        match reopened {
            Ok(part) => partial.push((key, layout, open, part)),
            Err(damaged) => {
                tracing::error!(job = %key, %damaged, "a spool file is damaged: its attempt cannot go on");
                let at_ms = shared.clock.now_ms();
                let fact = Fact::Corrupt { detail: damaged.to_string() };
                let end = Change::End { key, outcome: "corrupt", at_ms };
                shared.ledger.commit(vec![end, Change::Fact { key, fact, at_ms }]).await?;
                part::remove(&shared.spool_dir, key).map_err(|error| unusable(&shared.spool_dir, error))?;
            }
        }
    }
    let dir = shared.spool_dir.clone();
    let swept = tokio::task::spawn_blocking(move || sweep::sweep(&dir, &known))
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| unusable(&shared.spool_dir, error))?;
    if swept > 0 {
        tracing::info!(files = swept, "removed what was left of jobs that are over");
    }
    Ok(partial)
}
