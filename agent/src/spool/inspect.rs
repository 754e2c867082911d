//! A look at ledger and spool from outside, by another process or while no agent runs: it writes nothing.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;
use inkwire_protocol::ids::Sha256Digest;
use inkwire_protocol::message::Open;
use inkwire_protocol::transfer::{Layout, crc_offset};
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use super::change::{JobKey, Phase};
use super::part::{MARK_BYTES, paths, walk};
use super::reader::{self, JobRow};
use super::{LedgerError, schema};

/// Problems that SQLite shall list.
const PROBLEMS: u32 = 100;

/// A ledger that is only looked at.
pub(crate) struct Inspector(Connection);

/// Where the document of an undecided attempt is.
#[derive(Debug)]
pub(crate) enum Document {
    /// In the ledger.
    Row(Bytes),
    /// In its files.
    Files,
}

/// What the files of an attempt hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// Packets that were acknowledged, as the files themselves say.
    pub(crate) acked: u32,
    /// Packets that are whole.
    pub(crate) found: u32,
    /// Packets of the document.
    pub(crate) packets: u32,
    /// Digest of those that are whole.
    pub(crate) sha256: Sha256Digest,
}

impl Inspector {
    /// Opens the ledger for reading. A newer program's is refused.
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        let db = schema::open_reader(path)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        schema::version(&db)?;
        Ok(Self(db))
    }

    /// What SQLite itself finds wrong with the file.
    pub(crate) fn problems(&self, quick: bool) -> Result<Vec<String>, LedgerError> {
        let how = if quick { "quick_check" } else { "integrity_check" };
        let mut statement = self.0.prepare(&format!("PRAGMA {how}({PROBLEMS})"))?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    /// Whose it is.
    pub(crate) fn owner(&self) -> Result<String, LedgerError> {
        Ok(self.0.query_row("SELECT agent FROM meta", [], |row| row.get(0))?)
    }

    /// Attempts that have ended, and facts that the broker has still to acknowledge.
    pub(crate) fn counts(&self) -> Result<(u64, u64), LedgerError> {
        let sql = "SELECT (SELECT count(*) FROM jobs WHERE phase = 'ended'), (SELECT count(*) FROM facts WHERE acked = 0)";
        Ok(self.0.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// Every undecided attempt.
    pub(crate) fn undecided(&self) -> Result<Vec<JobRow>, LedgerError> {
        reader::undecided(&self.0)
    }

    /// Whether every fact that the broker has not acknowledged can be read.
    pub(crate) fn facts(&self) -> Result<(), LedgerError> {
        reader::unacked_facts(&self.0, 0, usize::MAX).map(drop)
    }

    /// Where the document of an attempt is.
    pub(crate) fn document(&self, key: JobKey) -> Result<Document, LedgerError> {
        Ok(reader::document(&self.0, key)?.map_or(Document::Files, Document::Row))
    }

    /// Whether the attempt is still undecided, and where it stands.
    pub(crate) fn phase(&self, key: JobKey) -> Result<Option<Phase>, LedgerError> {
        let sql = "SELECT phase FROM jobs WHERE job = ?1 AND attempt = ?2";
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query(params![key.job.as_bytes(), key.attempt.0])?;
        let phase: Option<String> = rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(phase.and_then(|phase| Phase::from_keyword(&phase)))
    }
}

/// Reads the files of an attempt; none where one of them is not there.
pub(crate) fn whole(dir: &Path, key: JobKey, open: &Open) -> io::Result<Option<Whole>> {
    let layout = Layout::new(open.bytes, open.packet_bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let (data, crcs) = paths(dir, key);
    let opened = File::open(data).and_then(|data| Ok((data, File::open(crcs)?)));
    let (mut data, crcs) = match opened {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut listed = Vec::new();
    crcs.take(MARK_BYTES + crc_offset(layout.packets())).read_to_end(&mut listed)?;
    let acked = listed.first_chunk::<4>().map_or(0, |mark| u32::from_be_bytes(*mark));
    let entries = listed.get(MARK_BYTES as usize..).unwrap_or_default();
    let mut hash = Sha256::new();
    let found = walk(&mut data, layout, entries, &mut hash)?;
    let sha256 = Sha256Digest::from_bytes(hash.finalize().into());
    Ok(Some(Whole { acked, found, packets: layout.packets(), sha256 }))
}
