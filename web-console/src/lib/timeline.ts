/** A job's history as a person reads it: what happened, when, how long until the next. Pure. */

import type { Decision, InkwireEvent } from "@inkwire/client";

export interface Entry {
  key: number;
  kind: string;
  at_ms: number;
  /** Until the next entry; undefined for the last. */
  took_ms: number | undefined;
  data: Record<string, unknown>;
  decision: Decision | undefined;
  tone: "plain" | "good" | "warn" | "bad";
}

const TONES: Record<string, Entry["tone"]> = {
  "job.cut": "warn",
  "job.stopped": "warn",
  "job.uncertain": "warn",
  "job.held": "warn",
  "job.resumed": "good",
  "job.completed": "good",
  "job.aborted": "bad",
  "job.expired": "bad",
};

export function timeline(history: readonly InkwireEvent[]): Entry[] {
  return history.map((event, index) => {
    const next = history[index + 1];
    return {
      key: event.offset,
      kind: event.kind,
      at_ms: event.at_ms,
      took_ms: next ? Math.max(0, next.at_ms - event.at_ms) : undefined,
      data: event.data,
      decision: decisionOf(event, history[index - 1]),
      tone: TONES[event.kind] ?? "plain",
    };
  });
}

/** Adds what is new, in order. */
export function append(history: readonly InkwireEvent[], events: readonly InkwireEvent[]): InkwireEvent[] {
  const last = history.at(-1)?.offset ?? -1;
  return [...history, ...events.filter((event) => event.offset > last)];
}

/**
 * What was decided of an uncertain job, by a person or the policy; `event` is what came of it. Only a decision leads from there back to the
 * queue, or makes a person the witness. One that was canceled is taken to be left: to say less is safer than to say that nothing came out.
 */
export function decisionOf(event: InkwireEvent, before: InkwireEvent | undefined): Decision | undefined {
  if (before?.data["state"] !== "uncertain") return undefined;
  if (event.kind === "job.pending") return "reprint";
  if (event.kind === "job.canceled") return "drop";
  return event.kind === "job.completed" && event.data["witness"] === "human" ? "printed" : undefined;
}

/** Whether a job was left after its outcome was uncertain: then nobody knows what of it came out. */
export function wasLeft(history: readonly InkwireEvent[]): boolean {
  const last = history.at(-1);
  return last !== undefined && decisionOf(last, history.at(-2)) === "drop";
}
