/**
 * What the page knows of jobs, as values: the log's events and the answers of lists go in, the newest known of every job comes out.
 * Pure. A job's `rev` decides what is newer, so lists and events may arrive in any order.
 */

import type { InkwireEvent, Job, JobFilter, JobProgress, JobRequest, JobState, Reason, Witness } from "@inkwire/client";

export type Book = ReadonlyMap<string, Job>;

export const EMPTY: Book = new Map();

export const TERMINAL: readonly JobState[] = ["completed", "canceled", "aborted", "expired"];

export function isTerminal(state: JobState): boolean {
  return TERMINAL.includes(state);
}

/** The jobs of an answer are known now. */
export function merge(book: Book, jobs: readonly Job[]): Book {
  const next = new Map(book);
  for (const job of jobs) {
    const known = next.get(job.id);
    if (!known || job.rev >= known.rev) next.set(job.id, withProgressOf(job, known));
  }
  return next;
}

/** Progress is pushed and not stored at once: an answer may know less than was seen. Within an attempt marks never fall. */
function withProgressOf(job: Job, known: Job | undefined): Job {
  if (!known || known.attempt !== job.attempt || isTerminal(job.state)) return job;
  const received_bytes = Math.max(job.received_bytes, known.received_bytes);
  const delivered_bytes = Math.max(job.delivered_bytes, known.delivered_bytes);
  return { ...job, received_bytes, delivered_bytes };
}

interface JobData {
  state?: JobState;
  attempt?: number;
  rev?: number;
  reason?: Reason;
  witness?: Witness;
  request?: JobRequest;
  delivered_bytes?: number;
}

export interface Applied {
  book: Book;
  /** Jobs whose row must be read: they are not known, or the event did not say all. */
  fetch: string[];
}

/** Events of the log, in order. */
export function apply(book: Book, events: readonly InkwireEvent[]): Applied {
  const next = new Map(book);
  const fetch = new Set<string>();
  for (const event of events) {
    if (!event.job || !event.kind.startsWith("job.")) continue;
    const known = next.get(event.job);
    const data = event.data as JobData;
    if (!known || data.rev === undefined || data.state === undefined) {
      fetch.add(event.job);
    } else if (data.rev > known.rev) {
      // A change in between that said nothing, or one that events do not carry.
      if (data.rev > known.rev + 1 || event.kind === "job.accepted") fetch.add(event.job);
      next.set(event.job, moved(known, event, data, data.state, data.rev));
    }
  }
  return { book: next, fetch: [...fetch] };
}

function moved(job: Job, event: InkwireEvent, data: JobData, state: JobState, rev: number): Job {
  const attempt = data.attempt ?? job.attempt;
  const again = attempt !== job.attempt;
  const atAgent = state === "spooled" || state === "completed" || (state === "printing" && job.delivery === "spool");
  return {
    ...job,
    state,
    rev,
    attempt,
    reason: data.reason ?? null,
    witness: data.witness ?? null,
    request: data.request ?? null,
    received_bytes: atAgent ? job.bytes : again ? 0 : job.received_bytes,
    delivered_bytes: data.delivered_bytes ?? (again ? 0 : job.delivered_bytes),
    accepted_ms: event.kind === "job.accepted" ? event.at_ms : job.accepted_ms,
    ended_ms: isTerminal(state) ? event.at_ms : null,
  };
}

/** Marks that were pushed; late ones of a job that has ended change nothing. */
export function progress(book: Book, news: readonly JobProgress[]): Book {
  let next: Map<string, Job> | undefined;
  for (const { job: id, received_bytes, delivered_bytes } of news) {
    const job = (next ?? book).get(id);
    if (!job || isTerminal(job.state)) continue;
    if (job.received_bytes >= received_bytes && job.delivered_bytes >= delivered_bytes) continue;
    next ??= new Map(book);
    next.set(id, {
      ...job,
      received_bytes: Math.max(job.received_bytes, received_bytes),
      delivered_bytes: Math.max(job.delivered_bytes, delivered_bytes),
    });
  }
  return next ?? book;
}

/** What a list shows. */
export type View = Pick<JobFilter, "states" | "printer" | "agent" | "search"> & { number?: number };

/** As the broker filters. */
export function matches(job: Job, view: View): boolean {
  if (view.number !== undefined && job.number !== view.number) return false;
  if (view.states && view.states.length > 0 && !view.states.includes(job.state)) return false;
  if (view.printer && job.printer !== view.printer) return false;
  if (view.agent && job.agent !== view.agent) return false;
  return !view.search || job.title.toLowerCase().includes(view.search.toLowerCase());
}

/** Newest first: what is known down to `floor`, the lowest number that the pages so far have reached. */
export function rows(book: Book, view: View, floor: number): Job[] {
  const chosen: Job[] = [];
  for (const job of book.values()) if (job.number >= floor && matches(job, view)) chosen.push(job);
  return chosen.sort((a, b) => b.number - a.number);
}
