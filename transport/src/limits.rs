//! Bounds of one connection that are not part of the protocol, each with its reason.

use std::time::Duration;

/// A message is written as WebSocket frames of at most this size: neither side's buffers, which never shrink, then
/// grow past it, so that a session costs little again after a document has passed.
pub const FRAME_BYTES: usize = 4 * 1024;
/// Begin of the read buffer; it grows to one frame when one comes, never shrinks, and doubles at least: a small begin lets a
/// `hello` grow it to no more than itself.
pub const READ_BUFFER_BYTES: usize = 256;
/// What may wait in a socket before `queue_*` says `Full`: some packets, or one control message of the largest size
/// (a message is always taken when nothing waits).
pub const MAX_QUEUED_BYTES: usize = 128 * 1024;
/// Pings whose answers are still awaited; more are forgotten, oldest first.
pub const MAX_PINGS: usize = 4;
/// Messages that are handled in one poll without giving the runtime a turn (Pings and unasked Pongs).
pub const MAX_CONTROL_FRAMES_A_POLL: usize = 32;
/// What is read and thrown away after a violation, so that our close frame is not lost to a reset.
pub const MAX_DISCARDED_BYTES: usize = 1024 * 1024;
/// A close reason on the wire (RFC 6455 section 5.5: 125 bytes less the code).
pub const MAX_CLOSE_REASON_BYTES: usize = 123;

/// The kernel holds at most this much unsent, so that a label does not wait behind a poster.
pub const NOTSENT_LOWAT_BYTES: u32 = 32 * 1024;
/// TCP gives up when sent data was not acknowledged for this long.
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Keepalive begins after this much silence: longer than the report interval, so that it only speaks when nobody else does.
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// ... and repeats this often.
pub const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
/// ... this many times.
pub const KEEPALIVE_TRIES: u32 = 3;

/// How much of an error answer's body is kept.
pub const MAX_ERROR_BODY_BYTES: usize = 4 * 1024;
/// Longest `Retry-After` that is believed.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// Entries of a client's session cache; eight belong to one broker.
pub const CLIENT_SESSIONS: usize = 32;
/// TLS 1.3 tickets given with a handshake: a racing second dial finds one as well.
pub const TICKETS: usize = 2;
/// What is read from a TLS connection at once: a record of the largest size and its head.
pub const TLS_READ_BYTES: usize = 17 * 1024;
/// Content of a record that is written.
pub const RECORD_BYTES: usize = 16 * 1024;
/// A handshake message, in all its records: what rustls takes, and a record.
pub const MAX_HANDSHAKE_BYTES: usize = 80 * 1024;
/// Largest PEM file that is read.
pub const MAX_PEM_BYTES: u64 = 256 * 1024;
