/**
 * The app API in types, as docs/protocol.md and `/v1/openapi.json` have it. Times are Unix milliseconds (`_ms`), durations seconds
 * (`_s`), sizes bytes. Ids are UUIDs as text. Answers may gain fields.
 */

export type Scope = "read" | "submit" | "operate" | "admin";

export interface Me {
  account: string;
  account_name: string;
  scope: Scope;
  /** The name of the API key, where one speaks. */
  key_name?: string;
  /** The user, where one is signed in. */
  user?: string;
  expires_ms?: number | null;
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
