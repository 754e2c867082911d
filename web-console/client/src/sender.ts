/** The sender's place in a transfer on one connection (docs/protocol.md §3). No clock, no socket. */

import type { Layout, Slice } from "./packet.ts";

const MAX_WINDOW_BYTES = 4 * 1024 * 1024;

export type AckEffect = "moved" | "complete" | "stale" | "violation";

export class Sender {
  readonly layout: Layout;
  #next: number;
  #acked: number;
  #limit: number;

  /** `nextSeq` and `credit` as the answer to `jobs.create` or `jobs.resume_upload` says them. */
  constructor(layout: Layout, nextSeq: number, credit: number) {
    this.layout = layout;
    this.#next = Math.min(nextSeq, layout.packets);
    this.#acked = this.#next;
    this.#limit = Math.min(this.#next + credit, layout.packets);
  }

  /** The packet that may be sent now; none without credit, or when all were sent. Tell {@link onSent}. */
  due(): Slice | undefined {
    return this.#next < this.#limit ? this.layout.slice(this.#next) : undefined;
  }

  onSent(): void {
    if (this.#next < this.layout.packets) this.#next += 1;
  }

  /** Acks only move forward; repeated and older ones change nothing. */
  onAck(nextSeq: number, credit: number): AckEffect {
    if (nextSeq > this.#next) return "violation";
    const window = Math.min(credit, Math.max(1, Math.floor(MAX_WINDOW_BYTES / this.layout.packetBytes)));
    const limit = Math.min(nextSeq + window, this.layout.packets);
    if (nextSeq < this.#acked || (nextSeq === this.#acked && limit <= this.#limit)) return "stale";
    this.#acked = nextSeq;
    this.#limit = Math.max(this.#limit, limit);
    return this.isComplete ? "complete" : "moved";
  }

  /** Every packet below is on the broker's stable storage. */
  get acked(): number {
    return this.#acked;
  }

  get inFlight(): number {
    return this.#next - this.#acked;
  }

  get isComplete(): boolean {
    return this.#acked === this.layout.packets;
  }
}
