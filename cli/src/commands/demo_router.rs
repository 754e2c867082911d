//! `inkwire demo-router` (hidden): the demo's home router as a process. Notes go to stdout and orders come on stdin, one
//! JSON object a line; the end of stdin ends it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::demo::router::{Router, RouterConfig};
use crate::exit::{Exit, Failure};
use crate::output;

/// The demo's home router
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where agents dial
    #[arg(long, default_value = "127.0.0.1:0")]
    lan: SocketAddr,
    /// The broker
    #[arg(long)]
    broker: SocketAddr,
    /// The public address to begin with
    #[arg(long)]
    public: IpAddr,
    /// Bytes a second towards the agents
    #[arg(long)]
    bytes_per_s: Option<u64>,
}

/// An order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Order {
    /// Take another public address, now or after so many bytes more have gone to the agents.
    Move { to: IpAddr, after_bytes: u64 },
    /// Another pace; none for as fast as it goes.
    Pace { bytes_per_s: Option<u64> },
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let Args { lan, broker, public, bytes_per_s } = args;
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    let (router, mut notes) = Router::start(RouterConfig { lan, broker, public, bytes_per_s }, end).await?;
    output::json_line(&crate::demo::router::Note::Listening { lan: router.lan() })?;
    let mut lines = read_lines();
    let orders = async {
        while let Some(line) = lines.recv().await {
            match serde_json::from_str(&line).map_err(Failure::usage)? {
                Order::Move { to, after_bytes } => router.take_address_after(to, after_bytes).await,
                Order::Pace { bytes_per_s } => router.set_pace(bytes_per_s),
            }
        }
        Ok::<(), Failure>(())
    };
    let tell = async {
        while let Some(note) = notes.recv().await {
            output::json_line(&note)?;
        }
        Ok::<(), Failure>(())
    };
    tokio::select! {
        result = orders => result?,
        result = tell => result?,
    }
    Ok(Exit::Done)
}

/// The lines of stdin, read by a thread of their own; the channel ends with them.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
