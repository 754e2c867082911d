//! `inkwire broker`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use inkwire_broker::{Broker, Config, OneOrMany, RawConfig};
use inkwire_service::{Shutdown, config, fsio, telemetry};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output;

/// How long a drained broker may take to finish its commits.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Run the broker
///
/// The first start in an empty data folder makes a certificate authority, a server certificate, an account and a
/// one-time sign-in link, and says how to pair an agent.
///
///   inkwire broker
///   inkwire broker --data /srv/inkwire --listen 0.0.0.0:7443 --public-url https://print.example.com:7443
///   inkwire broker --config /etc/inkwire/broker.toml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The configuration (TOML); what stands on the command line outranks it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder that holds store, documents and certificates
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen; several times for several addresses
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<String>,
    /// Serve the console on plain HTTP for this machine's own browsers: a loopback address
    #[arg(long, value_name = "127.0.0.1:PORT")]
    console_listen: Option<String>,
    /// How agents and apps reach it from outside
    #[arg(long, value_name = "https://HOST:PORT")]
    public_url: Option<String>,
    /// A further name or address for the certificate; several times
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Written when the broker serves: JSON with pid, addresses, pin and admin socket
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Write the log as JSON
    #[arg(long)]
    log_json: bool,
    /// What to log, for example `info,inkwire_broker=debug` (else INKWIRE_LOG)
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// The ready file.
#[derive(Debug, Serialize)]
struct ReadyFile<'a> {
    pid: u32,
    listen: String,
    url: String,
    pin: Option<String>,
    pair_url: String,
    admin_socket: &'a Path,
    sign_in: Option<&'a str>,
    /// The console on plain HTTP for this machine, where it is configured.
    console: Option<String>,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    super::keep_memory_private()?;
    telemetry::init(args.log.as_deref(), args.log_json).map_err(Failure::usage)?;
    let ready_file = args.ready_file.clone();
    let config = configuration(args)?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let broker = Broker::start(config, shutdown.token().clone())
        .await
        .map_err(anyhow::Error::from)
        .context("cannot start")?;
    if let Some(path) = &ready_file {
        write_ready_file(path, &broker)?;
    }
    tell(&broker)?;
    let token = shutdown.token().clone();
    let mut stopped = std::pin::pin!(broker.stopped());
    let result = tokio::select! {
        result = &mut stopped => result,
        () = token.cancelled() => tokio::time::timeout(STOP_WITHIN, &mut stopped)
            .await
            .map_err(|_| anyhow::anyhow!("the broker did not stop within {STOP_WITHIN:?}"))?,
    };
    if let Some(path) = &ready_file
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::debug!(path = %path.display(), %error, "the ready file stays");
    }
    result.map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
}

fn configuration(args: Args) -> Result<Config, Failure> {
    let mut raw: RawConfig = match &args.config {
        Some(path) => config::load(path).map_err(Failure::usage)?,
        None => RawConfig::default(),
    };
    raw.data_dir = args.data.or(raw.data_dir).or_else(default_data_dir);
    if !args.listen.is_empty() {
        raw.listen = Some(OneOrMany::Many(args.listen));
    }
    raw.console_listen = args.console_listen.or(raw.console_listen);
    raw.public_url = args.public_url.or(raw.public_url);
    raw.names.extend(args.name);
    Config::try_from(raw).map_err(Failure::usage)
}

/// Where the data lives unless said: `/var/lib/inkwire/broker` for root, the user's state folder for others.
pub(crate) fn default_data_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/inkwire/broker"));
    }
    let set = std::env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set.or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(state.join("inkwire/broker"))
}

fn write_ready_file(path: &Path, broker: &Broker) -> Result<(), Failure> {
    let url = broker.url();
    let pair_url = url.to_string();
    let ready = ReadyFile {
        pid: std::process::id(),
        listen: broker.address().to_string(),
        url: pair_url.clone(),
        pin: pair_url.split_once("#sha256=").map(|(_, pin)| pin.to_owned()),
        pair_url,
        admin_socket: broker.admin_socket(),
        sign_in: broker.sign_in(),
        console: broker.console().map(|at| format!("http://{at}/")),
    };
    let bytes = serde_json::to_vec(&ready).map_err(anyhow::Error::from)?;
    fsio::write_durable(path, &bytes, 0o600).map_err(anyhow::Error::from)?;
    Ok(())
}

fn tell(broker: &Broker) -> Result<(), Failure> {
    output::line(&format!("inkwire broker {} listens at {}", inkwire_broker::VERSION, broker.address()))?;
    output::line(&format!("  pair an agent:  inkwire agent pair '{}'", broker.url()))?;
    if let Some(link) = broker.sign_in() {
        output::line(&format!("  sign in (once, within 15 minutes):  {link}"))?;
        let data = broker.admin_socket().parent().unwrap_or(Path::new("."));
        output::line(&format!(
            "  make a key:  inkwire admin --data {} key create --name mine",
            data.display()
        ))?;
    }
    Ok(())
}
