import { createHash } from "node:crypto";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Client, crc32c, type EventPosition, type InkwireEvent, LinkLostError, ProblemError, type Status, WrongDocumentError } from "../src/index.ts";
import { FakeSocket, ME, SILENCE } from "./fake.ts";

const EPOCH = "e";
const settle = () => vi.advanceTimersByTimeAsync(0);
const latest = () => FakeSocket.all.at(-1) as FakeSocket;
let client: Client;
let statuses: Status[];

function begin(options: Partial<ConstructorParameters<typeof Client>[0]> = {}): FakeSocket {
  statuses = [];
  const onStatus = (status: Status) => statuses.push(status);
  client = new Client({ url: "https://broker", WebSocket: FakeSocket, random: () => 1, token: "ik_x", onStatus, ...options });
  return latest();
}

function problem(kind: string, status = 409): unknown {
  return { type: `urn:inkwire:problem:${kind}`, title: kind, status, detail: `${kind} it is` };
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  FakeSocket.onNew = (socket) => {
    socket.answer = ({ method }) => (method === "authenticate" || method === "me" ? ME : {});
  };
});

afterEach(() => {
  client.close();
  vi.useRealTimers();
});

async function online(): Promise<FakeSocket> {
  const socket = latest();
  socket.open();
  await settle();
  expect(client.status.state).toBe("online");
  return socket;
}

describe("connecting", () => {
  it("signs in with the token, or asks who the cookie is", async () => {
    begin();
    const socket = await online();
    expect(socket.url).toBe("wss://broker/v1/app");
    expect(socket.calls[0]).toMatchObject({ method: "authenticate", params: { token: "ik_x" } });
    client.close();
    begin({ token: undefined as never });
    expect((await online()).calls[0]?.method).toBe("me");
  });

  it("dials again with growing waits, and shows until when", async () => {
    begin();
    (await online()).end(4000, "draining");
    expect(client.status).toMatchObject({ state: "waiting", reason: "draining" });
    await vi.advanceTimersByTimeAsync(499);
    expect(FakeSocket.all.length).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.all.length).toBe(2);
    latest().end();
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSocket.all.length).toBe(3);
  });

  it("gives up where only a person can help, and says why", async () => {
    const socket = begin();
    socket.answer = () => {
      throw problem("unauthenticated", 401);
    };
    const waiting = client.call("printers.list", {});
    waiting.catch(() => undefined);
    socket.open();
    await settle();
    expect(client.status).toMatchObject({ state: "refused", code: 4500 });
    await expect(waiting).rejects.toThrow("unauthenticated it is");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all.length).toBe(1);
    client.retry();
    expect(FakeSocket.all.length).toBe(2);
  });

  it("asks why an upgrade was refused, which a browser does not tell", async () => {
    const ask = vi.fn(async () => "stop" as const);
    begin({ onRefusedUpgrade: ask });
    latest().end();
    await settle();
    expect(ask).toHaveBeenCalledOnce();
    expect(client.status.state).toBe("refused");
  });

  it("dials again after an error that no close follows", async () => {
    begin();
    latest().fail();
    await vi.advanceTimersByTimeAsync(1);
    expect(client.status).toMatchObject({ state: "waiting", reason: "the connection failed" });
  });

  it("notices a path that died without a word", async () => {
    begin();
    const socket = await online();
    socket.answer = () => SILENCE;
    const asked = client.call("jobs.cancel", { job: "j" });
    asked.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(2600);
    expect(client.status.state).toBe("waiting");
    await expect(asked).rejects.toBeInstanceOf(LinkLostError);
  });

  it("stays on an idle path that answers pings", async () => {
    begin();
    const socket = await online();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(FakeSocket.all.length).toBe(1);
    expect(socket.calls.filter((call) => call.method === "ping").length).toBeGreaterThanOrEqual(4);
  });
});

describe("calls", () => {
  it("wait for a connection; reads are asked again after a cut, acts are not", async () => {
    begin();
    const read = client.call("jobs.list", {});
    const socket = await online();
    socket.answer = () => SILENCE;
    const act = client.call("jobs.hold", { job: "j" });
    act.catch(() => undefined);
    await settle();
    socket.end();
    await expect(act).rejects.toBeInstanceOf(LinkLostError);
    await vi.advanceTimersByTimeAsync(500);
    latest().answer = ({ method }) => (method === "authenticate" ? ME : { jobs: [], next: null });
    latest().open();
    await expect(read).resolves.toEqual({});
  });

  it("fail with the broker's problem", async () => {
    begin();
    const socket = await online();
    socket.answer = () => {
      throw problem("not-found", 404);
    };
    const error = await client.call("jobs.get", { job: "x" }).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(ProblemError);
    expect((error as ProblemError).kind).toBe("not-found");
  });
});

describe("events", () => {
  const event = (offset: number): InkwireEvent => ({ offset, at_ms: 0, kind: "job.accepted", data: {} });

  it("resume after the last one seen, and say when the state must be read anew", async () => {
    const seen: number[] = [];
    const resets: EventPosition[] = [];
    FakeSocket.onNew = (socket) => {
      socket.answer = ({ method }) => {
        if (method !== "events.subscribe") return ME;
        return { from: { epoch: EPOCH, offset: 5 }, resumed: true, oldest: 1 };
      };
    };
    begin();
    const onEvents = (events: InkwireEvent[]) => seen.push(...events.map((event) => event.offset));
    client.subscribe({ progress: true }, { onEvents, onReset: (from) => resets.push(from) });
    const first = await online();
    expect(resets).toEqual([{ epoch: EPOCH, offset: 5 }]);
    first.notify("events", { epoch: EPOCH, events: [event(6), event(7)], through: 9 });
    first.end();
    await vi.advanceTimersByTimeAsync(500);
    const second = latest();
    second.answer = ({ method, params }) => {
      if (method !== "events.subscribe") return ME;
      return { from: params["after"], resumed: true, oldest: 1 };
    };
    second.open();
    await settle();
    const subscribe = second.calls.find((call) => call.method === "events.subscribe");
    expect(subscribe?.params).toMatchObject({ after: { epoch: EPOCH, offset: 9 }, progress: true });
    second.notify("events", { epoch: EPOCH, events: [event(9), event(10)], through: 10 });
    expect(seen).toEqual([6, 7, 10]);
    expect(resets.length).toBe(1);
    second.end();
    await vi.advanceTimersByTimeAsync(1000);
    latest().answer = ({ method }) =>
      method === "events.subscribe" ? { from: { epoch: "f", offset: 2 }, resumed: false, oldest: 1 } : ME;
    latest().open();
    await settle();
    expect(resets.at(-1)).toEqual({ epoch: "f", offset: 2 });
  });
});

describe("an upload", () => {
  const PACKET = 1024;
  const document = Uint8Array.from({ length: 10 * PACKET + 100 }, (_, i) => (i * 7) & 0xff);
  const sha256 = createHash("sha256").update(document).digest("hex");
  const hasher = () => {
    const hash = createHash("sha256");
    return { update: (data: Uint8Array) => void hash.update(data), hex: () => hash.digest("hex") };
  };
  const ticket = { printer: "p", format: "application/pdf", title: "t" };

  /** A broker that keeps what it was sent in order. */
  class FakeBroker {
    job = { id: "job-1", state: "incoming", bytes: document.length } as Record<string, unknown>;
    durable: Uint8Array[] = [];
    created = 0;
    finished: Record<string, unknown> | undefined;
    transfers = 0;
    channel = 0;
    /** The connection ends after this packet. */
    cutAfter: number | undefined;
    /** Packets at a time. */
    credit = 3;
    mute = "";

    behind(socket: FakeSocket): void {
      socket.answer = (call) => this.#answer(call.method, call.params, socket);
      socket.onPacket = (seq) => this.#onPacket(seq, socket);
    }

    get bytes(): Uint8Array {
      return Uint8Array.from(this.durable.flatMap((packet) => [...packet]));
    }

    #answer(method: string, params: Record<string, unknown>, socket: FakeSocket): unknown {
      const opened = () => {
        this.channel = ++this.transfers;
        return { transfer: this.channel, packet_bytes: PACKET, next_seq: this.durable.length, credit: this.credit };
      };
      switch (method) {
        case "jobs.create": {
          const duplicate = this.created > 0;
          this.created += 1;
          if (this.mute === method) {
            this.mute = "";
            queueMicrotask(() => socket.end());
            return SILENCE;
          }
          return { job: this.job, duplicate, ...(duplicate ? {} : { upload: opened() }) };
        }
        case "jobs.get":
          return { job: this.job, history: [] };
        case "jobs.resume_upload":
          return opened();
        case "jobs.finish_upload":
          this.finished = params;
          this.job = { ...this.job, state: "pending" };
          if (this.mute === method) {
            this.mute = "";
            queueMicrotask(() => socket.end());
            return SILENCE;
          }
          return this.job;
        case "jobs.cancel":
          this.job = { ...this.job, state: "canceled" };
          return this.job;
        default:
          return ME;
      }
    }

    #onPacket(seq: number, socket: FakeSocket): void {
      const packet = socket.packets.find((packet) => packet.seq === seq && packet.transfer === this.channel);
      if (!packet) return;
      expect(seq).toBe(this.durable.length);
      expect(crc32c(packet.data)).toBe(packet.crc);
      this.durable.push(packet.data);
      if (this.cutAfter === seq) {
        this.cutAfter = undefined;
        return socket.end();
      }
      socket.notify("upload.ack", { transfer: this.channel, next_seq: seq + 1, credit: this.credit });
    }
  }

  let broker: FakeBroker;

  beforeEach(() => {
    broker = new FakeBroker();
    FakeSocket.onNew = (socket) => {
      broker.behind(socket);
      queueMicrotask(() => socket.open());
    };
  });

  it("sends every byte once and ends with the digest", async () => {
    begin();
    const progress: number[] = [];
    const upload = client.upload(document, ticket, { hasher, onProgress: (bytes) => progress.push(bytes) });
    const job = await upload.done;
    expect(job.state).toBe("pending");
    expect(broker.bytes).toEqual(document);
    expect(broker.finished).toMatchObject({ bytes: document.length, sha256 });
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(document.length);
    expect(latest().packets.length).toBe(11);
  });

  it("goes on where it was cut, at every packet", async () => {
    for (let cut = 0; cut < 11; cut++) {
      broker = new FakeBroker();
      broker.cutAfter = cut;
      FakeSocket.all = [];
      begin();
      const upload = client.upload(document, ticket, { hasher });
      await vi.advanceTimersByTimeAsync(1000);
      await upload.done;
      expect(broker.bytes).toEqual(document);
      expect(broker.finished).toMatchObject({ sha256 });
      expect(broker.created).toBe(1);
      const sent = FakeSocket.all.reduce((sum, socket) => sum + socket.packets.length, 0);
      expect(sent).toBeLessThanOrEqual(11 + broker.credit);
      client.close();
    }
  });

  it("makes one job where the answer to its creation was lost", async () => {
    broker.mute = "jobs.create";
    begin();
    const upload = client.upload(document, ticket, { hasher });
    await vi.advanceTimersByTimeAsync(1000);
    await upload.done;
    const creations = FakeSocket.all.flatMap((socket) => socket.calls.filter((call) => call.method === "jobs.create"));
    expect(creations.length).toBe(2);
    expect(creations[0]?.params["idempotency_key"]).toBeTruthy();
    expect(creations[0]?.params).toEqual(creations[1]?.params);
    expect(broker.bytes).toEqual(document);
  });

  it("learns that it was accepted where the last answer was lost", async () => {
    broker.mute = "jobs.finish_upload";
    begin();
    const upload = client.upload(document, ticket, { hasher });
    await vi.advanceTimersByTimeAsync(1000);
    expect((await upload.done).state).toBe("pending");
    expect(broker.transfers).toBe(1);
  });

  it("is taken up by another page, which hashes what it does not send", async () => {
    broker.durable = [0, 1, 2, 3].map((seq) => document.slice(seq * PACKET, (seq + 1) * PACKET));
    begin();
    await client.resumeUpload(document, "job-1", { hasher }).done;
    expect(latest().packets.map((packet) => packet.seq)).toEqual([4, 5, 6, 7, 8, 9, 10]);
    expect(broker.finished).toMatchObject({ sha256 });
  });

  it("refuses another document than the one it was begun with", async () => {
    begin();
    const upload = client.resumeUpload(document.slice(1), "job-1");
    await expect(upload.done).rejects.toBeInstanceOf(WrongDocumentError);
    expect(latest().packets.length).toBe(0);
  });

  it("waits where the broker has no space, and goes on afterwards", async () => {
    let refused = false;
    FakeSocket.onNew = (socket) => {
      broker.behind(socket);
      const onPacket = socket.onPacket;
      socket.onPacket = (seq, here) => {
        if (seq === 2 && !refused) {
          refused = true;
          const full = { ...(problem("storage-full", 507) as object), retry_after_s: 7 };
          const transfer = broker.channel;
          // What is on its way to a channel that is gone is dropped.
          broker.channel = 0;
          return here.notify("upload.refused", { transfer, problem: full });
        }
        onPacket(seq, here);
      };
      queueMicrotask(() => socket.open());
    };
    begin();
    const flow: boolean[] = [];
    const upload = client.upload(document, ticket, { hasher, onFlow: (flowing) => flow.push(flowing) });
    await vi.advanceTimersByTimeAsync(6900);
    expect(broker.finished).toBeUndefined();
    await vi.advanceTimersByTimeAsync(200);
    await upload.done;
    expect(broker.bytes).toEqual(document);
    expect(flow).toContain(false);
  });

  it("is canceled with its job", async () => {
    FakeSocket.onNew = (socket) => {
      broker.behind(socket);
      socket.onPacket = () => undefined;
      queueMicrotask(() => socket.open());
    };
    begin();
    const upload = client.upload(document, ticket, { hasher });
    await settle();
    expect(latest().packets.length).toBe(3);
    await upload.cancel();
    await expect(upload.done).rejects.toThrow("canceled");
    expect(broker.job["state"]).toBe("canceled");
  });

  it("sends an empty document as one empty packet", async () => {
    broker.job["bytes"] = 0;
    begin();
    await client.upload(new Uint8Array(0), ticket).done;
    expect(latest().packets).toMatchObject([{ seq: 0, last: true }]);
  });
});
