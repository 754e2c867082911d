/** A place in the account's event log that survives connections: nothing is missed, or the consumer is told to read the state anew. */

import type { EventPosition, EventsMessage, InkwireEvent, JobProgress, Subscribed } from "./types.ts";

export interface SubscriptionOptions {
  /** The last position that was seen; none begins now. */
  after?: EventPosition;
  /** Only kinds that begin with one of these. */
  kinds?: string[];
  /** Only jobs with this tag. */
  tag?: string;
  job?: string;
  /** Also progress of transfers: pushed, not logged, the newest wins. */
  progress?: boolean;
}

export interface SubscriptionHandlers {
  /** The log cannot be followed from where we were (or this is the beginning): read the state; what follows is after `from`. */
  onReset?: (from: EventPosition) => void;
  /** A run of the log, in order. */
  onEvents: (events: InkwireEvent[], through: EventPosition) => void;
  onProgress?: (progress: JobProgress) => void;
  /** Subscribed again after a cut, with nothing missed. */
  onResumed?: () => void;
}

export class Subscription {
  readonly #options: SubscriptionOptions;
  readonly #handlers: SubscriptionHandlers;
  #position: EventPosition | undefined;
  #stopped = false;

  constructor(options: SubscriptionOptions, handlers: SubscriptionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#position = options.after;
  }

  /** Everything up to here was given to the handlers. */
  get position(): EventPosition | undefined {
    return this.#position;
  }

  /** No handler is called any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** @internal */
  request(): Record<string, unknown> {
    const { kinds, tag, job, progress } = this.#options;
    const request: Record<string, unknown> = { progress: progress ?? false };
    if (this.#position) request["after"] = this.#position;
    if (kinds) request["kinds"] = kinds;
    if (tag) request["tag"] = tag;
    if (job) request["job"] = job;
    return request;
  }

  /** @internal */
  onSubscribed(answer: unknown): void {
    if (this.#stopped) return;
    const { from, resumed } = answer as Subscribed;
    const begins = this.#position === undefined || !resumed;
    this.#position = from;
    if (begins) this.#handlers.onReset?.(from);
    else this.#handlers.onResumed?.();
  }

  /** @internal */
  onEvents({ epoch, events, through }: EventsMessage): void {
    if (this.#stopped) return;
    const seen = this.#position?.epoch === epoch ? this.#position.offset : -1;
    this.#position = { epoch, offset: through };
    const fresh = events.filter((event) => event.offset > seen);
    this.#handlers.onEvents(fresh, this.#position);
  }

  /** @internal */
  onProgress(progress: JobProgress): void {
    if (!this.#stopped) this.#handlers.onProgress?.(progress);
  }
}
