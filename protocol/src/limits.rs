//! Every bound of the wire and of memory, each with its reason. A test attacks each of them.

use std::time::Duration;

/// The protocol version spoken by this code; a broker also speaks the one before it.
pub const PROTOCOL_VERSION: u16 = 1;
/// The oldest version that is still understood.
pub const OLDEST_PROTOCOL_VERSION: u16 = 1;

/// Header before a packet's data.
pub const PACKET_HEADER_BYTES: usize = 16;
/// Smallest data size of a packet: below it headers and acks cost more than the data.
pub const MIN_PACKET_BYTES: u32 = 1024;
/// Largest data size of a packet: with header and WebSocket framing (14 bytes at most) it fits one TLS record of 16 KiB.
pub const MAX_PACKET_BYTES: u32 = 16_320;
/// What senders use unless told otherwise.
pub const DEFAULT_PACKET_BYTES: u32 = MAX_PACKET_BYTES;
/// A transfer's packets must be countable in 32 bits; with the largest packet that is 63 TiB.
pub const MAX_PACKETS: u64 = u32::MAX as u64;

/// Largest control message. A `hello` with 64 printers and 128 open transfers stays below it.
pub const MAX_CONTROL_BYTES: usize = 256 * 1024;
/// Largest app request: a document of [`INLINE_DOCUMENT_BYTES`] in base64, with room for its options.
pub const MAX_APP_MESSAGE_BYTES: usize = 256 * 1024;

/// Documents up to this size live in the row of their job, so that a label costs one commit.
pub const INLINE_DOCUMENT_BYTES: u64 = 64 * 1024;
/// Largest document unless the configuration says otherwise.
pub const DEFAULT_MAX_DOCUMENT_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// What a sender may send on a new transfer before the first ack, so that a label waits for no round trip.
pub const INITIAL_CREDIT_BYTES: u64 = 64 * 1024;
/// The window that a receiver grants to begin with.
pub const START_WINDOW_BYTES: u64 = 1024 * 1024;
/// The largest window of one transfer: "at most one window is sent twice" is this much.
pub const MAX_WINDOW_BYTES: u64 = 4 * 1024 * 1024;
/// The sum of all windows of one connection.
pub const MAX_CONNECTION_WINDOW_BYTES: u64 = 8 * 1024 * 1024;
/// Transfers that may be open on one connection: so many that their first [`INITIAL_CREDIT_BYTES`], which nobody grants, together
/// are no more than [`MAX_CONNECTION_WINDOW_BYTES`]. An agent holds no more partial documents than this either.
pub const MAX_OPEN_TRANSFERS: usize = 128;

/// A receiver syncs when this much has gathered ...
pub const SYNC_BYTES: u64 = 256 * 1024;
/// ... or this much time has passed since the first unsynced packet.
pub const SYNC_AFTER: Duration = Duration::from_millis(10);

/// Printers of one agent.
pub const MAX_PRINTERS: usize = 64;
/// Jobs that are sent ahead of the one that prints, a printer ...
pub const MAX_JOBS_AHEAD: usize = 32;
/// ... and their bytes.
pub const MAX_BYTES_AHEAD: u64 = 16 * 1024 * 1024;

/// Longest title, printer name, host name or tag, in characters.
pub const MAX_NAME_CHARS: usize = 255;
/// Longest detail of a reason, in characters; what devices say is cut there.
pub const MAX_DETAIL_CHARS: usize = 1024;
/// Longest list that a printer states (media, formats, reasons ...): the longest seen has about 150 media sizes.
pub const MAX_LIST_ITEMS: usize = 256;
/// Longest idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Tags of one job.
pub const MAX_TAGS: usize = 16;
/// Copies that one job may ask for (`qty`), each with its own intent and outcome.
pub const MAX_QTY: u32 = 1000;

/// How long a job waits for its printer before it expires, unless it says otherwise.
pub const DEFAULT_EXPIRY: Duration = Duration::from_secs(14 * 24 * 3600);
/// How long an agent keeps a terminal (job, attempt, outcome): longer than any job can wait, so that a re-offer is always answered.
pub const OUTCOME_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// The report interval that a broker sets by default: below the 30 s after which small NAT boxes forget an idle mapping.
pub const DEFAULT_REPORT_INTERVAL: Duration = Duration::from_secs(25);
/// The longest that a broker may set: below the 60 s after which common reverse proxies cut an idle connection.
pub const MAX_REPORT_INTERVAL: Duration = Duration::from_secs(50);
/// An agent reports after this part of the interval at the earliest, in percent ...
pub const REPORT_JITTER_FROM_PERCENT: u32 = 75;
/// ... and at this one at the latest: jitter only shortens, so that interval, answer and a dial fit into interval + 10 s.
pub const REPORT_JITTER_TO_PERCENT: u32 = 95;
/// How long the answer to a report may take: eight seconds of bufferbloat and a round trip.
pub const REPORT_ANSWER_WITHIN: Duration = Duration::from_secs(9);

/// How long a receiver with unused credit waits for a byte before it probes.
pub const STALL_AFTER: Duration = Duration::from_millis(1000);
/// Shortest deadline of a probe: with [`STALL_AFTER`] a dead path is noticed after 2.5 s, and a segment that is lost three
/// times at 200 ms round trip is not taken for one.
pub const MIN_PROBE_DEADLINE: Duration = Duration::from_millis(1500);
/// Longest deadline of a probe: eight seconds of bufferbloat must not look like a dead link.
pub const MAX_PROBE_DEADLINE: Duration = Duration::from_secs(15);
/// While data is expected, the round trip is measured so often.
pub const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// A deadline floor that was raised by a near miss is halved again after this long without another.
pub const FLOOR_KEPT: Duration = Duration::from_secs(5 * 60);
/// A broker that waits for an agent's ack and reads no byte probes after this long ...
pub const SILENT_PROBE_AFTER: Duration = Duration::from_secs(2);
/// ... and marks the session `agent-silent` after this long (an agent's slow disk answers the probe meanwhile).
pub const SILENT_AFTER: Duration = Duration::from_millis(4500);

/// With work to do, a new dial begins this long after the last one began, also beside one that hangs ...
pub const URGENT_DIAL_EVERY: Duration = Duration::from_secs(1);
/// ... for this long after the connection was lost.
pub const URGENT_DIAL_FOR: Duration = Duration::from_secs(60);
/// A dial that is not urgent waits a random time from [`MIN_DIAL_JITTER`] to this: a restarted broker is not trampled.
pub const MAX_DIAL_JITTER: Duration = Duration::from_secs(30);
/// And within the first minute after a loss: a line that was gone for half a minute must not stay empty for a whole one, and a
/// broker takes a thousand returning agents a second.
pub const FIRST_DIAL_JITTER: Duration = Duration::from_secs(10);
/// The shortest such wait.
pub const MIN_DIAL_JITTER: Duration = Duration::from_secs(1);
/// A session that lasted this long was a good one: the next loss begins a new [`URGENT_DIAL_FOR`].
pub const GOOD_SESSION_AFTER: Duration = Duration::from_secs(10);
/// After a terminal close code the broker is asked again this often: only a person can change its answer.
pub const HOURLY: Duration = Duration::from_secs(3600);

/// Starts of an agent's process that the broker remembers, to tell a restart from a clone.
pub const INSTANCES_KEPT: usize = 8;

/// A TLS handshake and the HTTP request after it must be done by then.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// `hello` (or `authenticate`) must have come by then.
pub const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// One write to a socket may block this long, then the peer is taken for gone.
pub const SEND_WITHIN: Duration = Duration::from_secs(30);
/// A close frame is waited for this long.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// What an agent's dial token may differ from the broker's clock.
pub const DIAL_TOKEN_LEEWAY: Duration = Duration::from_secs(30);
/// How long a dial token lives.
pub const DIAL_TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// Pending pairings in memory, in all ...
pub const MAX_PENDING_PAIRINGS: usize = 1000;
/// ... from one address (or /64) ...
pub const MAX_PENDING_PAIRINGS_PER_ADDRESS: usize = 5;
/// ... and for how long.
pub const PAIRING_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Codes that one account may try in a minute: guessing 40 bits takes forever.
pub const PAIRING_TRIES_PER_MINUTE: u32 = 5;
