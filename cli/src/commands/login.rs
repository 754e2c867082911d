//! `inkwire login`.

use std::io::{IsTerminal as _, Read as _};

use inkwire_client::Options;

use crate::connection::{Connection, parse_url};
use crate::exit::{Exit, Failure};
use crate::login::{self, Login};
use crate::output;

/// Remember a broker and a key for later commands
///
/// The key is read from standard input, so that it stands in no history. Both are kept in a file that only you can
/// read.
///
///   inkwire login 'https://print.example.com:7443/#sha256=...'
///   inkwire login 'https://print.example.com:7443/#sha256=...' < key.txt
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The broker's address with its pin, as the broker prints it
    #[arg(value_name = "URL#sha256=..")]
    url: Option<String>,
    #[command(flatten)]
    connection: Connection,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let (broker, key) = args.connection.given();
    let url = args.url.as_deref().or(broker);
    let url =
        url.ok_or_else(|| Failure::usage("name the broker: inkwire login 'https://host:port/#sha256=...'"))?;
    let url = parse_url(url)?;
    let key = match key {
        Some(key) => key.to_owned(),
        None => read_key()?,
    };
    let client = crate::connection::connect(Options::new(url.clone(), key.clone())).await?;
    let me = client.me().await?;
    let path = login::write(&Login { url: url.to_string(), key })?;
    if args.json {
        output::json(&me)?;
    } else {
        output::line(&format!(
            "signed in to {} as `{}` of account `{}`",
            url.origin(),
            me.who.name(),
            me.account_name
        ))?;
        output::note(&format!("remembered in {}", path.display()));
    }
    Ok(Exit::Done)
}

fn read_key() -> Result<String, Failure> {
    let mut text = String::new();
    let mut input = std::io::stdin();
    if input.is_terminal() {
        output::note("key (made with `inkwire admin key create`):");
        input.read_line(&mut text)?;
    } else {
        input.by_ref().take(4096).read_to_string(&mut text)?;
    }
    match text.trim() {
        "" => Err(Failure::usage("no key was given: paste it, or use --key or INKWIRE_KEY")),
        key => Ok(key.to_owned()),
    }
}
