//! `inkwire agent install` and `uninstall`: the agent as a service of systemd, paired and running, without a question.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use inkwire_agent::status::{self, Connection};

use crate::exit::{Exit, Failure};
use crate::output;

const SERVICE: &str = "inkwire-agent.service";
const UNIT: &str = include_str!("../../../../packaging/systemd/inkwire-agent.service");
const CONFIG: &str = include_str!("../../../../packaging/etc/agent.toml");
const CONFIG_PATH: &str = "/etc/inkwire/agent.toml";
const STATE: &str = "/var/lib/inkwire/agent";
const USER: &str = "inkwire-agent";
/// Where a package puts the unit, and where we do.
const PACKAGED_UNIT: &str = "/usr/lib/systemd/system/inkwire-agent.service";
const OWN_UNIT: &str = "/etc/systemd/system/inkwire-agent.service";
/// Long enough for a slow line and a broker that is restarting.
const CONNECTED_WITHIN: Duration = Duration::from_secs(45);

/// Install the agent as a service of this PC, pair it and start it
///
/// With an enrolment token nobody is asked anything; without one, somebody approves the code that is shown. What is there
/// already is kept: an agent that is paired with this broker is only started. Needs root and systemd.
///
///   inkwire agent install --url 'https://print.example.com:7443/#sha256=...' --enroll TOKEN
///   inkwire agent install --url 'https://print.example.com:7443/#sha256=...'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The broker's address with its pin, as the broker prints it
    #[arg(long, value_name = "URL#sha256=..")]
    url: String,
    /// A one-use enrolment token
    #[arg(long, value_name = "TOKEN", env = "INKWIRE_ENROLMENT", hide_env_values = true)]
    enroll: Option<String>,
}

/// Stop the service and remove it from this PC
///
/// The agent's identity and what is not printed yet stay in /var/lib/inkwire/agent unless --purge.
///
///   inkwire agent uninstall
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Uninstall {
    /// Also delete the identity and everything that is not printed yet
    #[arg(long)]
    purge: bool,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    fit()?;
    let state = Path::new(STATE);
    match status::status(state) {
        Ok(before) if before.broker == crate::connection::parse_url(&args.url)?.to_string() => {
            output::note(&format!("already paired as `{}`", output::clean(&before.name)));
        }
        Ok(before) => {
            return Err(Failure::new(
                Exit::Refused,
                anyhow::anyhow!(
                    "this PC is paired with {}: `inkwire agent uninstall --purge` first, if that is over",
                    output::clean(&before.broker)
                ),
            ));
        }
        Err(_) => {
            let paired = super::pair_at(&args.url, state.to_owned(), args.enroll).await?;
            output::line(&format!(
                "paired as `{}` with account `{}`",
                output::clean(&paired.agent_name),
                output::clean(&paired.account_name)
            ))?;
        }
    }
    set_up()?;
    tell("systemctl", &["enable", "--quiet", SERVICE])?;
    tell("systemctl", &["restart", SERVICE])?;
    connected(state).await
}

pub(super) fn uninstall(args: &Uninstall) -> Result<Exit, Failure> {
    fit()?;
    tell("systemctl", &["disable", "--now", SERVICE])?;
    if Path::new(OWN_UNIT).exists() {
        std::fs::remove_file(OWN_UNIT).with_context(|| OWN_UNIT.to_owned())?;
    }
    tell("systemctl", &["daemon-reload"])?;
    if args.purge && Path::new(STATE).exists() {
        std::fs::remove_dir_all(STATE).with_context(|| STATE.to_owned())?;
        output::note("its identity and its spool are deleted; revoke it at the broker: inkwire agents");
    }
    output::line("the agent is not a service of this PC any more")?;
    Ok(Exit::Done)
}

/// Whether this can be done here at all.
fn fit() -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::usage("a service is installed by root: sudo inkwire agent install ..."));
    }
    if !Path::new("/run/systemd/system").is_dir() {
        return Err(Failure::usage(
            "this system does not run systemd: pair by `inkwire agent pair` and let its own service manager run `inkwire agent`",
        ));
    }
    Ok(())
}

/// The user, the configuration and the unit, where a package has not brought them.
fn set_up() -> anyhow::Result<()> {
    if tell("getent", &["passwd", USER]).is_err() {
        tell(
            "useradd",
            &["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", USER],
        )?;
    }
    if !Path::new(CONFIG_PATH).exists() {
        std::fs::create_dir_all("/etc/inkwire")?;
        std::fs::write(CONFIG_PATH, CONFIG).context(CONFIG_PATH)?;
    }
    if !Path::new(PACKAGED_UNIT).exists() {
        let me = std::env::current_exe().context("the path of this program is not known")?;
        let me = me.to_str().context("the path of this program is not UTF-8")?;
        std::fs::write(OWN_UNIT, UNIT.replace("/usr/bin/inkwire", me)).context(OWN_UNIT)?;
    }
    tell("chown", &["--recursive", &format!("{USER}:{USER}"), STATE])?;
    tell("systemctl", &["daemon-reload"])
}

/// Waits for the session, and says where the agent was seen.
async fn connected(state: &Path) -> Result<Exit, Failure> {
    let until = Instant::now() + CONNECTED_WITHIN;
    let mut trouble = None;
    while Instant::now() < until {
        let running = status::status(state).map_err(anyhow::Error::from)?.running;
        match running.map(|running| running.connection) {
            Some(Connection::Connected { observed_endpoint, .. }) => {
                output::line(&format!("running and connected, seen at {observed_endpoint}"))?;
                return Ok(Exit::Done);
            }
            Some(Connection::Trying { trouble: now, .. }) => trouble = now.or(trouble),
            None => {}
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let why = trouble.unwrap_or_else(|| "it does not say why: journalctl -u inkwire-agent".into());
    let error = anyhow::anyhow!("installed, but not connected yet: {}", output::clean(&why));
    Err(Failure::new(Exit::Unreachable, error))
}

fn tell(program: &str, args: &[&str]) -> anyhow::Result<()> {
    let line = || format!("{program} {}", args.join(" "));
    let output = Command::new(program).args(args).output().with_context(line)?;
    if !output.status.success() {
        bail!("`{}` failed: {}", line(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
