//! The rules that broker, agent and apps share, with no clock, socket, file or task in them.
//!
//! ```text
//!        app                     broker                      agent
//!   upload Sender  ──packets──▶ Receiver
//!                  ◀──acks────    │ accepted = on disk
//!                               Sender   ──packets──▶     Receiver ──▶ spool ──▶ printer
//!                                        ◀──acks─────
//!                               job::step ◀──facts──      job::step
//! ```
//!
//! Both legs are one [`transfer`]; both sides of a job move by one [`job::step`]. Time and chance are
//! arguments, effects are values. The bytes on the wire are specified in `docs/protocol.md`.
//!
//! Reading order: [`ids`], [`limits`], [`packet`], [`transfer`], [`message`], [`job`], [`session`], [`close`],
//! then [`app`], which is the API for everybody else.

#![warn(missing_docs)]

pub mod app;
pub mod close;
pub mod ids;
pub mod job;
pub mod limits;
pub mod message;
pub mod packet;
pub mod printer;
pub mod session;
pub mod transfer;
