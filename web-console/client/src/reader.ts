/** Reads a source in blocks, mostly forward, and hashes every byte once and in order. */

import { WrongDocumentError } from "./errors.ts";
import type { Hasher, Source } from "./upload.ts";

/** Sixteen packets a trip to the disk. */
const BLOCK_BYTES = 16 * 16_320;

export class Reader {
  readonly #source: Source;
  readonly #hasher: Hasher | undefined;
  #block: { from: number; data: Uint8Array } = { from: 0, data: new Uint8Array(0) };
  #hashed = 0;
  #digest: string | undefined;

  constructor(source: Source, hasher: Hasher | undefined) {
    this.#source = source;
    this.#hasher = hasher;
  }

  /** `bytes` bytes from `from` on. */
  async read(from: number, bytes: number): Promise<Uint8Array> {
    let { data, from: begins } = this.#block;
    if (from < begins || from + bytes > begins + data.length) {
      const wanted = Math.min(Math.max(bytes, BLOCK_BYTES), this.#source.size - from);
      data = wanted > 0 ? await this.#source.read(from, wanted) : new Uint8Array(0);
      if (data.length !== wanted) throw new WrongDocumentError("the document became shorter while it was read");
      begins = from;
      this.#block = { from, data };
      this.#hash(begins, data);
    }
    return data.subarray(from - begins, from - begins + bytes);
  }

  /** Hashes up to `end` what was not hashed yet. */
  async hashTo(end: number): Promise<void> {
    while (this.#hasher && this.#hashed < end) {
      const before = this.#hashed;
      const bytes = Math.min(BLOCK_BYTES, end - before);
      const data = await this.#source.read(before, bytes);
      if (data.length !== bytes) throw new WrongDocumentError("the document became shorter while it was read");
      this.#hash(before, data);
    }
  }

  /** The digest of the whole; none without a hasher. */
  async digest(): Promise<string | undefined> {
    await this.hashTo(this.#source.size);
    this.#digest ??= this.#hasher?.hex();
    return this.#digest;
  }

  #hash(from: number, data: Uint8Array): void {
    const fresh = this.#hashed - from;
    if (fresh < 0 || fresh >= data.length) return;
    this.#hasher?.update(data.subarray(fresh));
    this.#hashed = from + data.length;
  }
}
