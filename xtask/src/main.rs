//! `cargo xtask`: the commands of the README and of CI. Each is a file; what is heavy runs in the workspace's own binaries,
//! so that this one compiles in seconds.
//!
//! ```text
//!   cargo xtask demo | natlab     builds what it needs, then runs it
//!   cargo xtask test              a list of stages ── table of times ── "N passed, N failed"
//!   cargo xtask bench             us and our peers, in one run
//!   cargo xtask instructions      the hot paths' instructions, against what was recorded
//!   cargo xtask deny              cargo-deny, or its own reading of deny.toml
//!   cargo xtask mutants           deliberate defects, each of which a test must find
//!   cargo xtask package           what people install: .deb, tar.gz, Containerfile
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command for a terminal")]

mod bench;
mod console;
mod demo;
mod deny;
mod fuzz;
mod instructions;
mod mutants;
mod natlab;
mod package;
mod python;
mod run;
mod sim;
mod supply;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The commands that developers and CI type", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Args),
    Console(console::Args),
    Demo(demo::Args),
    Test(test::Args),
    Natlab(natlab::Args),
    Deny(deny::Args),
    Package(package::Args),
    Sim(sim::Args),
    Mutants(mutants::Args),
    Instructions(instructions::Args),
    Fuzz(fuzz::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::Console(args) => console::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Natlab(args) => natlab::run(&args),
        Command::Deny(args) => deny::run(&args),
        Command::Package(args) => package::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Mutants(args) => mutants::run(&args),
        Command::Instructions(args) => instructions::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
