//! `inkwire document`.

use std::path::PathBuf;

use anyhow::Context as _;

use super::job::Named;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::words;

/// Get back what was submitted with a job, for as long as the broker keeps it
///
///   inkwire document 17 -o invoice.pdf
///   inkwire document 17 -o - | lpr
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The job's id or number
    job: Named,
    /// Where to write it; - is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let client = args.connection.open().await?;
    let job = args.job.find(&client).await?;
    if args.output.as_os_str() == "-" {
        // Whole and checked before the first byte goes on to whoever reads it.
        let file = tempfile::tempfile()?;
        client.document(job, &mut tokio::fs::File::from_std(file.try_clone()?)).await?;
        tokio::task::spawn_blocking(move || copy(file)).await.map_err(anyhow::Error::from)??;
        return Ok(Exit::Done);
    }
    // Beside its place until it is whole: nobody takes half a document for one.
    let folder = args.output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), PathBuf::from);
    let writing = || format!("cannot write {}", args.output.display());
    let part = tempfile::NamedTempFile::new_in(folder).with_context(writing)?;
    let mut file = tokio::fs::File::from_std(part.reopen().with_context(writing)?);
    let bytes = client.document(job, &mut file).await?;
    file.sync_all().await.with_context(writing)?;
    part.persist(&args.output).map_err(|error| error.error).with_context(writing)?;
    output::note(&format!("{}: {}", args.output.display(), words::bytes(bytes)));
    Ok(Exit::Done)
}

fn copy(mut file: std::fs::File) -> Result<(), Failure> {
    std::io::Seek::rewind(&mut file)?;
    let mut out = std::io::stdout().lock();
    std::io::copy(&mut file, &mut out)?;
    Ok(std::io::Write::flush(&mut out)?)
}
