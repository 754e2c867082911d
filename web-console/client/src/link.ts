/** One connection, from its first message to its end: calls and their answers, notifications, packets, and whether the path lives. */

import { LinkLostError, ProblemError } from "./errors.ts";
import { Liveness } from "./liveness.ts";
import type { SocketLike } from "./socket.ts";
import type { Problem } from "./types.ts";

/** How a connection ended. `opened`: whether it ever stood. */
export interface Over {
  code: number;
  reason: string;
  opened: boolean;
}

export interface LinkHooks {
  onOpen(): void;
  onNotification(method: string, params: unknown): void;
  onOver(over: Over): void;
}

interface Waiting {
  method: string;
  askedAt: number;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

interface Incoming {
  id?: unknown;
  method?: string;
  params?: unknown;
  result?: unknown;
  error?: { code: number; message: string; data?: Problem };
}

/** More than this in the socket's queue, and packets wait: what waits here is not yet sent when an address changes. */
const HIGH_WATER_BYTES = 256 * 1024;
const LOOK_AGAIN_MS = 8;

export class Link {
  readonly #socket: SocketLike;
  readonly #hooks: LinkHooks;
  readonly #waiting = new Map<number, Waiting>();
  readonly #live: Liveness;
  /** Uploads with packets on their way: an ack is due. */
  readonly #expecting = new Set<() => boolean>();
  #nextId = 1;
  #opened = false;
  #over = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #rate = { since: 0, bytes: 0, perMs: 0 };

  constructor(socket: SocketLike, hooks: LinkHooks, openWithinMs: number) {
    this.#socket = socket;
    this.#hooks = hooks;
    this.#live = new Liveness(performance.now());
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#opened = true;
      this.#live.onHeard(performance.now());
      this.#watch();
      hooks.onOpen();
    };
    socket.onmessage = (event: { data: unknown }) => this.#onMessage(event.data);
    socket.onclose = (event: { code: number; reason: string }) => this.#end(event.code, event.reason);
    // A close follows in browsers, and says more; Node 20 says nothing more of an upgrade that was refused.
    socket.onerror = () => void setTimeout(() => this.#end(1006, "the connection failed"), 0);
    this.#timer = setTimeout(() => this.drop("the broker did not answer in time"), openWithinMs);
  }

  get isOver(): boolean {
    return this.#over;
  }

  get rttMs(): number | undefined {
    return this.#live.rttMs;
  }

  /** Asks; the promise is rejected by {@link ProblemError}, or by {@link LinkLostError} when the connection ends first. */
  request(method: string, params: unknown): Promise<unknown> {
    if (this.#over) return Promise.reject(new LinkLostError(method));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { method, askedAt: performance.now(), resolve, reject });
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
      this.#watch();
    });
  }

  /** Gives a packet to the socket. */
  send(packet: Uint8Array<ArrayBuffer>): void {
    if (this.#over) return;
    this.#socket.send(packet);
    this.#watch();
  }

  /** Waits until the socket's queue is short. */
  async drained(): Promise<void> {
    while (!this.#over && this.#socket.bufferedAmount > HIGH_WATER_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }

  /** While `isDue` says so, silence is suspicious. Returns what ends the watch. */
  expect(isDue: () => boolean): () => void {
    this.#expecting.add(isDue);
    return () => this.#expecting.delete(isDue);
  }

  /** So many bytes were acked: how fast the path is. */
  onAcked(bytes: number): void {
    const now = performance.now();
    this.#rate.bytes += bytes;
    const took = now - this.#rate.since;
    if (took >= 1000) {
      this.#rate = { since: now, bytes: 0, perMs: took < 5000 ? this.#rate.bytes / took : 0 };
    }
  }

  /** Asks now whether the path lives: the network may have changed. */
  probe(): void {
    if (this.#opened && !this.#over) this.#probe();
  }

  /** Ends the connection without waiting for the other side. */
  drop(reason: string): void {
    if (this.#over) return;
    this.#socket.close(1000, "");
    this.#end(1006, reason);
  }

  #onMessage(data: unknown): void {
    if (this.#over) return;
    this.#live.onHeard(performance.now());
    if (typeof data !== "string") return this.drop("the broker sent a binary message");
    let incoming: Incoming;
    try {
      incoming = JSON.parse(data) as Incoming;
    } catch {
      return this.drop("the broker sent what is not JSON");
    }
    if (incoming.method !== undefined) return this.#hooks.onNotification(incoming.method, incoming.params);
    const waiting = typeof incoming.id === "number" ? this.#waiting.get(incoming.id) : undefined;
    if (!waiting) return;
    this.#waiting.delete(incoming.id as number);
    if (waiting.method === "ping") this.#live.onRoundTrip(performance.now() - waiting.askedAt);
    if (incoming.error) waiting.reject(asError(incoming.error));
    else waiting.resolve(incoming.result);
  }

  #end(code: number, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    for (const { method, reject } of this.#waiting.values()) reject(new LinkLostError(method));
    this.#waiting.clear();
    this.#hooks.onOver({ code, reason, opened: this.#opened });
  }

  #isExpecting(): boolean {
    return this.#waiting.size > 0 || [...this.#expecting].some((isDue) => isDue());
  }

  /** Sets the alarm for when silence matters next. */
  #watch(): void {
    if (!this.#opened || this.#over) return;
    clearTimeout(this.#timer);
    const now = performance.now();
    const { perMs } = this.#rate;
    const drainMs = perMs > 0 ? this.#socket.bufferedAmount / perMs : 0;
    const verdict = this.#live.poll(now, this.#isExpecting(), drainMs);
    if (verdict.do === "dead") return this.drop("the broker does not answer any more");
    if (verdict.do === "probe") return this.#probe();
    this.#timer = setTimeout(() => this.#watch(), Math.max(1, Math.min(1000, verdict.at - now)));
  }

  #probe(): void {
    this.#live.onProbeSent(performance.now());
    this.request("ping", {}).catch(() => undefined);
  }
}

function asError(error: { code: number; message: string; data?: Problem }): Error {
  const unknown: Problem = { type: "about:blank", title: error.message, status: 500, detail: error.message };
  return new ProblemError(error.data ?? unknown);
}
