/** A document on its way to the broker: packets with credit and acks, taken up again after every cut (docs/protocol.md §3, §10). */

import type { Client } from "./client.ts";
import { LinkLostError, ProblemError, WrongDocumentError } from "./errors.ts";
import type { Link } from "./link.ts";
import { encodePacket, Layout, MAX_PACKET_BYTES } from "./packet.ts";
import { Reader } from "./reader.ts";
import { Sender } from "./sender.ts";
import type { Job, JobCreated, JobTicket, Problem, UploadChannel } from "./types.ts";

/** Bytes of known size that can be read again from anywhere. */
export interface Source {
  readonly size: number;
  read(from: number, bytes: number): Promise<Uint8Array>;
}

/** SHA-256, fed in order. `node:crypto` and `@noble/hashes` fit with one line around them. */
export interface Hasher {
  update(data: Uint8Array): void;
  /** 64 hexadecimal digits; called once, at the end. */
  hex(): string;
}

export interface UploadOptions {
  /** With it the broker checks the whole document against its digest. */
  hasher?: () => Hasher;
  /** The job was created, or was found again. */
  onJob?: (job: Job) => void;
  /** Bytes on the broker's stable storage. */
  onProgress?: (durableBytes: number) => void;
  /** Whether packets flow; false while the connection is lost or the broker wants a pause. */
  onFlow?: (flowing: boolean) => void;
}

/** A source from what people have. */
export function sourceOf(document: Source | Blob | Uint8Array): Source {
  if (document instanceof Uint8Array) {
    return { size: document.length, read: (from, bytes) => Promise.resolve(document.subarray(from, from + bytes)) };
  }
  if (typeof Blob !== "undefined" && document instanceof Blob) {
    return {
      size: document.size,
      read: async (from, bytes) => new Uint8Array(await document.slice(from, from + bytes).arrayBuffer()),
    };
  }
  return document as Source;
}

type Begin = { ticket: JobTicket } | { job: string };
type Sent = "complete" | "lost" | "refused";

/** The broker asked for a pause and did not say how long. */
const PAUSE_MS = 5_000;

export class Upload {
  /** The accepted job: document and row are on the broker's stable storage. */
  readonly done: Promise<Job>;
  readonly #client: Client;
  readonly #source: Source;
  readonly #begin: Begin;
  readonly #options: UploadOptions;
  readonly #reader: Reader;
  #job: Job | undefined;
  #canceled = false;
  #transfer: number | undefined;
  #sender: Sender | undefined;
  #link: Link | undefined;
  #refused: Problem | undefined;
  /** Ends whatever wait there is. */
  #wake: () => void = () => undefined;

  /** @internal */
  constructor(client: Client, source: Source, begin: Begin, options: UploadOptions) {
    this.#client = client;
    this.#source = source;
    // A cut before the answer must not make two jobs.
    this.#begin = "ticket" in begin ? { ticket: { idempotency_key: crypto.randomUUID(), ...begin.ticket } } : begin;
    this.#options = options;
    this.#reader = new Reader(source, options.hasher?.());
    this.done = this.#run();
    this.done.catch(() => undefined);
  }

  /** The job, once it exists. */
  get job(): Job | undefined {
    return this.#job;
  }

  /** Sends nothing more and cancels the job. `done` is rejected. */
  async cancel(): Promise<void> {
    this.#canceled = true;
    this.#wake();
    if (this.#job) await this.#client.call("jobs.cancel", { job: this.#job.id });
  }

  /** @internal */
  onNotification(method: string, params: unknown): void {
    const { transfer } = params as { transfer: number };
    if (transfer !== this.#transfer || !this.#sender) return;
    if (method === "upload.ack") {
      const { next_seq, credit } = params as { next_seq: number; credit: number };
      this.#onAck(this.#sender, next_seq, credit);
    } else if (method === "upload.refused") {
      this.#refused = (params as { problem: Problem }).problem;
    }
    this.#wake();
  }

  /** @internal */
  onLost(): void {
    this.#wake();
  }

  #onAck(sender: Sender, nextSeq: number, credit: number): void {
    const before = sender.layout.bytesBelow(sender.acked);
    if (sender.onAck(nextSeq, credit) === "violation") return this.#link?.drop("an ack beyond what was sent");
    const after = sender.layout.bytesBelow(sender.acked);
    this.#link?.onAcked(after - before);
    this.#options.onProgress?.(after);
  }

  async #run(): Promise<Job> {
    for (;;) {
      this.#stopIfCanceled();
      // A session that has ended costs no upload: it goes on once somebody has signed in again.
      const link = await this.#client.online(true);
      try {
        const channel = await this.#open(link);
        if (!channel) return this.#accepted();
        const sent = await this.#send(link, channel);
        this.#stopIfCanceled();
        if (sent === "complete") return await this.#finish(link, channel);
        if (sent === "refused") await this.#pause();
      } catch (error) {
        if (!(error instanceof LinkLostError)) throw error;
      } finally {
        this.#transfer = this.#sender = this.#link = undefined;
        this.#options.onFlow?.(false);
      }
    }
  }

  #stopIfCanceled(): void {
    if (this.#canceled) throw new DOMException("the upload was canceled", "AbortError");
  }

  /** A channel on this connection; none where the job is accepted already (the answer to `finish` was lost). */
  async #open(link: Link): Promise<UploadChannel | undefined> {
    if (!this.#job && "ticket" in this.#begin) {
      const content = { transfer: { bytes: this.#source.size, packet_bytes: MAX_PACKET_BYTES } };
      const created = (await link.request("jobs.create", { ...this.#begin.ticket, content })) as JobCreated;
      this.#found(created.job);
      if (created.upload) return created.upload;
    } else {
      const job = this.#job?.id ?? (this.#begin as { job: string }).job;
      const known = (await link.request("jobs.get", { job })) as { job: Job };
      this.#found(known.job);
    }
    const job = this.#job as unknown as Job;
    if (job.state !== "incoming") return undefined;
    try {
      return (await link.request("jobs.resume_upload", { job: job.id })) as UploadChannel;
    } catch (error) {
      // Its last packet and its acceptance came through although their answers did not.
      const moved = error instanceof ProblemError && error.kind === "conflict" && error.problem.state !== "incoming";
      if (!moved) throw error;
      this.#found(((await link.request("jobs.get", { job: job.id })) as { job: Job }).job);
      return undefined;
    }
  }

  #found(job: Job): void {
    if (job.bytes !== this.#source.size) {
      throw new WrongDocumentError(`the document has ${this.#source.size} bytes, the job was begun with ${job.bytes}`);
    }
    this.#job = job;
    this.#options.onJob?.(job);
  }

  #accepted(): Job {
    const job = this.#job as Job;
    if (job.state === "canceled" || job.state === "expired" || job.state === "aborted") {
      const detail = job.reason?.detail ?? `the job is ${job.state}`;
      throw new ProblemError({ type: "urn:inkwire:problem:conflict", title: "the upload has ended", status: 409, detail, state: job.state });
    }
    this.#options.onProgress?.(this.#source.size);
    return job;
  }

  async #send(link: Link, channel: UploadChannel): Promise<Sent> {
    const sender = new Sender(new Layout(this.#source.size, channel.packet_bytes), channel.next_seq, channel.credit);
    this.#transfer = channel.transfer;
    this.#sender = sender;
    this.#link = link;
    this.#refused = undefined;
    this.#options.onProgress?.(sender.layout.bytesBelow(sender.acked));
    const unwatch = link.expect(() => sender.inFlight > 0);
    try {
      // What an earlier page has sent is hashed here too, so that the digest is of the whole.
      await this.#reader.hashTo(sender.layout.bytesBelow(sender.acked));
      this.#options.onFlow?.(true);
      return await this.#pump(link, sender, channel.transfer);
    } finally {
      unwatch();
    }
  }

  async #pump(link: Link, sender: Sender, transfer: number): Promise<Sent> {
    for (;;) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      if (sender.isComplete) return "complete";
      if (this.#refused) return "refused";
      if (link.isOver || this.#canceled) return "lost";
      const slice = sender.due();
      if (!slice) {
        await woken;
        continue;
      }
      const data = await this.#reader.read(slice.from, slice.bytes);
      await link.drained();
      if (link.isOver || this.#canceled) return "lost";
      link.send(encodePacket(transfer, slice.seq, slice.last, data));
      sender.onSent();
    }
  }

  async #pause(): Promise<void> {
    const problem = this.#refused as Problem;
    const error = new ProblemError(problem);
    if (error.kind !== "busy" && error.kind !== "storage-full") throw error;
    const waitMs = problem.retry_after_s === undefined ? PAUSE_MS : problem.retry_after_s * 1000;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #finish(link: Link, channel: UploadChannel): Promise<Job> {
    const sha256 = await this.#reader.digest();
    const params = { transfer: channel.transfer, bytes: this.#source.size, ...(sha256 ? { sha256 } : {}) };
    const job = (await link.request("jobs.finish_upload", params)) as Job;
    this.#job = job;
    this.#options.onJob?.(job);
    return job;
  }
}
