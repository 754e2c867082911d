/** Methods by name: what each takes and gives. */

import type {
  Agent,
  Decision,
  EventPosition,
  InkwireEvent,
  Job,
  JobCreate,
  JobCreated,
  JobState,
  Me,
  PendingPairing,
  Printer,
  Subscribed,
  UploadChannel,
} from "./types.ts";

type None = Record<string, never>;
type JobRef = { job: string };

export interface JobFilter {
  states?: JobState[];
  printer?: string;
  agent?: string;
  /** Only jobs with a smaller number: the `next` of the page before. */
  before?: number;
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
  "events.subscribe": {
    params: { after?: EventPosition; kinds?: string[]; job?: string; progress?: boolean };
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
