/** Methods by name: what each takes and gives. */

import type {
  AccountLimits,
  Agent,
  AgentSession,
  AuditEntry,
  Decision,
  Enrolment,
  EnrolmentCreated,
  EventPosition,
  InkwireEvent,
  Job,
  JobCreate,
  JobCreated,
  JobState,
  Key,
  Limits,
  Me,
  PendingPairing,
  Printer,
  PrinterSettings,
  Role,
  Scope,
  Stats,
  Subscribed,
  UploadChannel,
  User,
  Webhook,
  WebhookDelivery,
  WebhookSecret,
} from "./types.ts";

type None = Record<string, never>;
type JobRef = { job: string };

export interface JobFilter {
  states?: JobState[];
  printer?: string;
  agent?: string;
  /** Only jobs with a smaller number: the `next` of the page before. */
  before?: number;
  tag?: string;
  /** Only jobs whose title has this text in it, in any case. */
  search?: string;
  created_from_ms?: number;
  created_to_ms?: number;
  /** At most 500. */
  limit?: number;
}

export interface Methods {
  authenticate: { params: { token: string }; result: Me };
  me: { params: None; result: Me };
  ping: { params: None; result: None };
  "agents.list": { params: None; result: { agents: Agent[] } };
  "agents.get": { params: { agent: string }; result: Agent };
  "printers.list": { params: None; result: { printers: Printer[] } };
  "jobs.create": { params: JobCreate; result: JobCreated };
  "jobs.get": { params: JobRef; result: { job: Job; history: InkwireEvent[] } };
  "jobs.list": { params: JobFilter; result: { jobs: Job[]; next: number | null } };
  "jobs.cancel": { params: JobRef; result: Job };
  "jobs.hold": { params: JobRef; result: Job };
  "jobs.release": { params: JobRef; result: Job };
  "jobs.decide": { params: { job: string; decision: Decision }; result: Job };
  "jobs.resume_upload": { params: JobRef; result: UploadChannel };
  "jobs.finish_upload": { params: { transfer: number; bytes: number; sha256?: string }; result: Job };
  "jobs.reprint": {
    params: { job: string; printer?: string; qty?: number; hold?: boolean; idempotency_key?: string };
    result: JobCreated;
  };
  "jobs.set_priority": { params: { job: string; priority: number }; result: Job };
  "agents.rename": { params: { agent: string; name: string }; result: Agent };
  "agents.revoke": { params: { agent: string }; result: Agent };
  "agents.release": { params: { agent: string }; result: Agent };
  "agents.sessions": {
    params: { agent: string; before?: number; limit?: number };
    result: { sessions: AgentSession[]; next: number | null };
  };
  "printers.get": { params: { printer: string }; result: Printer };
  "printers.update": { params: { printer: string; name?: string } & Partial<PrinterSettings>; result: Printer };
  "printers.test_page": { params: { printer: string }; result: Job };
  "pairings.refuse": { params: { code: string; fingerprint: string }; result: None };
  "session.set_password": { params: { current?: string; password: string }; result: None };
  "keys.list": { params: { limit?: number; before?: string }; result: { keys: Key[]; next?: string } };
  "keys.create": { params: { name: string; scope: Scope; expires_in_s?: number }; result: { key: Key; secret: string } };
  "keys.revoke": { params: { key: string }; result: Key };
  "users.list": { params: None; result: { users: User[] } };
  "users.create": { params: { name: string; role: Role; password?: string }; result: User };
  "users.update": { params: { user: string; name?: string; role?: Role; disabled?: boolean }; result: User };
  "users.set_password": { params: { user: string; password?: string }; result: User };
  "users.remove": { params: { user: string }; result: None };
  "users.link": { params: { user: string }; result: { link: string; expires_in_s: number } };
  "enrolments.list": { params: None; result: { enrolments: Enrolment[] } };
  /** A day, and no longer, unless said. */
  "enrolments.create": { params: { expires_in_s?: number }; result: EnrolmentCreated };
  "enrolments.revoke": { params: { enrolment: string }; result: None };
  "audit.list": {
    params: { limit?: number; before?: number; action?: string; who?: string };
    result: { entries: AuditEntry[]; next?: number };
  };
  "limits.get": { params: None; result: Limits };
  /** Null takes a bound away, what is left out stays. */
  "limits.set": { params: { [K in keyof AccountLimits]?: number | null }; result: Limits };
  "stats.summary": { params: None; result: Stats };
  "webhooks.list": { params: None; result: { webhooks: Webhook[] } };
  "webhooks.create": { params: { url: string; name?: string; kinds?: string[]; tag?: string }; result: WebhookSecret };
  "webhooks.update": {
    params: { webhook: string; url?: string; name?: string; kinds?: string[]; tag?: string; enabled?: boolean; skip_to_now?: boolean };
    result: Webhook;
  };
  "webhooks.delete": { params: { webhook: string }; result: None };
  "webhooks.test": { params: { webhook: string }; result: WebhookDelivery };
  "webhooks.rotate_secret": { params: { webhook: string }; result: WebhookSecret };
  "webhooks.redeliver": { params: { webhook: string; delivery: string }; result: WebhookDelivery };
  "webhooks.deliveries": {
    params: { webhook: string; before?: string; limit?: number };
    result: { deliveries: WebhookDelivery[]; next?: string };
  };
  "events.subscribe": {
    params: { after?: EventPosition; kinds?: string[]; tag?: string; job?: string; progress?: boolean };
    result: Subscribed;
  };
  "pairings.show": { params: { code: string }; result: PendingPairing };
  "pairings.approve": { params: { code: string; fingerprint: string; name?: string }; result: Agent };
}

export type MethodName = keyof Methods;
export type Params<M extends MethodName> = Methods[M]["params"];
export type Result<M extends MethodName> = Methods[M]["result"];

/** Whether a call may be asked again after a cut without doing anything twice. */
export function isRead(method: string): boolean {
  return method === "me" || /\.(list|get|show|summary|deliveries|sessions)$/.test(method);
}
