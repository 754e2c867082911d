//! `inkwire agent` and what people do with it on the PC: `pair`, `install`, `uninstall`, `status`.

#[cfg(target_os = "linux")]
mod install;
mod status;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use inkwire_agent::{Agent, Config, PairError, PairRequest, Paired, RawConfig, pair};
use inkwire_service::{Secret, Shutdown, config, telemetry};

use crate::connection::parse_url;
use crate::exit::{Exit, Failure};
use crate::output;

/// How long an agent may take to note where every device stands.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Run the agent on a PC beside its printers, or pair it with a broker
///
///   inkwire agent pair 'https://print.example.com:7443/#sha256=...'
///   inkwire agent
///   inkwire agent --config /etc/inkwire/agent.toml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration (TOML) with the printers
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder that holds identity, ledger and spool
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Write the log as JSON
    #[arg(long)]
    log_json: bool,
    /// What to log, for example `info,inkwire_agent=debug` (else INKWIRE_LOG)
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pair(Pair),
    Status(status::Args),
    Check(Check),
    #[cfg(target_os = "linux")]
    Install(install::Args),
    #[cfg(target_os = "linux")]
    Uninstall(install::Uninstall),
}

/// Pair this PC with a broker
///
/// Shows a code that somebody with the right types at the broker (`inkwire pairings approve CODE`), and compares
/// fingerprints. With an enrolment token nobody is asked.
///
///   inkwire agent pair 'https://print.example.com:7443/#sha256=...'
///   INKWIRE_ENROLMENT=... inkwire agent pair 'https://print.example.com:7443/#sha256=...'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Pair {
    /// The broker's address with its pin, as the broker prints it
    #[arg(value_name = "URL#sha256=..")]
    url: String,
    /// A one-use enrolment token
    #[arg(long, value_name = "TOKEN", env = "INKWIRE_ENROLMENT", hide_env_values = true)]
    enrolment: Option<String>,
    /// The folder that holds identity, ledger and spool
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

/// Check that the state folder is whole: identity, ledger, and the spool against the ledger
///
/// Writes nothing and may run beside the agent. Exit code 0: everything is there. 1: something is damaged; each line says
/// what and what to do. 3: there is nothing to check.
///
///   inkwire agent check
///   inkwire agent check --state /var/lib/inkwire/agent --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Check {
    /// The folder that holds identity, ledger and spool
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Leave out what reads every byte
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Some(Command::Pair(args)) => pair_with(args).await,
        Some(Command::Status(args)) => status::run(args),
        Some(Command::Check(args)) => {
            let report = inkwire_agent::check(&state_dir(args.state)?, args.quick);
            super::check::show(&report.map_err(|error| Failure::new(Exit::Refused, error))?, args.json)
        }
        #[cfg(target_os = "linux")]
        Some(Command::Install(args)) => install::run(args).await,
        #[cfg(target_os = "linux")]
        Some(Command::Uninstall(args)) => install::uninstall(&args),
        None => serve(args).await,
    }
}

async fn serve(args: Args) -> Result<Exit, Failure> {
    super::keep_memory_private()?;
    telemetry::init(args.log.as_deref(), args.log_json).map_err(Failure::usage)?;
    let mut raw: RawConfig = match &args.config {
        Some(path) => config::load(path).map_err(Failure::usage)?,
        None => RawConfig::default(),
    };
    raw.state_dir = args.state.or(raw.state_dir);
    let config: Config = raw.check().map_err(Failure::usage)?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let token = shutdown.token().clone();
    let agent =
        Agent::start(config, token.clone()).await.map_err(anyhow::Error::from).context("cannot start")?;
    let mut stopped = std::pin::pin!(agent.stopped());
    let result = tokio::select! {
        result = &mut stopped => result,
        () = token.cancelled() => tokio::time::timeout(STOP_WITHIN, &mut stopped)
            .await
            .map_err(|_| anyhow::anyhow!("the agent did not stop within {STOP_WITHIN:?}"))?,
    };
    result.map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
}

async fn pair_with(args: Pair) -> Result<Exit, Failure> {
    let state_dir = state_dir(args.state)?;
    let start = format!("start it: inkwire agent --state {}", state_dir.display());
    let paired = pair_at(&args.url, state_dir, args.enrolment).await?;
    if args.json {
        output::json(&serde_json::json!({
            "agent": paired.agent,
            "name": paired.agent_name,
            "account": paired.account_name,
            "fingerprint": paired.fingerprint,
        }))?;
    } else {
        output::line(&format!(
            "paired as `{}` with account `{}` ({})",
            paired.agent_name, paired.account_name, paired.agent
        ))?;
        output::note(&start);
    }
    Ok(Exit::Done)
}

/// The folder that was said, or the usual one.
fn state_dir(said: Option<PathBuf>) -> Result<PathBuf, Failure> {
    said.or_else(inkwire_agent::config::default_state_dir)
        .ok_or_else(|| Failure::usage("there is no folder for the agent's state: use --state"))
}

/// Pairs, and shows the code where somebody must approve it.
async fn pair_at(url: &str, state_dir: PathBuf, enrolment: Option<String>) -> Result<Paired, Failure> {
    let request = PairRequest { url: parse_url(url)?, state_dir, enrolment: enrolment.map(Secret::new) };
    pair(request, |code| {
        output::note(&format!("code         {}", code.code));
        output::note(&format!("fingerprint  {}", code.fingerprint));
        output::note(&format!("seen at      {}", code.observed_endpoint));
        output::note(&format!(
            "Somebody with the right approves it within {} minutes: inkwire pairings approve {}",
            code.expires_in.as_secs() / 60,
            code.code
        ));
    })
    .await
    .map_err(refusal)
}

fn refusal(error: PairError) -> Failure {
    let exit = match &error {
        PairError::Refused(_) | PairError::TimedOut(_) => Exit::Refused,
        PairError::Dial { .. } | PairError::Closed(_) => Exit::Unreachable,
        PairError::Identity(_)
        | PairError::Tls(_)
        | PairError::NotUnderstood(_)
        | PairError::Certificate(_) => Exit::Failed,
    };
    Failure::new(exit, error)
}
