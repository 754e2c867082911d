//! Every bound of the broker's own, each with its reason; what the wire bounds stands in `inkwire_protocol::limits`.

use std::time::Duration;

/// Connections of all kinds at once unless configured: 10,000 agents, as many apps, and room for those that come back
/// before their old connection is known to be dead.
pub(crate) const DEFAULT_MAX_CONNECTIONS: usize = 24_000;
/// Connections from one address at once unless configured: a company's NAT with all its tills behind it.
pub(crate) const DEFAULT_MAX_CONNECTIONS_PER_ADDRESS: usize = 4_096;
/// Connections from one address that keep us waiting in their handshake: honest peers finish theirs.
pub(crate) const MAX_HANDSHAKES_PER_ADDRESS: usize = 512;
/// TLS handshakes at once, all addresses together: beyond it those wait that have not begun, so that those that have begun finish ...
pub(crate) const MAX_HANDSHAKES: usize = 256;
/// ... of one address: a quarter, so that no address alone makes others wait ...
pub(crate) const HANDSHAKE_TURNS_PER_ADDRESS: usize = MAX_HANDSHAKES / 4;
/// ... and each for so long: two round trips around the world. Whoever takes longer goes on beside those that have their turn.
pub(crate) const HANDSHAKE_TURN: Duration = Duration::from_millis(500);
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

/// That a job was spooled, or prints, is committed together with what comes of it in this time: nobody feels it, and a label costs two
/// commits less.
pub(crate) const GATHER_FACTS: Duration = Duration::from_millis(50);

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
/// Sessions and changes of endpoint of one agent that are kept: some weeks of a link that is cut every half hour.
pub(crate) const SESSIONS_KEPT: u64 = 1000;
/// Jobs that a page of a filtered list looks at, at most: below 100 ms. A page that stops there says where to go on.
pub(crate) const PAGE_LOOKS_AT: u32 = 20_000;
/// Hours of counted jobs that are kept: a summary shows 24.
pub(crate) const COUNTED_HOURS: u64 = 72;
/// Documents that come in by HTTP at once: each holds a quarter of a megabyte on its way to the disk.
pub(crate) const REST_UPLOADS: usize = 256;
/// A document that comes by HTTP may pause for this long; HTTP cannot resume, so its connection is all there is ...
pub(crate) const UPLOAD_IDLE: Duration = Duration::from_secs(30);
/// ... and this much must come ...
pub(crate) const UPLOAD_MIN_BYTES: u64 = 64 * 1024;
/// ... in this time: whoever trickles holds a place that others need.
pub(crate) const UPLOAD_MIN_EVERY: Duration = Duration::from_secs(60);
/// An upload on a WebSocket that nobody has taken up for this long is given up.
pub(crate) const UPLOAD_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Jobs in one page unless asked.
pub(crate) const PAGE_JOBS: u32 = 50;
/// Jobs in one page at most.
pub(crate) const MAX_PAGE_JOBS: u32 = 500;

/// A sign-in link is good for this long.
pub(crate) const SIGN_IN_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// An enrolment token is good for at most this long.
pub(crate) const MAX_ENROLMENT_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A person's sign-in ends after so long without any request: a night, but not a weekend.
pub(crate) const LOGIN_IDLE: Duration = Duration::from_secs(12 * 3600);
/// ... and after so long whatever is done.
pub(crate) const LOGIN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// The use of a sign-in is written down this often: it idles for hours.
pub(crate) const LOGIN_USED_EVERY: Duration = Duration::from_secs(5 * 60);
/// The use of a key is written down this often: a till that prints all day costs a few commits.
pub(crate) const KEY_USED_EVERY: Duration = Duration::from_secs(3600);
/// A key's holder is remembered for this long without asking the store: shorter than a revocation may take.
pub(crate) const KNOWN_FOR: Duration = Duration::from_millis(800);
/// Holders that are remembered: more active keys only ask the store more often.
pub(crate) const MAX_KNOWN: usize = 4096;
/// An access token lives at most this long: it is refreshed in-band, and what it was made by can be revoked at any time.
pub(crate) const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// A ticket must be used within this: a page needs it at once.
pub(crate) const MAX_TICKET_LIFETIME: Duration = Duration::from_secs(60);
/// Tickets that were not used yet, all accounts together.
pub(crate) const MAX_TICKETS: usize = 10_000;
/// A live connection may bring a newer token for this long after its own has expired, unless configured ...
pub(crate) const TOKEN_GRACE: Duration = Duration::from_secs(30);
/// ... and at most: a token that is good for twice its time would be another token.
pub(crate) const MAX_TOKEN_GRACE: Duration = Duration::from_secs(600);
/// Token keys are rotated this often unless configured.
pub(crate) const ROTATE_TOKEN_KEYS: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often it is looked whether they should be.
pub(crate) const ROTATION_LOOK: Duration = Duration::from_secs(600);
/// Another issuer's key set: some dozens of keys.
pub(crate) const MAX_JWKS_BYTES: usize = 256 * 1024;
/// Passwords checked at once: each takes 19 MiB and a core.
pub(crate) const PASSWORDS_AT_ONCE: usize = 2;
/// Shortest password: with argon2id and few tries a minute, ten characters are out of reach for guessing.
pub(crate) const MIN_PASSWORD_CHARS: usize = 10;
/// Longest password.
pub(crate) const MAX_PASSWORD_CHARS: usize = 256;
/// Tries to sign in at once, by address and by name.
pub(crate) const SIGN_IN_BURST: u32 = 10;
/// ... and after them one such.
pub(crate) const SIGN_IN_EVERY: Duration = Duration::from_secs(6);
/// Token buckets that are not full: active keys, people and addresses. Beyond it full ones are forgotten.
pub(crate) const MAX_BUCKETS: usize = 65_536;
/// Requests a second of one key unless configured: several tills' worth of labels, a tenth of what would be felt.
pub(crate) const DEFAULT_REQUESTS_PER_S: u32 = 1000;
/// Requests of one key at once unless configured: a warehouse's morning.
pub(crate) const DEFAULT_REQUEST_BURST: u32 = 4000;
/// App connections of one account unless configured.
pub(crate) const DEFAULT_ACCOUNT_CONNECTIONS: u32 = 4096;
/// Keys of one account that are not revoked, unless configured.
pub(crate) const DEFAULT_KEYS: u32 = 500;
/// Users of one account, unless configured.
pub(crate) const DEFAULT_USERS: u32 = 500;
/// Webhooks of one account, unless configured.
pub(crate) const DEFAULT_WEBHOOKS: u32 = 50;
/// Enrolment tokens that wait to be used: a large roll-out.
pub(crate) const MAX_ENROLMENTS: u32 = 500;
/// A key that somebody gets by signing in is good for this long.
pub(crate) const SIGN_IN_KEY_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
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
/// Documents that are fetched at once: each has a connection and a file ...
pub(crate) const FETCHES_AT_ONCE: usize = 32;
/// ... and for one account.
pub(crate) const FETCHES_AT_ONCE_EACH: usize = 4;
/// Documents of one account that wait to be fetched, with those that are: more are refused as busy.
pub(crate) const MAX_FETCHES: usize = 500;

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
