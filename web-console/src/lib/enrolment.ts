/** Enrolment tokens, and the one command that a PC needs of them. Pure. */

import type { Enrolment } from "@inkwire/client";

export type Standing = "waiting" | "used" | "over";

export function standing(enrolment: Enrolment, now: number): Standing {
  if (enrolment.used_by) return "used";
  return enrolment.expires_ms <= now ? "over" : "waiting";
}

/** For a shell: quoted, whatever is in it. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Makes an agent of a PC: pairs it, starts it, and keeps it running. */
export function installCommand(made: { pair_url: string; token: string }): string {
  return `sudo inkwire agent install --url ${quoted(made.pair_url)} --enroll ${quoted(made.token)}`;
}
