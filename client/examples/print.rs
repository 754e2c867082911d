//! Prints a file and follows it to its end.
//!
//! ```text
//! INKWIRE_BROKER='https://localhost:7443/#sha256=...' INKWIRE_KEY=ik_... \
//!     cargo run -p inkwire-client --example print -- invoice.pdf office application/pdf
//! ```
//!
//! Lost connections are healed by the library: the upload goes on at the packet where it was cut, and the events at their
//! offset. Exit code: 0 printed, 1 not printed, 5 uncertain.

#![allow(clippy::print_stdout, clippy::wildcard_enum_match_arm, reason = "a short program for a terminal")]

use std::env;
use std::error::Error;
use std::process::ExitCode;

use inkwire_client::methods::JobsGet;
use inkwire_client::protocol::app::{JobRef, Subscribe};
use inkwire_client::protocol::job::State;
use inkwire_client::{Client, Document, EventItem, new_job};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(file), Some(printer), Some(format)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: print FILE PRINTER FORMAT".into());
    };
    let client = Client::connect(env::var("INKWIRE_BROKER")?.parse()?, env::var("INKWIRE_KEY")?).await?;

    // Subscribed before the job is made: so nothing of it is missed.
    let mut events = client.events(Subscribe { kinds: vec!["job.".into()], ..Subscribe::default() }).await?;
    let document = Document::open(&file).await?;
    let job = client.submit(new_job(printer, format), document).await?;
    println!("accepted as job {}", job.number);

    let mut state = job.state;
    while !state.is_terminal() && state != State::Uncertain {
        match events.next().await {
            Some(EventItem::Event(event)) if event.job == Some(job.id) => println!("  {}", event.kind),
            Some(EventItem::Event(_) | EventItem::Progress(_)) => continue,
            // The log does not reach back to where we were: what counts is how the job stands now.
            Some(EventItem::CannotResume { .. }) => {}
            Some(EventItem::Ended(error)) => return Err(error.into()),
            None => return Err("the events have ended".into()),
        }
        state = client.request::<JobsGet>(&JobRef { job: job.id }).await?.job.state;
    }
    let job = client.request::<JobsGet>(&JobRef { job: job.id }).await?.job;
    println!("job {}: {}, witness {:?}", job.number, job.state, job.witness);
    Ok(match job.state {
        State::Completed => ExitCode::SUCCESS,
        State::Uncertain => ExitCode::from(5),
        _ => ExitCode::FAILURE,
    })
}
