//! `inkwire print`.

use std::path::PathBuf;

use anyhow::Context as _;
use inkwire_client::protocol::app::{Job, JobCreate};
use inkwire_client::protocol::printer::{Delivery, JobOptions};
use inkwire_client::{Client, Document, new_job};
use tokio::io::AsyncReadExt as _;

use super::watch;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::progress::Bars;
use crate::{mime, output, words};

/// Print a document
///
/// Ends when the broker has accepted it: document and job are on its stable storage. With --watch it ends when the job does.
///
///   inkwire print invoice.pdf --printer office
///   inkwire print label.zpl --printer warehouse --watch
///   inkwire print - --printer till --format application/vnd.escpos < receipt.bin
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The document; `-` for standard input
    file: PathBuf,
    /// The printer's name or id
    #[arg(long, short)]
    printer: String,
    /// Follow the job to its end
    #[arg(long, short)]
    watch: bool,
    /// Shown to people and given to the device; the file's name unless said
    #[arg(long)]
    title: Option<String>,
    /// MIME type; found by the first bytes and the file's ending unless said
    #[arg(long, value_name = "MIME")]
    format: Option<String>,
    /// How often it is printed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    qty: u32,
    /// Give bytes to the device as they arrive
    #[arg(long)]
    stream: bool,
    /// 1 (lowest) to 100
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    priority: u8,
    /// Accept it, but hold it until released
    #[arg(long)]
    hold: bool,
    /// A Job Template attribute as `name=value`, for example `sides=two-sided-long-edge`; several times
    #[arg(long = "option", short, value_name = "NAME=VALUE")]
    options: Vec<String>,
    /// Repeating the command with the same key makes no second job
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    connection: Connection,
    /// One JSON object, the job, instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let (document, head) = open(&args.file).await?;
    let request = request(&args, &head)?;
    let client = args.connection.open().await?;
    let bars = Bars::new(!args.json);
    // Subscribed before the job is there: nothing of it can be missed.
    let events = match args.watch {
        true => Some(client.events(watch::all_jobs()).await?),
        false => None,
    };
    let job = upload(&client, request, document, &bars).await?;
    let job = match events {
        Some(events) => watch::to_the_end(&client, events, job, (!args.json).then_some(&bars)).await?,
        None => job,
    };
    bars.clear();
    if args.json {
        output::json(&job)?;
    } else {
        output::line(&format!("job {} ({}): {}", job.number, job.id, words::standing(&job)))?;
        job.warnings.iter().for_each(|warning| output::note(&format!("note: {warning}")));
    }
    Ok(if args.watch { watch::exit(job.state) } else { Exit::Done })
}

async fn upload(
    client: &Client,
    request: JobCreate,
    document: Document,
    bars: &Bars,
) -> Result<Job, Failure> {
    let bar = bars.bar("sent to the broker", document.bytes());
    let job = client
        .submit_with(request, document, |progress| {
            bar.set_position(progress.acked_bytes);
            if progress.resumed > 0 {
                bar.set_message(format!("taken up again {} times", progress.resumed));
            }
        })
        .await?;
    // What follows has bars of its own, or a line of words.
    bar.finish_and_clear();
    Ok(job)
}

/// The document and its first bytes. Standard input goes through a temporary file: a resume may have to read again.
async fn open(path: &std::path::Path) -> Result<(Document, Vec<u8>), Failure> {
    let reading = || format!("cannot read {}", path.display());
    let mut file = if path.as_os_str() == "-" {
        let copied = tokio::task::spawn_blocking(|| {
            let mut file = tempfile::tempfile()?;
            std::io::copy(&mut std::io::stdin().lock(), &mut file)?;
            std::io::Seek::rewind(&mut file)?;
            Ok::<_, std::io::Error>(file)
        });
        tokio::fs::File::from_std(copied.await.map_err(anyhow::Error::from)??)
    } else {
        tokio::fs::File::open(path).await.with_context(reading)?
    };
    let mut head = Vec::new();
    (&mut file).take(mime::HEAD_BYTES as u64).read_to_end(&mut head).await.with_context(reading)?;
    Ok((Document::from_reader(file).await?, head))
}

fn request(args: &Args, head: &[u8]) -> Result<JobCreate, Failure> {
    let format = args.format.clone().unwrap_or_else(|| mime::of(&args.file, head).to_owned());
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let named = name.filter(|name| name != "-").unwrap_or_default();
    Ok(JobCreate {
        title: args.title.clone().unwrap_or(named),
        qty: args.qty,
        delivery: if args.stream { Delivery::Stream } else { Delivery::Spool },
        priority: args.priority,
        hold: args.hold,
        options: options(&args.options)?,
        idempotency_key: args.idempotency_key.clone(),
        ..new_job(args.printer.clone(), format)
    })
}

/// `name=value` pairs: a value that is JSON (a number, a list) is taken as such, anything else is text.
pub(crate) fn options(pairs: &[String]) -> Result<JobOptions, Failure> {
    let mut object = serde_json::Map::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!("`--option {pair}` is not NAME=VALUE, such as copies=2"))
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        object.insert(name.to_owned(), value);
    }
    serde_json::from_value(object.into()).map_err(|error| Failure::usage(format!("--option: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_by_their_names() {
        let pairs = ["copies=2", "sides=two-sided-long-edge", "page-ranges=[[1,2]]"].map(str::to_owned);
        let options = options(&pairs).unwrap();
        assert_eq!((options.copies, options.sides.as_deref()), (Some(2), Some("two-sided-long-edge")));
        assert_eq!(options.page_ranges, [(1, 2)]);
        let error = super::options(&["side=x".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("`side`"), "{error}");
        assert_eq!(super::options(&["sides".to_owned()]).unwrap_err().exit(), Exit::Usage);
    }
}
