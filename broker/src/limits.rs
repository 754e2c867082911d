//! Every bound of the broker's own, each with its reason; what the wire bounds stands in `inkwire_protocol::limits`.

use std::time::Duration;

/// Connections of all kinds at once unless configured: 10,000 agents, as many apps, and room for those that come back
/// before their old connection is known to be dead.
pub(crate) const DEFAULT_MAX_CONNECTIONS: usize = 24_000;
/// Connections from one address at once unless configured: a company's NAT with all its tills behind it.
pub(crate) const DEFAULT_MAX_CONNECTIONS_PER_ADDRESS: usize = 4_096;
/// Connections from one address that have not spoken HTTP yet: handshakes cost most, and honest peers finish them.
pub(crate) const MAX_HANDSHAKES_PER_ADDRESS: usize = 512;
/// TLS handshakes at once, all addresses together: beyond it the kernel's backlog waits, so that those that have begun finish.
pub(crate) const MAX_HANDSHAKES: usize = 256;
/// A PROXY header with its optional parts; ours reads addresses only.
pub(crate) const MAX_PROXY_HEADER_BYTES: usize = 536;
/// Headers of a request: a dial's token is below 1 KiB, browsers send some cookies.
pub(crate) const MAX_HTTP_HEADER_BYTES: usize = 16 * 1024;
/// Answering a REST request may take this long.
pub(crate) const REQUEST_WITHIN: Duration = Duration::from_secs(30);

/// Commands that wait for a session that does not read: acks of facts and opens of every transfer it may have, and some. More, and
/// it is closed as slow: it comes back, and its jobs are taken up from the store.
pub(crate) const SESSION_COMMANDS: usize = 2048;
/// Events of all sessions that wait for the jobs; full means that sockets are not read.
pub(crate) const SESSION_EVENTS: usize = 4_096;
/// The permit is asked for when this many packets are left, so that its commit costs no pause.
pub(crate) const PERMIT_AHEAD_PACKETS: u32 = 16;
/// Reading a packet from the document store may take this long before the agent is told `blocked`.
pub(crate) const SOURCE_SLOW_AFTER: Duration = Duration::from_millis(250);
/// How long a newcomer waits for the session that it replaces to stop. It only has to notice.
pub(crate) const SUPERSEDE_WITHIN: Duration = Duration::from_secs(1);

/// Bytes queued for one app before it is closed as slow: a page of jobs is below 1 MiB.
pub(crate) const APP_QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// Below this much queued for an app, events and progress go on: a reader that keeps up has no more waiting.
pub(crate) const APP_ROOM_BYTES: usize = 64 * 1024;
/// Small answers to an app share one write up to this size.
pub(crate) const APP_WRITE_BYTES: usize = 16 * 1024;
/// Requests of one app connection that run at once: several hundred labels in flight.
pub(crate) const APP_REQUESTS: usize = 1024;
/// Events in one `events` message.
pub(crate) const EVENTS_PER_MESSAGE: u32 = 256;
/// What a feed keeps of an account's newest events for all that follow it: some seconds of a busy account. Who is further behind reads
/// the log.
pub(crate) const FEED_BYTES: usize = 1024 * 1024;
/// Events of a feed gather for this long a reader before they are sent on, so that many readers cost no more than they must ...
pub(crate) const FEED_GATHER_A_READER: Duration = Duration::from_micros(25);
/// ... and at most for this long, which nobody feels.
pub(crate) const FEED_GATHER_AT_MOST: Duration = Duration::from_millis(50);
/// Kinds in a filter ...
pub(crate) const MAX_FILTER_KINDS: usize = 32;
/// ... and the length of each: a filter is looked at for every event.
pub(crate) const MAX_FILTER_KIND_BYTES: usize = 64;
/// A subscriber takes at least something in this time while events wait for it, or it is closed as slow.
pub(crate) const SUBSCRIBER_READS_WITHIN: Duration = Duration::from_secs(10);
/// A subscriber whose filter hides everything is told how far the log has come this often.
pub(crate) const THROUGH_EVERY: Duration = Duration::from_secs(5);
/// An event stream without events carries a comment this often: proxies cut what is silent for a minute.
pub(crate) const STREAM_COMMENT_EVERY: Duration = Duration::from_secs(15);
/// Events in one page at most.
pub(crate) const MAX_PAGE_EVENTS: u32 = 500;
/// Events in one page unless asked.
pub(crate) const PAGE_EVENTS: u32 = 50;
/// An app that says nothing for this long is asked by a ping; twice that and it is gone.
pub(crate) const APP_PING_AFTER: Duration = Duration::from_secs(30);
/// A JSON body of a REST request: an inline document in base64 and its options.
pub(crate) const MAX_REST_BODY_BYTES: usize = 256 * 1024;
/// Jobs in one page unless asked.
pub(crate) const PAGE_JOBS: u32 = 50;
/// Jobs in one page at most.
pub(crate) const MAX_PAGE_JOBS: u32 = 500;

/// A sign-in link is good for this long.
pub(crate) const SIGN_IN_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// An enrolment token is good for at most this long.
pub(crate) const MAX_ENROLMENT_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Sign-ins of one person at once: devices and browsers. The oldest goes.
pub(crate) const LOGINS_PER_USER: u32 = 50;
/// Administrative acts are kept for this long: a year's audit looks back at the year before.
pub(crate) const KEEP_AUDIT: Duration = Duration::from_secs(400 * 24 * 3600);
/// Rows in one list on the admin socket.
pub(crate) const MAX_ADMIN_LIST: u32 = 10_000;
/// A line on the admin socket.
pub(crate) const MAX_ADMIN_LINE_BYTES: usize = 64 * 1024;
/// Admin connections at once: people and cron jobs.
pub(crate) const MAX_ADMIN_CONNECTIONS: usize = 16;
/// A pairing agent that has sent nothing but its request is kept alive by a ping this often.
pub(crate) const PAIR_PING_EVERY: Duration = Duration::from_secs(20);

/// Connections for metrics at once: a server that scrapes, its twin, and somebody who looks.
pub(crate) const MAX_METRICS_CONNECTIONS: usize = 8;
/// Answering for metrics may take this long: Prometheus waits ten seconds unless told.
pub(crate) const METRICS_WITHIN: Duration = Duration::from_secs(10);

/// How often the certificate files are looked at.
pub(crate) const CERTIFICATE_POLL: Duration = Duration::from_secs(5);
/// Our own certificate is renewed this long before it expires.
pub(crate) const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Everything must have ended this long after the shutdown began.
pub(crate) const DRAIN_WITHIN: Duration = Duration::from_secs(10);
/// Agents are told to come back within this spread, so that they do not all dial at once.
pub(crate) const DRAIN_SPREAD: Duration = Duration::from_secs(5);
/// How long agents may finish what is on the wire after `drain`.
pub(crate) const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// A URL of an app's: longer ones are refused by servers too.
pub(crate) const MAX_URL_BYTES: usize = 2048;
/// Finding, reaching and trusting a server that an app named may take this long.
pub(crate) const OUTBOUND_CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried: enough for both families.
pub(crate) const OUTBOUND_ADDRESSES: usize = 4;
/// The head of an answer must have come by then.
pub(crate) const OUTBOUND_ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Redirects that are followed, as curl and browsers do in shorter.
pub(crate) const MAX_REDIRECTS: usize = 5;
/// A document that is fetched may pause this long ...
pub(crate) const FETCH_PAUSE: Duration = Duration::from_secs(20);
/// ... and take this long in all: 4 GiB at 10 Mbit/s.
pub(crate) const FETCH_WITHIN: Duration = Duration::from_secs(3600);
/// Documents that are fetched at once: each has a connection and a file.
pub(crate) const FETCHES_AT_ONCE: usize = 8;
/// Documents that wait to be fetched, with those that are: more are refused as busy.
pub(crate) const MAX_FETCHES: usize = 1000;

/// Webhooks of one account.
pub(crate) const MAX_WEBHOOKS: usize = 50;
/// Requests of one account's webhooks at once: dead ones that are waited for leave room for the others.
pub(crate) const WEBHOOKS_AT_ONCE: usize = 16;
/// A request to a webhook is answered within this time, or it was not taken.
pub(crate) const WEBHOOK_WITHIN: Duration = Duration::from_secs(15);
/// A webhook that has taken nothing for this long is disabled.
pub(crate) const WEBHOOK_GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// A webhook may ask for no longer pause than this.
pub(crate) const WEBHOOK_LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Deliveries that are committed together: as many are sent again after a crash.
pub(crate) const WEBHOOK_COMMIT: usize = 16;
/// Requests that are kept of each webhook ...
pub(crate) const DELIVERIES_KEPT: u32 = 100;
/// ... and for how long.
pub(crate) const DELIVERIES_KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// What is kept of the answer to a request that was not taken.
pub(crate) const EXCERPT_BYTES: usize = 1024;
/// An answer of a webhook that is longer than this costs it its connection.
pub(crate) const MAX_WEBHOOK_ANSWER_BYTES: usize = 64 * 1024;
/// A webhook's connection is used again for this long; then its name is looked up anew.
pub(crate) const WEBHOOK_CONNECTION_KEPT: Duration = Duration::from_secs(60);
/// A replaced secret goes on signing for this long beside the new one.
pub(crate) const PREVIOUS_SECRET_KEPT: Duration = Duration::from_secs(24 * 3600);
