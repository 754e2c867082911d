/** A job's history as a person reads it: what happened, when, how long until the next. Pure. */

import type { InkwireEvent } from "@inkwire/client";

export interface Entry {
  key: number;
  kind: string;
  at_ms: number;
  /** Until the next entry; undefined for the last. */
  took_ms: number | undefined;
  data: Record<string, unknown>;
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
      tone: TONES[event.kind] ?? "plain",
    };
  });
}

/** Adds what is new, in order. */
export function append(history: readonly InkwireEvent[], events: readonly InkwireEvent[]): InkwireEvent[] {
  const last = history.at(-1)?.offset ?? -1;
  return [...history, ...events.filter((event) => event.offset > last)];
}
