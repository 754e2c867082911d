//! Every bound of the back-ends, each with its reason.

use std::time::Duration;

/// A piece of a document on its way to a device: a few packets, so that `delivered` moves visibly on slow devices.
pub(super) const CHUNK_BYTES: usize = 32 * 1024;
/// A device on the LAN that does not take a connection by then is away.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a raw device may take to close after it has every byte; slow label printers need a few seconds.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(10);
/// The kernel's send buffer towards a raw device: what "sent" may overstate by.
pub(super) const SOCKET_SEND_BYTES: usize = 64 * 1024;
/// A device that takes no byte for so long is reported as stopped (paper out looks like this on raw devices).
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(10);
/// Stream over a gap of the link: raw devices commonly give up on their own after 60 to 90 s.
pub(super) const SOCKET_HOLD_OPEN: Duration = Duration::from_secs(60);
/// Stream over a gap of the link: IPP printers abort an idle request after 60 s or less (PWG 5100.14 asks for 30 s).
pub(super) const IPP_HOLD_OPEN: Duration = Duration::from_secs(30);

/// Next try at a device that is away.
pub(super) const RETRY_AWAY: Duration = Duration::from_secs(5);
/// Next try at a device that is busy or has no space.
pub(super) const RETRY_BUSY: Duration = Duration::from_secs(5);
/// Next try where somebody must first repair something: a configuration, a certificate, a missing program.
pub(super) const RETRY_REPAIR: Duration = Duration::from_secs(60);
/// Next try of a program that ended with "temporary failure".
pub(super) const RETRY_PROGRAM: Duration = Duration::from_secs(30);

/// What is kept of a program's standard error; its last lines say why it failed.
pub(super) const STDERR_BYTES: usize = 4096;
/// How long a program may take to end after SIGTERM, then it gets SIGKILL.
pub(super) const TERMINATE_WITHIN: Duration = Duration::from_secs(5);
/// How long what a program left in its standard error is waited for after its end.
pub(super) const STDERR_WITHIN: Duration = Duration::from_secs(1);

/// Largest IPP answer: real printers answer Get-Printer-Attributes with at most some 100 KiB.
pub(super) const IPP_ANSWER_BYTES: usize = 1024 * 1024;
/// Deepest nesting of IPP collections; `media-col` needs three.
pub(super) const IPP_DEPTH: usize = 16;
/// An IPP question is answered by then; small printers take seconds while they render.
pub(super) const IPP_ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The answer to a whole document may take this long after its last byte: some printers answer when it is rendered.
pub(super) const IPP_DOCUMENT_ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// First pause between two looks at a job ...
pub(super) const POLL_FIRST: Duration = Duration::from_millis(100);
/// ... and the longest: a person who waits at the printer must not notice.
pub(super) const POLL_LONGEST: Duration = Duration::from_secs(2);
/// The printer itself (state, reasons) is asked at least this often while it has a job.
pub(super) const POLL_PRINTER: Duration = Duration::from_secs(2);
/// A printer that has a job and cannot be asked for so long has taken the outcome with it.
pub(super) const WATCH_AWAY: Duration = Duration::from_secs(3600);
/// The same once somebody asked to cancel: nobody waits an hour for that.
pub(super) const CANCEL_AWAY: Duration = Duration::from_secs(60);
/// How long a canceled job may take to reach its end at the printer before that is called stuck.
pub(super) const CANCEL_WITHIN: Duration = Duration::from_secs(300);
/// Longest that making a CUPS queue may take: it asks the printer for everything it can.
pub(super) const QUEUE_WITHIN: Duration = Duration::from_secs(60);
