/** An agent's sessions as a person reads them: where it stayed, how long, how long it was away before. Pure. */

import type { AgentSession } from "@inkwire/client";

export interface Stay {
  epoch: number;
  began_ms: number;
  /** Undefined where the broker did not live to see the end. */
  lasted_ms: number | undefined;
  /** Between the end of the session before and this one; undefined for the first, and where that end was not seen. */
  away_ms: number | undefined;
  endpoint: string;
  /** What is new of the endpoint since the session before: another network, or only another way out of the same one. */
  moved: "address" | "port" | undefined;
  version: string;
  updated: boolean;
  /** The name of the close code; null while it is live, and where it is not known. */
  end: string | null;
  live: boolean;
}

/** `sessions` newest first, as the broker gives them. */
export function stays(sessions: readonly AgentSession[], now: number): Stay[] {
  return sessions.map((session, index) => {
    const before = sessions[index + 1];
    const until = session.live ? now : session.ended_ms;
    return {
      epoch: session.epoch,
      began_ms: session.began_ms,
      lasted_ms: until === null ? undefined : Math.max(0, until - session.began_ms),
      away_ms: before && before.ended_ms !== null ? Math.max(0, session.began_ms - before.ended_ms) : undefined,
      endpoint: session.observed_endpoint,
      moved: before ? moved(before.observed_endpoint, session.observed_endpoint) : undefined,
      version: session.version,
      updated: before !== undefined && before.version !== session.version,
      end: session.live ? null : session.end,
      live: session.live,
    };
  });
}

function moved(from: string, to: string): Stay["moved"] {
  if (from === to) return undefined;
  return addressOf(from) === addressOf(to) ? "port" : "address";
}

/** `192.0.2.7:4711` or `[2001:db8::1]:4711` without the port. */
export function addressOf(endpoint: string): string {
  return endpoint.replace(/:\d+$/, "");
}
