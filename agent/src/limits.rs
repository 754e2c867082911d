//! Bounds of the agent's own, each with its reason; what is on the wire stands in [`inkwire_protocol::limits`].

use std::time::Duration;

/// Free space that the spool leaves on its disk unless configured: room for tens of thousands of outcomes.
pub const MIN_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// How often printers are asked for their state: often enough that "out of paper" is seen while somebody stands there.
pub const POLL_PRINTERS_MS: u64 = 15_000;
/// A printer is asked out of turn so long after something happened there: a device needs a moment to say `processing`.
pub const STIRRED_ASK_AFTER: Duration = Duration::from_millis(500);
/// Out of turn printers are asked at most this often: a run of labels must not become a run of questions.
pub const STIRRED_ASK_EVERY: Duration = Duration::from_secs(2);
/// One printer may take this long to describe itself; then it is `unreachable`.
pub const DESCRIBE_WITHIN: Duration = Duration::from_secs(20);

/// Undecided jobs at the agent, all printers together: each costs a row and a few hundred bytes of memory.
pub const MAX_JOBS: usize = 8192;
/// Small documents that stay in memory until they are printed, so that they need not be read again; 64 KiB each at most.
pub const DOCUMENTS_AT_HAND: usize = 16;
/// Jobs that came in this run of the agent and are remembered as such: of any other new one the ledger need not be asked.
pub const KNOWN_JOBS: usize = 4096;
/// Change sets that wait for the ledger's writer; a full queue makes the callers wait.
pub const LEDGER_QUEUE: usize = 1024;
/// Change sets that go into one commit: bounds the time that the first of them waits.
pub const LEDGER_BATCH: usize = 256;
/// Changes that can be lost without harm (a fact was acknowledged) wait this long for a commit that is made anyway.
pub const LAZY_COMMIT_AFTER: Duration = Duration::from_secs(2);
/// A ledger on a full disk is tried again after this long.
pub const FULL_DISK_RETRY: Duration = Duration::from_secs(1);

/// Events from the connection to the rest; a full queue stops the reading of the socket.
pub const LINK_EVENTS: usize = 256;
/// Silence is no sign of a dead path while the agent itself reads nothing; for so long, like one write. Then it dials anew.
pub const STUCK_EXCUSED: Duration = Duration::from_secs(30);
/// Messages to the connection; a full queue makes the senders wait.
pub const LINK_COMMANDS: usize = 256;
/// Facts read from the ledger at a time.
pub const OUTBOX_PAGE: usize = 128;
/// Requests for jobs that are not here yet, remembered until their `open` comes.
pub const EARLY_REQUESTS: usize = 1024;
/// Progress of a device is told at most this often.
pub const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// How much is read from a spool file at a time.
pub const READ_BYTES: usize = 256 * 1024;

/// A dial that has not come through by then is given up (parallel ones have begun long before).
pub const DIAL_WITHIN: Duration = Duration::from_secs(20);
/// Dials at once: one a second for as long as one may hang.
pub const MAX_PARALLEL_DIALS: usize = 20;
/// `welcome` must have come by then.
pub const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// How long the agent asks again after "only a person can change this".
pub const HOURLY: Duration = Duration::from_secs(3600);
/// A wall clock that is off by more is worth a line in the log.
pub const CLOCK_TOLERANCE_MS: u64 = 30_000;
/// How long a stopping agent waits for its printers and its ledger.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How often outcomes older than 90 days are looked for.
pub const SWEEP_OUTCOMES_EVERY: Duration = Duration::from_secs(3600);
/// Printers may take this long to describe themselves before the first dial; later answers go into reports.
pub const FIRST_DESCRIBE_WITHIN: Duration = Duration::from_secs(2);
