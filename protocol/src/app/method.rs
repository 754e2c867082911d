//! The names of methods and notifications, once for broker and client.

/// [`super::Authenticate`] -> [`super::Me`]: the first message where the upgrade carried no key, later a newer token.
pub const AUTHENTICATE: &str = "authenticate";
/// Nothing -> [`super::Me`].
pub const ME: &str = "me";
/// Nothing -> `{}`: a sign of life for those who cannot send a WebSocket ping.
pub const PING: &str = "ping";
/// Nothing -> [`super::Agents`].
pub const AGENTS_LIST: &str = "agents.list";
/// [`super::AgentRef`] -> [`super::Agent`] with its endpoints' history.
pub const AGENTS_GET: &str = "agents.get";
/// [`super::AgentRename`] -> [`super::Agent`].
pub const AGENTS_RENAME: &str = "agents.rename";
/// [`super::AgentRef`] -> [`super::Agent`].
pub const AGENTS_REVOKE: &str = "agents.revoke";
/// [`super::AgentRef`] -> [`super::Agent`]: ends the quarantine of a cloned identity.
pub const AGENTS_RELEASE: &str = "agents.release";
/// [`super::SessionList`] -> [`super::Sessions`].
pub const AGENTS_SESSIONS: &str = "agents.sessions";
/// Nothing -> [`super::Printers`].
pub const PRINTERS_LIST: &str = "printers.list";
/// [`super::PrinterRef`] -> [`super::Printer`].
pub const PRINTERS_GET: &str = "printers.get";
/// [`super::PrinterUpdate`] -> [`super::Printer`].
pub const PRINTERS_UPDATE: &str = "printers.update";
/// [`super::PrinterRef`] -> [`super::Job`].
pub const PRINTERS_TEST_PAGE: &str = "printers.test_page";
/// [`super::JobCreate`] -> [`super::JobCreated`].
pub const JOBS_CREATE: &str = "jobs.create";
/// [`super::JobRef`] -> [`super::JobDetail`].
pub const JOBS_GET: &str = "jobs.get";
/// [`super::JobList`] -> [`super::Jobs`].
pub const JOBS_LIST: &str = "jobs.list";
/// [`super::JobRef`] -> [`super::Job`].
pub const JOBS_CANCEL: &str = "jobs.cancel";
/// [`super::JobRef`] -> [`super::Job`].
pub const JOBS_HOLD: &str = "jobs.hold";
/// [`super::JobRef`] -> [`super::Job`].
pub const JOBS_RELEASE: &str = "jobs.release";
/// [`super::JobDecide`] -> [`super::Job`].
pub const JOBS_DECIDE: &str = "jobs.decide";
/// [`super::JobPriority`] -> [`super::Job`].
pub const JOBS_SET_PRIORITY: &str = "jobs.set_priority";
/// [`super::JobReprint`] -> [`super::JobCreated`].
pub const JOBS_REPRINT: &str = "jobs.reprint";
/// [`super::DocumentGet`] -> [`super::Document`]; REST streams it.
pub const DOCUMENTS_GET: &str = "documents.get";
/// Nothing -> [`super::Stats`].
pub const STATS_SUMMARY: &str = "stats.summary";
/// [`super::JobRef`] -> [`super::Upload`], on a job that is `incoming`.
pub const JOBS_RESUME_UPLOAD: &str = "jobs.resume_upload";
/// [`super::FinishUpload`] -> [`super::Job`].
pub const JOBS_FINISH_UPLOAD: &str = "jobs.finish_upload";
/// [`super::Subscribe`] -> [`super::Subscribed`].
pub const EVENTS_SUBSCRIBE: &str = "events.subscribe";
/// [`super::EventList`] -> [`super::EventPage`].
pub const EVENTS_LIST: &str = "events.list";
/// Nothing -> [`super::Webhooks`].
pub const WEBHOOKS_LIST: &str = "webhooks.list";
/// [`super::WebhookCreate`] -> [`super::WebhookSecret`].
pub const WEBHOOKS_CREATE: &str = "webhooks.create";
/// [`super::WebhookRef`] -> [`super::Webhook`].
pub const WEBHOOKS_GET: &str = "webhooks.get";
/// [`super::WebhookUpdate`] -> [`super::Webhook`].
pub const WEBHOOKS_UPDATE: &str = "webhooks.update";
/// [`super::WebhookRef`] -> `{}`.
pub const WEBHOOKS_DELETE: &str = "webhooks.delete";
/// [`super::WebhookRef`] -> [`super::Delivery`].
pub const WEBHOOKS_TEST: &str = "webhooks.test";
/// [`super::DeliveryList`] -> [`super::Deliveries`].
pub const WEBHOOKS_DELIVERIES: &str = "webhooks.deliveries";
/// [`super::Redeliver`] -> [`super::Delivery`].
pub const WEBHOOKS_REDELIVER: &str = "webhooks.redeliver";
/// [`super::WebhookRef`] -> [`super::WebhookSecret`].
pub const WEBHOOKS_ROTATE_SECRET: &str = "webhooks.rotate_secret";
/// [`super::PairingCode`] -> [`super::PendingPairing`].
pub const PAIRINGS_SHOW: &str = "pairings.show";
/// [`super::ApprovePairing`] -> [`super::Agent`].
pub const PAIRINGS_APPROVE: &str = "pairings.approve";
/// [`super::RefusePairing`] -> `{}`.
pub const PAIRINGS_REFUSE: &str = "pairings.refuse";
/// [`super::TokenRequest`] -> [`super::Token`]: a short-lived access token (JWT).
pub const SESSION_TOKEN: &str = "session.token";
/// [`super::TokenRequest`] -> [`super::Token`]: a one-time ticket for `authenticate`.
pub const SESSION_TICKET: &str = "session.ticket";
/// [`super::OwnPassword`] -> `{}`.
pub const SESSION_SET_PASSWORD: &str = "session.set_password";
/// Nothing -> [`super::Users`].
pub const USERS_LIST: &str = "users.list";
/// [`super::UserCreate`] -> [`super::User`].
pub const USERS_CREATE: &str = "users.create";
/// [`super::UserUpdate`] -> [`super::User`].
pub const USERS_UPDATE: &str = "users.update";
/// [`super::UserPassword`] -> [`super::User`].
pub const USERS_SET_PASSWORD: &str = "users.set_password";
/// [`super::UserRef`] -> `{}`.
pub const USERS_REMOVE: &str = "users.remove";
/// [`super::UserRef`] -> [`super::UserLink`].
pub const USERS_LINK: &str = "users.link";
/// [`super::KeyList`] -> [`super::Keys`].
pub const KEYS_LIST: &str = "keys.list";
/// [`super::KeyCreate`] -> [`super::KeyCreated`].
pub const KEYS_CREATE: &str = "keys.create";
/// [`super::KeyRef`] -> [`super::Key`].
pub const KEYS_REVOKE: &str = "keys.revoke";
/// Nothing -> [`super::Enrolments`].
pub const ENROLMENTS_LIST: &str = "enrolments.list";
/// [`super::EnrolmentCreate`] -> [`super::EnrolmentCreated`].
pub const ENROLMENTS_CREATE: &str = "enrolments.create";
/// [`super::EnrolmentRef`] -> `{}`.
pub const ENROLMENTS_REVOKE: &str = "enrolments.revoke";
/// [`super::AuditList`] -> [`super::Audit`].
pub const AUDIT_LIST: &str = "audit.list";
/// Nothing -> [`super::Limits`].
pub const LIMITS_GET: &str = "limits.get";
/// [`super::LimitsSet`] -> [`super::Limits`].
pub const LIMITS_SET: &str = "limits.set";

/// Notification from the broker: [`crate::message::Ack`] of an upload's packets.
pub const UPLOAD_ACK: &str = "upload.ack";
/// Notification from the broker: [`super::UploadRefused`].
pub const UPLOAD_REFUSED: &str = "upload.refused";
/// Notification from the broker: [`super::Events`].
pub const EVENTS: &str = "events";
/// Notification from the broker: [`super::JobProgress`].
pub const JOB_PROGRESS: &str = "job.progress";
