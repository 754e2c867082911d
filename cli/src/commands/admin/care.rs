//! What is done with a broker's folder itself: check, backup, restore. No broker is asked.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use inkwire_broker::{BackupError, CheckError, RestoreError};

use crate::commands::check;
use crate::exit::{Exit, Failure};
use crate::output;

#[derive(Debug, Subcommand)]
pub(super) enum Care {
    /// Check that the folder is whole: the store, and every document against it
    ///
    /// Writes nothing and may run beside the broker. Works on backups too, and with --state on an agent's folder. Exit code 0:
    /// everything is there. 1: something is damaged; each line says what and what to do. 3: there is nothing to check.
    ///
    ///   inkwire admin --data /var/lib/inkwire check
    ///   inkwire admin --data /backups/inkwire-monday check --json
    ///   inkwire admin check --state /var/lib/inkwire/agent
    #[command(verbatim_doc_comment)]
    Check {
        /// Leave out what reads every byte: digests, and the store's indexes
        #[arg(long)]
        quick: bool,
        /// An agent's state folder instead of a broker's
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Copy the folder to a new one, while the broker works or not
    ///
    /// Exit code 1 where a document could not be copied as it was accepted; the rest is there.
    ///
    ///   inkwire admin --data /var/lib/inkwire backup /backups/inkwire-monday
    #[command(verbatim_doc_comment)]
    Backup {
        /// The new folder
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
    /// Put a backup in place of the folder; the broker must not run
    ///
    /// Checks the backup first. The folder of before stays beside the new one, with another name.
    ///
    ///   inkwire admin --data /var/lib/inkwire restore /backups/inkwire-monday
    #[command(verbatim_doc_comment)]
    Restore {
        /// The backup
        #[arg(value_name = "DIR")]
        from: PathBuf,
    },
}

pub(super) async fn run(what: Care, data: PathBuf, json: bool) -> Result<Exit, Failure> {
    let done = tokio::task::spawn_blocking(move || match what {
        Care::Check { quick, state: Some(state) } => {
            let report = inkwire_agent::check(&state, quick);
            check::show(&report.map_err(|error| Failure::new(Exit::Refused, error))?, json)
        }
        Care::Check { quick, state: None } => {
            let report = inkwire_broker::check(&data, quick);
            check::show(&report.map_err(not_checked)?, json)
        }
        Care::Backup { to } => backup(&data, &to, json),
        Care::Restore { from } => restore(&data, &from, json),
    });
    done.await.map_err(anyhow::Error::from)?
}

fn not_checked(error: CheckError) -> Failure {
    let exit = match error {
        CheckError::NoStore(_) | CheckError::Newer(_) => Exit::Refused,
        CheckError::Unusable(_) => Exit::Failed,
    };
    Failure::new(exit, error)
}

fn backup(data: &Path, to: &Path, json: bool) -> Result<Exit, Failure> {
    let made = inkwire_broker::backup(data, to).map_err(|error| {
        let exit = if matches!(error, BackupError::Exists(_)) { Exit::Refused } else { Exit::Failed };
        Failure::new(exit, error)
    })?;
    if json {
        output::json(&made)?;
    } else {
        let (documents, bytes) = (made.documents, made.document_bytes);
        output::line(&format!(
            "{}: the store ({} bytes), {documents} documents ({bytes} bytes)",
            made.folder.display(),
            made.store_bytes
        ))?;
        for damaged in &made.damaged {
            output::note(&output::clean(&format!("DAMAGE {damaged}")));
        }
    }
    Ok(if made.damaged.is_empty() { Exit::Done } else { Exit::Failed })
}

fn restore(data: &Path, from: &Path, json: bool) -> Result<Exit, Failure> {
    let done = inkwire_broker::restore(from, data).map_err(|error| match error {
        RestoreError::Check(error) => not_checked(error),
        error @ (RestoreError::Running(_) | RestoreError::Damaged(_)) => Failure::new(Exit::Refused, error),
        error @ (RestoreError::Unusable(_) | RestoreError::Write(_)) => Failure::new(Exit::Failed, error),
    })?;
    if json {
        output::json(&done)?;
    } else {
        output::line(&format!("{}: {} files put back", done.folder.display(), done.files))?;
        if let Some(before) = &done.before {
            output::note(&format!(
                "what was there before is in {}; remove it when all is well",
                before.display()
            ));
        }
    }
    Ok(Exit::Done)
}
