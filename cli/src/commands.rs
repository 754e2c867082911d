//! One file a command.

#[cfg(unix)]
pub(crate) mod admin;
pub(crate) mod agent;
pub(crate) mod agents;
#[cfg(unix)]
pub(crate) mod broker;
pub(crate) mod certs;
pub(crate) mod check;
#[cfg(unix)]
pub(crate) mod demo_router;
pub(crate) mod document;
pub(crate) mod find;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod login;
pub(crate) mod pairings;
pub(crate) mod print;
pub(crate) mod printers;
pub(crate) mod stats;
pub(crate) mod watch;

use crate::args::{Args, Command};
use crate::exit::{Exit, Failure};

/// Does what the command line says.
pub(crate) fn run(args: Args) -> Result<Exit, Failure> {
    if args.end_with_parent {
        end_with_parent()?;
    }
    let mut runtime = if matches!(args.command, Command::Agent(_)) {
        // An agent is one connection and a few devices: on one thread nothing has to wake another one up.
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = runtime.enable_all().build()?;
    let exit = runtime.block_on(async {
        let exit = dispatch(args.command).await;
        crate::connection::farewell().await;
        exit
    });
    // A blocking read of stdin must not keep the process.
    runtime.shutdown_background();
    exit
}

async fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        #[cfg(unix)]
        Command::Broker(args) => broker::run(args).await,
        Command::Agent(args) => agent::run(args).await,
        #[cfg(unix)]
        Command::Admin(args) => admin::run(args).await,
        Command::Login(args) => login::run(args).await,
        Command::Print(args) => unless_interrupted(print::run(args)).await,
        Command::Printers(args) => printers::run(args).await,
        Command::Agents(args) => agents::run(args).await,
        Command::Jobs(args) => unless_interrupted(jobs::run(args)).await,
        Command::Job(args) => unless_interrupted(job::run(args)).await,
        Command::Document(args) => unless_interrupted(document::run(args)).await,
        Command::Stats(args) => unless_interrupted(stats::run(args)).await,
        Command::Pairings(args) => pairings::run(args).await,
        Command::Certs(args) => certs::run(&args),
        #[cfg(unix)]
        Command::Demo(args) => Box::pin(crate::demo::run(args)).await,
        #[cfg(unix)]
        Command::DemoRouter(args) => demo_router::run(args).await,
    }
}

/// What may be followed for long is ended by Ctrl-C, and still says goodbye to the broker.
async fn unless_interrupted(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    tokio::select! {
        exit = command => exit,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Ok(Exit::Interrupted)
        }
    }
}

/// The kernel ends this process with the one that started it, so that a killed demo leaves nothing behind.
#[cfg(target_os = "linux")]
fn end_with_parent() -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
        .map_err(|error| Failure::from(std::io::Error::from(error)))
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> Result<(), Failure> {
    Ok(())
}

/// What a daemon holds in memory (keys, documents) is written to no core dump, and no other process of the same user may look at it.
#[cfg(target_os = "linux")]
pub(crate) fn keep_memory_private() -> Result<(), Failure> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| Failure::from(std::io::Error::from(error)))
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "where it can be done it may fail")]
pub(crate) fn keep_memory_private() -> Result<(), Failure> {
    Ok(())
}
