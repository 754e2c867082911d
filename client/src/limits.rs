//! Every bound of the client, each with its reason.

use std::time::Duration;

/// Calls waiting for their answer on one connection; further callers wait for a place.
pub(crate) const MAX_PENDING_CALLS: usize = 256;
/// Commands queued for the link task: callers beyond it wait, so a dead link costs bounded memory.
pub(crate) const COMMAND_QUEUE: usize = 32;
/// Packets read ahead of the socket for one upload: enough to hide a disk read, 128 KiB of memory.
pub(crate) const READ_AHEAD_PACKETS: usize = 8;
/// How much of a file is read at a time: a trip to the file thread for every sixteen packets, 256 KiB of memory.
pub(crate) const FILE_READ_BYTES: usize = 256 * 1024;
/// Events queued for a slow consumer; beyond it the socket is not read and the broker holds back.
pub(crate) const EVENT_QUEUE: usize = 256;
/// A call, with its retries, is answered by then or fails.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(30);
/// The first connection stands by then or [`crate::Client::connect`] fails.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// An idle connection is pinged this often: below the 30 s after which small NAT boxes forget a mapping.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(25);
/// The first wait after a lost connection is at most this ...
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// ... and doubles up to this.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// With an upload open a dial is tried again at least this often.
pub(crate) const BACKOFF_MAX_BUSY: Duration = Duration::from_secs(1);
