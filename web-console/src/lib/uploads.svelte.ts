/**
 * Uploads of this browser, which survive a lost link (by the client), a reload (the file is kept, or asked for again) and the end of a
 * session. Of several tabs one uploads: a lock says which.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { Job, JobTicket, Upload } from "@inkwire/client";

import { forget, keep, kept } from "./files.ts";
import { session } from "./session.svelte.ts";
import { words } from "./toasts.svelte.ts";

export type UploadState = "waiting" | "sending" | "accepted" | "canceled" | "failed" | "needs-file" | "elsewhere";

export interface Item {
  key: string;
  name: string;
  bytes: number;
  durable: number;
  state: UploadState;
  job: string | undefined;
  number: number | undefined;
  error: string | undefined;
}

/** What outlives the page: enough to find the job and to ask for the file. */
interface Note {
  job: string;
  account: string;
  name: string;
  bytes: number;
}

const STORED = "inkwire.uploads";

function hasher() {
  const hash = sha256.create();
  return { update: (data: Uint8Array) => void hash.update(data), hex: () => bytesToHex(hash.digest()) };
}

class Uploads {
  items = $state<Item[]>([]);
  readonly #running = new Map<string, Upload>();
  #found = false;

  get underway(): boolean {
    return this.items.some((item) => item.state === "sending" || item.state === "waiting");
  }

  /** Begins an upload. */
  begin(file: File, ticket: JobTicket): void {
    const item = this.#add({ name: file.name, bytes: file.size, job: undefined });
    const upload = session.client.upload(file, ticket, { hasher, ...this.#watch(item, file) });
    void this.#run(item, upload);
  }

  /** Once somebody is signed in: what an earlier page has left is taken up, or its file asked for. */
  async find(): Promise<void> {
    if (this.#found) return;
    this.#found = true;
    for (const note of notes().filter((note) => note.account === session.me?.account)) {
      if (this.items.some((item) => item.job === note.job)) continue;
      const known = await session.client.call("jobs.get", { job: note.job }).catch(() => undefined);
      if (known?.job.state !== "incoming") {
        drop(note.job);
        continue;
      }
      const item = this.#add({ name: note.name, bytes: note.bytes, job: note.job });
      item.number = known.job.number;
      item.durable = known.job.received_bytes;
      item.state = "needs-file";
      const file = await kept(note.job);
      if (file) this.resume(item, file);
    }
  }

  /** Another tab that uploads the same job keeps it: two would take it from each other again and again. */
  async #alone(job: string, act: () => Promise<void>): Promise<boolean> {
    return navigator.locks.request(`inkwire-upload-${job}`, { ifAvailable: true }, async (lock) => {
      if (lock) await act();
      return lock !== null;
    });
  }

  /** Goes on with a file that was chosen again, or that the browser still has. */
  resume(item: Item, file: File): void {
    if (!item.job) return;
    item.error = undefined;
    item.state = "waiting";
    const job = item.job;
    const go = () => this.#run(item, session.client.resumeUpload(file, job, { hasher, ...this.#watch(item, file) }));
    void this.#alone(job, go).then((mine) => {
      if (!mine) item.state = "elsewhere";
    });
  }

  /** "Canceled" is said when the broker has said so. Until then, and where its answer is lost, the upload can be taken up again. */
  async cancel(item: Item): Promise<void> {
    const upload = this.#running.get(item.key);
    try {
      if (upload) await upload.cancel();
      else if (item.job) await session.client.call("jobs.cancel", { job: item.job });
    } catch (error) {
      if (item.job) item.state = "needs-file";
      throw error;
    }
    item.state = "canceled";
    if (item.job) drop(item.job);
  }

  dismiss(item: Item): void {
    this.items = this.items.filter((other) => other.key !== item.key);
  }

  #add(of: { name: string; bytes: number; job: string | undefined }): Item {
    const item: Item = { key: crypto.randomUUID(), durable: 0, state: "waiting", number: undefined, error: undefined, ...of };
    this.items = [item, ...this.items];
    // The reactive one.
    return this.items[0] as Item;
  }

  #watch(item: Item, file: File) {
    return {
      onJob: (job: Job) => {
        session.know([job]);
        if (item.job === undefined) {
          item.job = job.id;
          note({ job: job.id, account: session.me?.account ?? "", name: item.name, bytes: item.bytes });
          void keep(job.id, file);
          // Held until the upload has ended.
          void this.#alone(job.id, () => this.#ended(item.key));
        }
        item.number = job.number;
      },
      onProgress: (durable: number) => (item.durable = durable),
      onFlow: (flowing: boolean) => {
        if (item.state === "waiting" || item.state === "sending") item.state = flowing ? "sending" : "waiting";
      },
    };
  }

  #ended(key: string): Promise<void> {
    const done = this.#running.get(key)?.done ?? Promise.resolve();
    return done.then(
      () => undefined,
      () => undefined,
    );
  }

  async #run(item: Item, upload: Upload): Promise<void> {
    this.#running.set(item.key, upload);
    try {
      const job = await upload.done;
      session.know([job]);
      item.state = "accepted";
      item.durable = item.bytes;
      drop(job.id);
    } catch (error) {
      const { name } = error as Error;
      // Whoever canceled it says how that went.
      if (name === "AbortError") return;
      item.state = name === "WrongDocumentError" ? "needs-file" : "failed";
      item.error = name === "WrongDocumentError" ? "wrong-file" : words(error);
      if (item.job && item.state === "failed") drop(item.job);
    } finally {
      this.#running.delete(item.key);
    }
  }
}

function notes(): Note[] {
  try {
    return JSON.parse(localStorage.getItem(STORED) ?? "[]") as Note[];
  } catch {
    return [];
  }
}

function note(one: Note): void {
  const others = notes().filter((other) => other.job !== one.job);
  localStorage.setItem(STORED, JSON.stringify([...others, one]));
}

function drop(job: string): void {
  localStorage.setItem(STORED, JSON.stringify(notes().filter((other) => other.job !== job)));
  void forget(job);
}

export const uploads = new Uploads();
