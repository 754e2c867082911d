/** The client: one connection at a time, made anew when it is lost; calls wait for it, the subscription and uploads resume on it. */

import { backoffMs } from "./backoff.ts";
import { ClosedError, LinkLostError, ProblemError, TimeoutError } from "./errors.ts";
import { Link, type Over } from "./link.ts";
import { isRead, type MethodName, type Params, type Result } from "./methods.ts";
import { APP_SUBPROTOCOL, type SocketConstructor, socketUrl } from "./socket.ts";
import { Subscription, type SubscriptionHandlers, type SubscriptionOptions } from "./subscription.ts";
import type { JobProgress, JobTicket, Me, EventsMessage } from "./types.ts";
import { type Source, sourceOf, Upload, type UploadOptions } from "./upload.ts";

export interface ClientOptions {
  /** The broker: `https://host:port`. */
  url: string | URL;
  /** An API key or access token, asked for at every connection; left out where a cookie speaks (the broker's own pages). */
  token?: string | (() => string | Promise<string>);
  /** The global one unless given. */
  WebSocket?: SocketConstructor;
  /** Called on every change of {@link Client.status}. */
  onStatus?: (status: Status) => void;
  /** A browser does not say why an upgrade was refused. Asked after one: `"stop"` ends the attempts (signed out). */
  onRefusedUpgrade?: () => Promise<"retry" | "stop">;
  /** Chance for the waits between attempts. */
  random?: () => number;
}

export type Status =
  | { state: "connecting" }
  | { state: "online"; me: Me }
  /** Lost; the next attempt begins at `retryAt` (Unix milliseconds). */
  | { state: "waiting"; retryAt: number; reason: string }
  /** The broker will not have us: only a person can change that. */
  | { state: "refused"; code: number; reason: string }
  | { state: "closed" };

export interface CallOptions {
  /** An answer must have come by then, connecting included. */
  withinMs?: number;
}

const CALL_WITHIN_MS = 30_000;
const OPEN_WITHIN_MS = 15_000;
/** A connection that lasted this long was a good one: the next loss begins with the shortest wait again. */
const GOOD_AFTER_MS = 10_000;
const FIRST_TERMINAL_CODE = 4500;

type Waiter = { resolve(link: Link): void; reject(error: Error): void; patient: boolean };

export class Client {
  readonly #options: ClientOptions;
  readonly #socketUrl: string;
  #status: Status = { state: "connecting" };
  #link: Link | undefined;
  #failures = 0;
  #onlineSince = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiters = new Set<Waiter>();
  #subscription: Subscription | undefined;
  readonly #uploads = new Set<Upload>();

  /** Begins to connect at once. */
  constructor(options: ClientOptions) {
    this.#options = options;
    this.#socketUrl = socketUrl(options.url);
    this.#dial();
  }

  get status(): Status {
    return this.#status;
  }

  /** The smoothed round trip, once measured. */
  get rttMs(): number | undefined {
    return this.#link?.rttMs;
  }

  /**
   * Calls a method. Waits for a connection. A read whose connection is lost is asked again; anything else fails with
   * {@link LinkLostError}, because whether it was done is not known.
   */
  async call<M extends MethodName>(method: M, params: Params<M>, options: CallOptions = {}): Promise<Result<M>> {
    return (await this.callNamed(method, params, options)) as Result<M>;
  }

  /** The same for a method that this package does not know. */
  async callNamed(method: string, params: unknown, options: CallOptions = {}): Promise<unknown> {
    const withinMs = options.withinMs ?? CALL_WITHIN_MS;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new TimeoutError(method, withinMs)), withinMs);
    });
    const asked = this.#ask(method, params);
    // Whoever loses the race must not be an unhandled rejection.
    asked.catch(() => undefined);
    try {
      return await Promise.race([asked, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #ask(method: string, params: unknown): Promise<unknown> {
    for (;;) {
      const link = await this.online();
      try {
        return await link.request(method, params);
      } catch (error) {
        if (!(error instanceof LinkLostError) || !isRead(method)) throw error;
      }
    }
  }

  /** Waits for a connection that is signed in; with `patient` also through a refusal, until {@link retry} helps. */
  online(patient = false): Promise<Link> {
    if (this.#link && this.#status.state === "online") return Promise.resolve(this.#link);
    if (this.#status.state === "closed") return Promise.reject(new ClosedError("the client was closed"));
    if (this.#status.state === "refused" && !patient) return Promise.reject(new ClosedError(this.#status.reason));
    return new Promise((resolve, reject) => this.#waiters.add({ resolve, reject, patient }));
  }

  /** Follows the account's events. One at a time: a later subscription takes the place of an earlier one. */
  subscribe(options: SubscriptionOptions, handlers: SubscriptionHandlers): Subscription {
    this.#subscription?.stop();
    const subscription = new Subscription(options, handlers);
    this.#subscription = subscription;
    if (this.#link && this.#status.state === "online") void this.#begin(subscription, this.#link);
    return subscription;
  }

  /** Submits a document as a transfer that resumes by itself. Its `done` says "accepted". */
  upload(document: Source | Blob | Uint8Array, ticket: JobTicket, options: UploadOptions = {}): Upload {
    return this.#track(new Upload(this, sourceOf(document), { ticket }, options));
  }

  /** Goes on with an upload that another page or process began: `job` is `incoming`, and `document` the same bytes. */
  resumeUpload(document: Source | Blob | Uint8Array, job: string, options: UploadOptions = {}): Upload {
    return this.#track(new Upload(this, sourceOf(document), { job }, options));
  }

  /** The network may have changed, or the page was asleep: dials now, or asks whether the path still lives. */
  wake(): void {
    if (this.#status.state === "waiting") {
      clearTimeout(this.#timer);
      this.#dial();
    } else {
      this.#link?.probe();
    }
  }

  /** Tries again after the broker refused, for example with another token. */
  retry(): void {
    if (this.#status.state === "refused") this.#dial();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#subscription?.stop();
    const link = this.#link;
    this.#link = undefined;
    link?.drop("closed by the app");
    this.#set({ state: "closed" });
    this.#fail(new ClosedError("the client was closed"));
  }

  #track(upload: Upload): Upload {
    this.#uploads.add(upload);
    const forget = () => this.#uploads.delete(upload);
    upload.done.then(forget, forget);
    return upload;
  }

  #dial(): void {
    this.#set({ state: "connecting" });
    const Socket = this.#options.WebSocket ?? (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
    if (!Socket) throw new Error("there is no WebSocket here: pass one (Node before 22: --experimental-websocket, or `ws`)");
    const link = new Link(
      new Socket(this.#socketUrl, APP_SUBPROTOCOL),
      {
        onOpen: () => void this.#signIn(link),
        onNotification: (method, params) => this.#onNotification(method, params),
        onOver: (over) => void this.#onOver(link, over),
      },
      OPEN_WITHIN_MS,
    );
    this.#link = link;
  }

  async #signIn(link: Link): Promise<void> {
    try {
      const { token } = this.#options;
      const text = typeof token === "function" ? await token() : token;
      const me = text === undefined ? link.request("me", {}) : link.request("authenticate", { token: text });
      this.#onSignedIn(link, (await me) as Me);
    } catch (error) {
      if (error instanceof ProblemError && error.problem.status === 401) this.#refuse(link, 4500, error.problem.detail);
      else link.drop(error instanceof Error ? error.message : String(error));
    }
  }

  #onSignedIn(link: Link, me: Me): void {
    if (link.isOver || this.#link !== link) return;
    this.#onlineSince = performance.now();
    this.#set({ state: "online", me });
    if (this.#subscription) void this.#begin(this.#subscription, link);
    const waiters = this.#waiters;
    this.#waiters = new Set();
    for (const { resolve } of waiters) resolve(link);
  }

  async #begin(subscription: Subscription, link: Link): Promise<void> {
    try {
      const answer = await link.request("events.subscribe", subscription.request());
      if (this.#subscription === subscription) subscription.onSubscribed(answer);
    } catch (error) {
      if (!link.isOver) link.drop(`not subscribed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #onNotification(method: string, params: unknown): void {
    if (method === "events") this.#subscription?.onEvents(params as EventsMessage);
    else if (method === "job.progress") this.#subscription?.onProgress(params as JobProgress);
    else if (method.startsWith("upload.")) {
      for (const upload of this.#uploads) upload.onNotification(method, params);
    }
  }

  async #onOver(link: Link, over: Over): Promise<void> {
    if (this.#link !== link) return;
    this.#link = undefined;
    for (const upload of this.#uploads) upload.onLost();
    if (over.code >= FIRST_TERMINAL_CODE) return this.#refused(over.code, over.reason);
    const lasted = this.#onlineSince > 0 ? performance.now() - this.#onlineSince : 0;
    this.#onlineSince = 0;
    this.#failures = lasted >= GOOD_AFTER_MS ? 1 : this.#failures + 1;
    const waitMs = backoffMs(this.#failures, (this.#options.random ?? Math.random)());
    const reason = over.reason || `the connection ended (${over.code})`;
    this.#set({ state: "waiting", retryAt: Date.now() + waitMs, reason });
    if (!over.opened && this.#options.onRefusedUpgrade) {
      const verdict = await this.#options.onRefusedUpgrade();
      if (this.#status.state !== "waiting") return;
      if (verdict === "stop") return this.#refused(4500, "not signed in");
    }
    this.#timer = setTimeout(() => this.#dial(), waitMs);
  }

  #refuse(link: Link, code: number, reason: string): void {
    if (this.#link === link) this.#link = undefined;
    link.drop(reason);
    for (const upload of this.#uploads) upload.onLost();
    this.#refused(code, reason);
  }

  #refused(code: number, reason: string): void {
    this.#set({ state: "refused", code, reason });
    this.#fail(new ClosedError(reason), (waiter) => !waiter.patient);
  }

  #fail(error: Error, which: (waiter: Waiter) => boolean = () => true): void {
    for (const waiter of [...this.#waiters].filter(which)) {
      this.#waiters.delete(waiter);
      waiter.reject(error);
    }
  }

  #set(status: Status): void {
    this.#status = status;
    this.#options.onStatus?.(status);
  }
}
