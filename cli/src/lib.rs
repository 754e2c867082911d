//! The one binary `inkwire`: broker, agent and command line.
//!
//! ```text
//!  main ─▶ run() ─▶ args ─▶ commands/* ──▶ inkwire_broker, inkwire_agent   (daemons)
//!                                     ├──▶ inkwire_client                  (print, printers, agents, jobs ...)
//!                                     ├──▶ admin socket                    (admin)
//!                                     └──▶ demo: broker + router + agent as processes of this binary
//! ```
//!
//! As a library it gives tests what they need and no more: [`run`], the demo's [`demo::router`] and its
//! [`demo::document`].

#[cfg(unix)]
mod admin_socket;
mod args;
mod commands;
mod connection;
pub mod demo;
mod exit;
mod login;
mod mime;
mod output;
mod progress;
mod words;

use args::Args;
use clap::Parser as _;

/// Does what the command line says. The exit codes stand in docs/cli.md.
pub fn run() -> std::process::ExitCode {
    // Usage errors and --help end in here, with exit code 2 and 0.
    let args = Args::parse();
    match commands::run(args) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::error(&failure);
            failure.exit().into()
        }
    }
}
