/** A device on a raw socket (TCP 9100): takes bytes as fast as it is told to, and remembers what came whole. */

import { createHash } from "node:crypto";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class RawDevice {
  /** Digests of what was given to the end and closed. */
  readonly whole: string[] = [];
  /** How many bytes came of what was broken off. */
  readonly broken: number[] = [];
  /** It takes no more, and does not say so, once it has so many bytes of a document. */
  stallsAt = Infinity;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket));
  }

  static async open(): Promise<RawDevice> {
    const device = new RawDevice();
    await new Promise<void>((resolve) => device.#server.listen(0, "127.0.0.1", resolve));
    return device;
  }

  get uri(): string {
    return `socket://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #take(socket: Socket): void {
    this.#open.add(socket);
    const hash = createHash("sha256");
    let [bytes, ended] = [0, false];
    socket.on("data", (data: Buffer) => {
      hash.update(data);
      bytes += data.length;
      if (bytes >= this.stallsAt) socket.pause();
    });
    socket.on("end", () => {
      // A peer that was killed ends its stream as one that has said all does: what makes a document whole is the test's to compare.
      ended = true;
      this.whole.push(hash.digest("hex"));
      socket.end();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#open.delete(socket);
      if (!ended) this.broken.push(bytes);
    });
  }

  /** What stalls goes on: what lies in its buffers is taken, and ends as its peer ended it. */
  goOn(): void {
    this.stallsAt = Infinity;
    for (const socket of this.#open) socket.resume();
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
