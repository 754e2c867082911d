/**
 * Whether the path is alive, from what comes in (docs/protocol.md §7). A browser sees messages, not bytes, and cannot send a
 * WebSocket ping, so the probe is the method `ping`. No clock: times are arguments, in milliseconds.
 */

/** While something is due, this long without a message asks for a probe. */
export const STALL_MS = 1_000;
/** While nothing is due: below the 30 s after which small NAT boxes forget a mapping. */
export const IDLE_PROBE_MS = 25_000;
const FLOOR_MS = 1_500;
const CEILING_MS = 15_000;
const IDLE_ANSWER_MS = 9_000;

export type Verdict = { do: "nothing"; at: number } | { do: "probe" } | { do: "dead" };

export class Liveness {
  #lastHeard: number;
  #probedAt: number | undefined;
  #smoothed: number | undefined;
  #variation = 0;
  #shortest = Infinity;
  #floor = FLOOR_MS;
  #lateAt = 0;

  constructor(now: number) {
    this.#lastHeard = now;
  }

  /** Any message came. */
  onHeard(now: number): void {
    if (this.#probedAt !== undefined && now - this.#probedAt > this.deadline(0) / 2) {
      // A near miss: the path is slower than thought.
      this.#floor = Math.min(CEILING_MS, this.#floor * 2);
      this.#lateAt = now;
    } else if (this.#floor > FLOOR_MS && now - this.#lateAt > 300_000) {
      this.#floor = Math.max(FLOOR_MS, this.#floor / 2);
      this.#lateAt = now;
    }
    this.#lastHeard = now;
    this.#probedAt = undefined;
  }

  /** A question was answered after so long. */
  onRoundTrip(ms: number): void {
    this.#shortest = Math.min(this.#shortest, ms);
    if (this.#smoothed === undefined) {
      this.#smoothed = ms;
      this.#variation = ms / 2;
    } else {
      this.#variation = (this.#variation * 3 + Math.abs(this.#smoothed - ms)) / 4;
      this.#smoothed = (this.#smoothed * 7 + ms) / 8;
    }
  }

  onProbeSent(now: number): void {
    this.#probedAt = now;
  }

  get rttMs(): number | undefined {
    return this.#smoothed;
  }

  /** How long an answer may take when `drainMs` of data leave before the question. */
  deadline(drainMs: number): number {
    const smoothed = this.#smoothed ?? 0;
    const loaded = smoothed + 4 * Math.max(this.#variation, smoothed / 8);
    const unloaded = Number.isFinite(this.#shortest) ? 4 * this.#shortest : 0;
    return Math.min(CEILING_MS, Math.max(this.#floor, Math.max(loaded, unloaded) + drainMs));
  }

  /** What is to be done now. `expecting`: an answer or an ack is due. */
  poll(now: number, expecting: boolean, drainMs: number): Verdict {
    if (this.#probedAt !== undefined) {
      const within = expecting ? this.deadline(drainMs) : Math.max(IDLE_ANSWER_MS, this.deadline(drainMs));
      const end = this.#probedAt + within;
      return now >= end ? { do: "dead" } : { do: "nothing", at: end };
    }
    const due = this.#lastHeard + (expecting ? STALL_MS : IDLE_PROBE_MS);
    return now >= due ? { do: "probe" } : { do: "nothing", at: due };
  }
}
