//! Is everything in an agent's state folder, and as it was written? Identity, ledger, and the spool against the ledger.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use inkwire_protocol::ids::Sha256Digest;
use inkwire_service::check::Report;

use crate::identity::{self, IdentityError};
use crate::spool::reader::JobRow;
use crate::spool::{Document, Inspector, JobKey, LEDGER_FILE, LedgerError, Phase, SPOOL_DIR, Whole, whole};

/// What to do about damage to a document.
const SENT_AGAIN: &str =
    "the agent notices before it prints, and the broker sends it again; look at the disk";
/// What to do about damage to the ledger.
const PAIR_AGAIN: &str =
    "look at the disk, then pair anew: what may have been printed becomes uncertain at the broker";

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The agent was never paired, or its identity is damaged.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A newer program wrote the ledger.
    #[error(transparent)]
    Newer(LedgerError),
}

/// Looks whether an agent's state folder is whole: the ledger by SQLite's own check, and every document that waits against
/// its row. Writes nothing, and may run beside the agent. `quick` leaves out what reads every byte. Blocks.
///
/// # Errors
/// There is nothing to look at.
pub fn check(state_dir: &Path, quick: bool) -> Result<Report, CheckError> {
    let (who, _, _) = identity::load(state_dir)?;
    // Not held: a look must not keep the agent from starting.
    let running = match identity::lock(state_dir) {
        Ok(_) => false,
        Err(IdentityError::InUse(_)) => true,
        Err(error) => return Err(error.into()),
    };
    let mut report = Report::of(state_dir, running);
    let path = state_dir.join(LEDGER_FILE);
    if !path.is_file() {
        report.note(
            "no-ledger",
            path.display(),
            "the agent has not been started yet, or its ledger was lost",
        );
        return Ok(report);
    }
    let ledger = match Inspector::open(&path) {
        Ok(ledger) => ledger,
        Err(error @ LedgerError::Newer { .. }) => return Err(CheckError::Newer(error)),
        Err(error) => {
            report.damage("ledger-unreadable", path.display(), format!("{error}; {PAIR_AGAIN}"));
            return Ok(report);
        }
    };
    let mut look = Look { report, ledger, spool: state_dir.join(SPOOL_DIR), quick };
    look.at_the_ledger(&path, &who.agent.to_string());
    look.at_the_spool();
    Ok(look.report)
}

struct Look {
    report: Report,
    ledger: Inspector,
    spool: PathBuf,
    quick: bool,
}

impl Look {
    /// A query that fails is damage.
    fn ask<T>(&mut self, asked: impl FnOnce(&Inspector) -> Result<T, LedgerError>) -> Option<T> {
        match asked(&self.ledger) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.report.damage("ledger-damaged", LEDGER_FILE, format!("{error}; {PAIR_AGAIN}"));
                None
            }
        }
    }

    fn at_the_ledger(&mut self, path: &Path, agent: &str) {
        let quick = self.quick;
        for problem in self.ask(|ledger| ledger.problems(quick)).unwrap_or_default() {
            self.report.damage("ledger-damaged", path.display(), format!("{problem}; {PAIR_AGAIN}"));
        }
        if let Some(owner) = self.ask(Inspector::owner).filter(|owner| owner != agent) {
            let detail = format!("it is agent {owner}'s, this is {agent}: the next start puts it aside");
            self.report.note("ledger-of-another", path.display(), detail);
        }
        if let Some((ended, facts)) = self.ask(Inspector::counts) {
            self.report.count("attempts_ended", ended);
            self.report.count("facts_not_acknowledged", facts);
        }
        self.ask(Inspector::facts);
    }

    fn at_the_spool(&mut self) {
        // Before the rows: a file that came later is of a row that came later.
        let files = match files(&self.spool) {
            Ok(files) => files,
            Err(error) => return self.report.damage("spool-unreadable", self.spool.display(), error),
        };
        let Some(rows) = self.ask(Inspector::undecided) else { return };
        let known: HashSet<String> = rows.iter().map(|row| row.key.to_string()).collect();
        self.report.count("attempts_waiting", rows.len() as u64);
        for row in rows {
            self.at_attempt(&row);
        }
        for path in files {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let ours = path.extension().is_some_and(|extension| extension == "part" || extension == "crc");
            if !ours {
                self.report.note(
                    "strange-file",
                    path.display(),
                    "no part of a document is called so; nobody looks at it",
                );
            } else if !known.contains(stem) && !self.report.running {
                self.report.note(
                    "file-without-row",
                    path.display(),
                    "no attempt has it; the next start removes it",
                );
            }
        }
    }

    fn at_attempt(&mut self, row: &JobRow) {
        let wrong = match self.ask(|ledger| ledger.document(row.key)) {
            None => return,
            Some(Document::Row(data)) => {
                let good = data.len() as u64 == row.open.bytes && Sha256Digest::of(&data) == row.open.sha256;
                (!good).then(|| ("document-digest", "in the ledger it is not what was sent".to_owned()))
            }
            Some(Document::Files) if self.quick => None,
            Some(Document::Files) => match whole(&self.spool, row.key, &row.open) {
                Ok(found) => in_files(row, found.as_ref()),
                Err(error) => Some(("spool-unreadable", error.to_string())),
            },
        };
        let Some((what, detail)) = wrong else { return };
        if self.is_still(row.key, row.phase) {
            self.report.damage(what, format!("job {}", row.key), format!("{detail}; {SENT_AGAIN}"));
        }
    }

    /// Beside a running agent the attempt may have ended by now, or gone on.
    fn is_still(&mut self, key: JobKey, phase: Phase) -> bool {
        self.ask(|ledger| ledger.phase(key)).flatten() == Some(phase)
    }
}

/// What is wrong with a document in files.
fn in_files(row: &JobRow, found: Option<&Whole>) -> Option<(&'static str, String)> {
    let arriving = row.phase == Phase::Receiving;
    match found {
        // Nothing of it may have come yet.
        None if arriving => None,
        None => Some(("document-missing", "its files are not there".to_owned())),
        Some(Whole { acked, found, .. }) if found < acked => {
            Some(("spool-damaged", format!("{acked} packets were acknowledged, {found} are whole")))
        }
        Some(_) if arriving || row.phase == Phase::Held => None,
        Some(Whole { found, packets, .. }) if found < packets => {
            Some(("spool-damaged", format!("it has {packets} packets, {found} are whole")))
        }
        Some(Whole { sha256, .. }) if *sha256 != row.open.sha256 => {
            Some(("document-digest", format!("its SHA-256 should be {} and is {sha256}", row.open.sha256)))
        }
        Some(_) => None,
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
