//! What broker and agent do for every packet, message and job, so often that its instructions can be counted (valgrind's
//! callgrind): `cargo xtask instructions`. No clock, disk or network: the same instructions in every run.
//!
//! Each path is a function of its own that is never inlined; callgrind says what was spent in it and below. TLS is not among them:
//! its library chooses its code by the processor.
#![allow(clippy::print_stdout, reason = "this is a command for a terminal")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use inkwire_protocol::ids::{Attempt, FactSeq, JobId, PrinterNumber, TransferId};
use inkwire_protocol::job::{Event, FactKind, Standing, State, Step, step};
use inkwire_protocol::limits::{DEFAULT_PACKET_BYTES, DEFAULT_REPORT_INTERVAL};
use inkwire_protocol::message::{Ack, Fact, FactMessage, ToBroker, Witness, decode, encode};
use inkwire_protocol::packet::Header;
use inkwire_protocol::session::liveness::Liveness;
use inkwire_protocol::transfer::{Layout, Plan, Receiver, Sender};
use inkwire_transport::{Meter, Ready, SocketConfig, accept};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;

/// How often each path is gone; the recorded figures are for one time.
const TIMES: u32 = 200;

fn main() -> Result<()> {
    // The runtime is made before: it is nobody's hot path.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().context("a runtime")?;
    let data = vec![0x5a; DEFAULT_PACKET_BYTES as usize];
    packet(&data)?;
    messages()?;
    transfer()?;
    lifecycle()?;
    liveness();
    socket_sends(&runtime, &data)?;
    socket_takes(&runtime, &data)?;
    println!("{TIMES}");
    Ok(())
}

/// A packet's header made, written, read and checked against its data.
#[inline(never)]
fn packet(data: &[u8]) -> Result<()> {
    let mut message = vec![0; 16 + data.len()];
    message[16..].copy_from_slice(data);
    for seq in 0..TIMES {
        let header = Header::over(TransferId(1), PrinterNumber(1), seq, false, data);
        message[..16].copy_from_slice(&header.encode());
        let (read, _) = Header::decode(black_box(&message)).context("a packet")?;
        ensure!(read == header, "a packet changed");
    }
    Ok(())
}

/// An ack and a fact, to JSON and back.
#[inline(never)]
fn messages() -> Result<()> {
    let job = JobId::from_uuid("0190c3f0-0000-7000-8000-000000000001".parse().context("an id")?);
    for seq in 0..TIMES {
        let fact = Fact::Completed {
            witness: Witness::HandedOver,
            delivered_bytes: 2048,
            sha256: None,
            detail: None,
        };
        let fact = FactMessage {
            job,
            attempt: Attempt(1),
            fact_seq: FactSeq(3),
            ledger_seq: u64::from(seq),
            at_ms: 1_709_210_096_007,
            fact,
        };
        let ack = Ack { transfer: TransferId(1), next_seq: seq, credit: 64 };
        for message in [ToBroker::Ack(ack), ToBroker::Fact(fact)] {
            let text = encode(&message).context("a message")?;
            let read: ToBroker = decode(black_box(&text)).context("a message")?;
            ensure!(read == message, "a message changed");
        }
    }
    Ok(())
}

/// A document's packets from sender to receiver and the acks back, without their bytes.
#[inline(never)]
fn transfer() -> Result<()> {
    let bytes = u64::from(TIMES) * u64::from(DEFAULT_PACKET_BYTES);
    let layout = Layout::new(bytes, DEFAULT_PACKET_BYTES).context("a layout")?;
    let (mut sender, mut receiver) = (Sender::new(layout, 0, true), Receiver::new(layout, 0));
    while !sender.is_complete() {
        while let Plan::Packet(slice) = sender.next() {
            sender.on_sent();
            let header = Header {
                transfer: TransferId(1),
                printer: PrinterNumber(1),
                seq: slice.seq,
                last: slice.last,
                crc32c: 0,
            };
            let verdict = receiver.on_packet(black_box(&header), slice.len as usize);
            let _verdict = black_box(verdict.map_err(|violation| anyhow::anyhow!("{violation:?}"))?);
        }
        let credit = receiver.on_synced(receiver.received(), 16);
        let effect = sender.on_ack(receiver.durable(), credit);
        let _effect = black_box(effect.map_err(|violation| anyhow::anyhow!("{violation:?}"))?);
    }
    Ok(())
}

/// A label's life: accepted, sent, spooled, printing, completed.
#[inline(never)]
fn lifecycle() -> Result<()> {
    let attempt = Attempt(1);
    let fact = |kind| Event::Fact { attempt, kind };
    let events = [
        Event::Accept { held: false },
        Event::Send { may_print: true },
        fact(FactKind::Spooled),
        fact(FactKind::Printing),
        fact(FactKind::Completed),
    ];
    for _ in 0..TIMES {
        let mut job = Standing::INCOMING;
        for event in events {
            let Step::Next(next) = step(black_box(job), event) else { bail!("{event:?} changes nothing") };
            job = next;
        }
        ensure!(job.state == State::Completed, "a label ends {:?}", job.state);
    }
    Ok(())
}

/// A second of a session that expects data: bytes come, somebody asks what is due.
#[inline(never)]
fn liveness() {
    let mut now = Instant::now();
    let mut liveness = Liveness::new(now, DEFAULT_REPORT_INTERVAL, 0.5);
    for _ in 0..TIMES {
        now += Duration::from_millis(100);
        liveness.set_expecting(now, true);
        liveness.on_bytes(now);
        let _action = black_box(liveness.poll(now));
    }
}

/// Packets through a socket to a peer that reads.
#[inline(never)]
fn socket_sends(runtime: &Runtime, data: &[u8]) -> Result<()> {
    runtime.block_on(sends(data))
}

async fn sends(data: &[u8]) -> Result<()> {
    let (ours, mut peer) = tokio::io::duplex(64 * 1024);
    let mut socket = accept(ours, Bytes::new(), Meter::new(), SocketConfig::AGENT).await;
    let mut read = vec![0; 64 * 1024];
    for seq in 0..TIMES {
        let header =
            Header { transfer: TransferId(1), printer: PrinterNumber(1), seq, last: false, crc32c: 0 };
        ensure!(socket.queue_packet(&header, data).is_ok(), "the socket takes no packet");
        socket.flush().await.map_err(|closed| anyhow::anyhow!("{closed:?}"))?;
        black_box(peer.read(&mut read).await.context("the peer")?);
    }
    Ok(())
}

/// Packets from a peer that masks its frames, as every client must (with zeros: any mask costs the same).
#[inline(never)]
fn socket_takes(runtime: &Runtime, data: &[u8]) -> Result<()> {
    runtime.block_on(takes(data))
}

async fn takes(data: &[u8]) -> Result<()> {
    let (ours, mut peer) = tokio::io::duplex(64 * 1024);
    let mut socket = accept(ours, Bytes::new(), Meter::new(), SocketConfig::AGENT).await;
    let mut frame = vec![0x82, 0xfe];
    frame.extend((data.len() as u16).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(data);
    for _ in 0..TIMES {
        peer.write_all(&frame).await.context("the peer")?;
        match socket.ready(false).await {
            Ready::Binary(message) => ensure!(message.len() == data.len(), "a message changed"),
            other @ (Ready::Text(_) | Ready::Pong { .. } | Ready::Writable | Ready::Closed(_)) => {
                bail!("{other:?} in place of a message")
            }
        }
    }
    Ok(())
}
