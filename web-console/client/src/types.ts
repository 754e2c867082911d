/**
 * The app API in types, as docs/protocol.md and `/v1/openapi.json` have it. Times are Unix milliseconds (`_ms`), durations seconds
 * (`_s`), sizes bytes. Ids are UUIDs as text. Answers may gain fields.
 */

export type Scope = "read" | "submit" | "operate" | "admin";

export type Role = "viewer" | "submitter" | "operator" | "owner";

export type Who =
  | { type: "key"; id: string; name: string }
  | { type: "user"; id: string; name: string; role: Role }
  | { type: "token"; subject: string; issuer: string };

/** Who a connection speaks for. */
export interface Me {
  account: string;
  account_name: string;
  scope: Scope;
  who: Who;
  expires_ms?: number;
}

/** Answer to `POST /v1/session` and `GET /v1/session`. */
export interface SignedIn {
  me: Me;
  idle_expires_ms: number;
  expires_ms: number;
}

export type AgentStatus = "online" | "silent" | "offline" | "clone" | "revoked";

export interface EndpointChange {
  at_ms: number;
  from: string | null;
  to: string;
  epoch: number;
}

export interface Agent {
  id: string;
  name: string;
  status: AgentStatus;
  hostname: string;
  os: string;
  version: string;
  fingerprint: string;
  epoch: number;
  /** The public address and port that the broker sees. */
  observed_endpoint: string | null;
  local_endpoint: string | null;
  connected_ms: number | null;
  last_seen_ms: number | null;
  rtt_ms: number | null;
  created_ms: number;
  /** Newest first; only in `agents.get`. */
  endpoints?: EndpointChange[];
}

export type Backend = "ipp" | "socket" | "device" | "command" | "directory";
export type PrinterState = "idle" | "processing" | "stopped" | "unreachable" | "unknown";

export interface Marker {
  name: string;
  level_percent: number | null;
}

/** Empty or missing means "not told", not "nothing". */
export interface Capabilities {
  "copies-max"?: number;
  sides?: string[];
  media?: string[];
  "media-ready"?: string[];
  "media-source"?: string[];
  "print-color-mode"?: string[];
  "print-scaling"?: string[];
  "printer-resolution"?: string[];
  "output-bin"?: string[];
  "number-up"?: number[];
  "orientation-requested"?: string[];
  "multiple-document-handling"?: string[];
  "page-ranges"?: boolean;
}

export interface PrinterInfo {
  number: number;
  name: string;
  backend: Backend;
  make_and_model?: string;
  location?: string;
  formats: string[];
  state: PrinterState;
  state_reasons?: string[];
  state_message?: string;
  capabilities: Capabilities;
  markers?: Marker[];
  streams: boolean;
}

export interface Printer {
  id: string;
  agent: string;
  agent_name: string;
  agent_status: AgentStatus;
  info: PrinterInfo;
  name: string;
  queued_jobs: number;
  present: boolean;
  settings: PrinterSettings;
}

/** What becomes of jobs that waited while the agent was away. */
export type OnReturn =
  | { policy: "print-all" | "newest-only" | "hold" }
  | { policy: "drop-older-than"; seconds: number };

/** What an account has set for a printer. */
export interface PrinterSettings {
  /** Options of jobs that do not say otherwise. */
  options: JobOptions;
  on_uncertain: OnUncertain;
  on_return: OnReturn;
  /** Bytes that the device is given in a second at most. */
  pacing_bytes_s?: number;
  /** Whether new jobs are taken. */
  accepting: boolean;
}

/** One session of an agent. */
export interface AgentSession {
  epoch: number;
  began_ms: number;
  ended_ms: number | null;
  /** Why it ended: the name of its close code. */
  end: string | null;
  live: boolean;
  observed_endpoint: string;
  local_endpoint: string | null;
  version: string;
}

/** A one-use token that pairs an agent without a code; without its secret. */
export interface Enrolment {
  id: string;
  created_ms: number;
  expires_ms: number;
  /** The agent that used it. */
  used_by?: string;
}

export interface EnrolmentCreated {
  enrolment: Enrolment;
  /** Shown once. */
  token: string;
  /** The broker's address with its pin, as agents take it. */
  pair_url: string;
}

/** IPP Job Template attributes; what is left out is the printer's default. */
export interface JobOptions {
  copies?: number;
  sides?: string;
  media?: string;
  "media-source"?: string;
  "print-color-mode"?: string;
  "page-ranges"?: [number, number][];
  "orientation-requested"?: string;
  "print-scaling"?: string;
  "number-up"?: number;
  "printer-resolution"?: string;
  "output-bin"?: string;
  "multiple-document-handling"?: string;
}

export type JobState =
  | "incoming"
  | "pending"
  | "held"
  | "sending"
  | "spooled"
  | "printing"
  | "stopped"
  | "uncertain"
  | "completed"
  | "canceled"
  | "aborted"
  | "expired";

export type Witness = "device" | "queue" | "handed_over" | "sent" | "program" | "stored" | "human";
export type JobRequest = "cancel" | "hold" | "release" | "expire";
export type Decision = "printed" | "reprint" | "drop";
export type OnUncertain = "hold" | "reprint" | "drop";
export type Delivery = "spool" | "stream";

export interface Reason {
  code: string;
  detail: string;
}

export interface Job {
  id: string;
  number: number;
  printer: string;
  agent: string;
  printer_number: number;
  title: string;
  format: string;
  bytes: number;
  sha256: string | null;
  state: JobState;
  reason: Reason | null;
  witness: Witness | null;
  attempt: number;
  may_print: boolean;
  request: JobRequest | null;
  received_bytes: number;
  delivered_bytes: number;
  qty: number;
  delivery: Delivery;
  priority: number;
  options: JobOptions;
  warnings?: string[];
  on_uncertain: OnUncertain;
  tags?: string[];
  idempotency_key?: string;
  reprint_of?: string;
  created_ms: number;
  accepted_ms: number | null;
  ended_ms: number | null;
  expires_ms: number;
  /** Grows with every change. */
  rev: number;
}

export type Content =
  /** Base64, for documents up to 64 KiB. */
  | { inline: string }
  | { transfer: { bytes: number; sha256?: string; packet_bytes?: number } };

export interface JobCreate {
  /** The printer's id, or its name where only one has it. */
  printer: string;
  content: Content;
  /** MIME type. */
  format: string;
  title?: string;
  /** Same key and same request within 24 hours: the same job. */
  idempotency_key?: string;
  options?: JobOptions;
  qty?: number;
  delivery?: Delivery;
  /** 1 to 100. */
  priority?: number;
  expires_in_s?: number;
  on_uncertain?: OnUncertain;
  hold?: boolean;
  tags?: string[];
}

/** A job without its document: what {@link Client.upload} needs beside the bytes. */
export type JobTicket = Omit<JobCreate, "content">;

export interface UploadChannel {
  transfer: number;
  packet_bytes: number;
  next_seq: number;
  credit: number;
}

export interface JobCreated {
  job: Job;
  duplicate: boolean;
  upload?: UploadChannel;
}

export interface EventPosition {
  epoch: string;
  offset: number;
}

export interface InkwireEvent {
  offset: number;
  at_ms: number;
  /** `job.accepted`, `agent.online`, `printer.state` ... */
  kind: string;
  job?: string;
  agent?: string;
  printer?: string;
  data: Record<string, unknown>;
}

export interface EventsMessage {
  epoch: string;
  events: InkwireEvent[];
  /** Everything up to here was looked at, also what a filter hid. */
  through: number;
}

export interface JobProgress {
  job: string;
  received_bytes: number;
  delivered_bytes: number;
}

export interface Subscribed {
  from: EventPosition;
  /** False: `after` cannot be resumed; read the state anew. */
  resumed: boolean;
  oldest: number;
}

export interface PendingPairing {
  hostname: string;
  os: string;
  observed_endpoint: string;
  fingerprint: string;
  expires_in_s: number;
}

/** A problem (RFC 9457). */
export interface Problem {
  /** `urn:inkwire:problem:` and the kind's keyword. */
  type: string;
  title: string;
  status: number;
  detail: string;
  pointer?: string;
  retry_after_s?: number;
  state?: JobState;
}

/** What happened to jobs in some time. */
export interface Counts {
  accepted: number;
  bytes: number;
  completed: number;
  aborted: number;
  canceled: number;
  expired: number;
  uncertain: number;
}

/** Answer to `stats.summary`: the last 24 hours. */
export interface Stats {
  /** Oldest first; the last is the present hour. */
  hours: (Counts & { from_ms: number })[];
  total: Counts;
  printers: (Counts & { printer: string; name: string })[];
  needs_a_human: {
    uncertain_jobs: number;
    held_jobs: number;
    stopped_jobs: number;
    stopped_printers: string[];
    missing_agents: string[];
    cloned_agents: string[];
  };
}

export interface Webhook {
  id: string;
  name: string;
  url: string;
  /** Only kinds that begin with one of these; empty means all. */
  kinds: string[];
  /** Only events of jobs with this tag. */
  tag?: string | null;
  enabled: boolean;
  disabled: { at_ms: number; reason: string } | null;
  /** Every event up to here was taken by the URL, or hidden by the filter. */
  through: number;
  behind: number;
  failures: number;
  retry_ms: number | null;
  last: WebhookDelivery | null;
  created_ms: number;
}

export interface WebhookSecret {
  webhook: Webhook;
  /** Shown once. */
  secret: string;
  previous_until_ms?: number;
}

export interface WebhookDelivery {
  id: string;
  message: string;
  offset: number | null;
  kind: string;
  attempt: number;
  cause: "event" | "test" | "redelivery";
  at_ms: number;
  duration_ms: number;
  taken: boolean;
  status: number | null;
  error: string | null;
  response: string | null;
}

/** An API key, without its secret. */
export interface Key {
  id: string;
  name: string;
  scope: Scope;
  created_ms: number;
  expires_ms?: number;
  revoked_ms?: number;
  /** To the hour. */
  last_used_ms?: number;
}

export interface User {
  id: string;
  name: string;
  role: Role;
  disabled: boolean;
  has_password: boolean;
  created_ms: number;
  last_sign_in_ms?: number;
}

/** One administrative act. */
export interface AuditEntry {
  seq: number;
  at_ms: number;
  who: string;
  who_name: string;
  address?: string;
  action: string;
  target: string;
  detail: unknown;
}

/** Bounds of an account; what is left out has none. */
export interface AccountLimits {
  requests_per_s?: number;
  request_burst?: number;
  connections?: number;
  jobs_per_day?: number;
  stored_bytes?: number;
  keys?: number;
  users?: number;
  webhooks?: number;
}

export interface Limits {
  /** What holds now. */
  limits: AccountLimits;
  broker: AccountLimits;
  account: AccountLimits;
  usage: { connections: number; jobs_today: number; stored_bytes: number; keys: number; users: number };
}
