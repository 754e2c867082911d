/** A stretch of network between two programs: paced, cut without a word, or broken off. */

import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";

interface Pair {
  near: Socket;
  far: Socket;
  silent: boolean;
}

export class Hop {
  readonly port: number;
  /** Where it leads. */
  target: number;
  /** Bytes a second from the near to the far side, and back; infinite unless set. */
  up = Infinity;
  down = Infinity;
  /** The target answers only to its own address: the first request's `Host` is made to name it. */
  renames = false;
  /** Bytes that went to the near side. */
  delivered = 0;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (near) => this.#join(near));
  }

  static async open(target: number): Promise<Hop> {
    const server = createServer({ noDelay: true, highWaterMark: 16 * 1024 });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Hop(server, target);
  }

  #join(near: Socket): void {
    const far = connect({ port: this.target, host: "127.0.0.1", noDelay: true });
    const pair: Pair = { near, far, silent: false };
    this.#pairs.add(pair);
    const over = () => {
      if (pair.silent) return;
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on("error", over).on("close", over);
    this.#carry(pair, near, far, () => this.up, () => undefined);
    this.#carry(pair, far, near, () => this.down, (bytes) => (this.delivered += bytes));
  }

  #carry(pair: Pair, from: Socket, to: Socket, rate: () => number, count: (bytes: number) => void): void {
    let first = from === pair.near && this.renames;
    from.on("data", (data: Buffer) => {
      if (pair.silent) return;
      count(data.length);
      const text = first ? data.toString("latin1").replace(`:${this.port}\r\n`, `:${this.target}\r\n`) : undefined;
      first = false;
      const room = to.write(text === undefined ? data : Buffer.from(text, "latin1"));
      const wait = rate() === Infinity ? 0 : (data.length / rate()) * 1000;
      if (room && wait === 0) return;
      from.pause();
      const go = () => setTimeout(() => from.resume(), wait);
      if (room) go();
      else to.once("drain", go);
    });
  }

  /** The address has changed: what stands says nothing any more, and neither end is told. */
  silence(): void {
    for (const pair of this.#pairs) {
      pair.silent = true;
      pair.near.pause();
      pair.far.pause();
    }
  }

  /** Everything that stands is broken off. */
  breakOff(): void {
    for (const { near, far } of [...this.#pairs]) {
      near.destroy();
      far.destroy();
    }
    this.#pairs.clear();
  }

  async close(): Promise<void> {
    this.breakOff();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
