/** A socket without a network, and a broker behind it that answers as a test says. */

import type { SocketLike } from "../src/socket.ts";

export interface Call {
  id: number;
  method: string;
  params: Record<string, unknown>;
}

export class FakeSocket implements SocketLike {
  static all: FakeSocket[] = [];
  static onNew: (socket: FakeSocket) => void = () => undefined;

  binaryType = "blob";
  bufferedAmount = 0;
  onopen: ((event: never) => unknown) | null = null;
  onmessage: ((event: never) => unknown) | null = null;
  onclose: ((event: never) => unknown) | null = null;
  onerror: ((event: never) => unknown) | null = null;
  readonly url: string;
  readonly protocol: string;
  /** Requests as they came. */
  readonly calls: Call[] = [];
  readonly packets: { transfer: number; seq: number; last: boolean; crc: number; data: Uint8Array }[] = [];
  /** Answers a request; what it returns is the result, what it throws the error. */
  answer: (call: Call, socket: FakeSocket) => unknown = () => ({});
  onPacket: (seq: number, socket: FakeSocket) => void = () => undefined;
  isClosed = false;

  constructor(url: string, protocol: string) {
    this.url = url;
    this.protocol = protocol;
    FakeSocket.all.push(this);
    FakeSocket.onNew(this);
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.isClosed) return;
    if (typeof data === "string") {
      const call = JSON.parse(data) as Call;
      this.calls.push(call);
      queueMicrotask(() => this.#respond(call));
      return;
    }
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const [transfer, seq, crc] = [view.getUint32(4), view.getUint32(8), view.getUint32(12)];
    this.packets.push({ transfer, seq, last: view.getUint8(1) === 1, crc, data: data.slice(16) });
    queueMicrotask(() => this.onPacket(seq, this));
  }

  close(): void {
    this.isClosed = true;
  }

  #respond(call: Call): void {
    let message: Record<string, unknown>;
    try {
      const result = this.answer(call, this);
      if (result === SILENCE) return;
      message = { result };
    } catch (problem) {
      message = { error: { code: -32000, message: "refused", data: problem } };
    }
    this.say({ jsonrpc: "2.0", id: call.id, ...message });
  }

  say(message: unknown): void {
    if (!this.isClosed) this.onmessage?.({ data: JSON.stringify(message) } as never);
  }

  notify(method: string, params: unknown): void {
    this.say({ jsonrpc: "2.0", method, params });
  }

  open(): void {
    this.onopen?.({} as never);
  }

  /** As Node 20 says that an upgrade was refused: no close follows. */
  fail(): void {
    this.isClosed = true;
    this.onerror?.({} as never);
  }

  /** The broker (or the network) ends it. */
  end(code = 1006, reason = ""): void {
    this.isClosed = true;
    this.onclose?.({ code, reason } as never);
  }
}

/** Returned by `answer`: no answer. */
export const SILENCE = Symbol("silence");

export const ME = { account: "a", account_name: "default", scope: "admin", who: { type: "key", id: "k", name: "test" } };
