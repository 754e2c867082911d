import { describe, expect, it } from "vitest";

import { backoffMs } from "../src/backoff.ts";
import { crc32c } from "../src/crc32c.ts";
import { Liveness } from "../src/liveness.ts";
import { encodePacket, Layout } from "../src/packet.ts";
import { Sender } from "../src/sender.ts";
import { socketUrl } from "../src/socket.ts";

describe("crc32c", () => {
  it("gives the values of RFC 3720 appendix B.4", () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
    expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });
});

describe("packets", () => {
  it("have the header of docs/protocol.md §2", () => {
    const packet = encodePacket(7, 0x01020304, true, new TextEncoder().encode("123456789"));
    expect([...packet.slice(0, 16)]).toEqual([1, 1, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4, 0xe3, 0x06, 0x92, 0x83]);
    expect(packet.length).toBe(25);
  });

  it("cut a document so that only the last is shorter", () => {
    const layout = new Layout(2500, 1024);
    expect(layout.packets).toBe(3);
    expect(layout.slice(2)).toEqual({ seq: 2, from: 2048, bytes: 452, last: true });
    expect(layout.slice(3)).toBeUndefined();
    expect(layout.bytesBelow(3)).toBe(2500);
    expect(new Layout(0, 1024).slice(0)).toEqual({ seq: 0, from: 0, bytes: 0, last: true });
    expect(new Layout(2048, 1024).packets).toBe(2);
  });
});

describe("the sender", () => {
  it("stays within credit, takes acks forward only, and ends with the last", () => {
    const sender = new Sender(new Layout(4096, 1024), 0, 2);
    expect(sender.due()?.seq).toBe(0);
    sender.onSent();
    sender.onSent();
    expect(sender.due()).toBeUndefined();
    expect(sender.onAck(1, 2)).toBe("moved");
    expect(sender.due()?.seq).toBe(2);
    expect(sender.onAck(1, 1)).toBe("stale");
    expect(sender.onAck(0, 100)).toBe("stale");
    expect(sender.onAck(3, 1)).toBe("violation");
    sender.onSent();
    expect(sender.onAck(3, 1)).toBe("moved");
    sender.onSent();
    expect(sender.onAck(4, 0)).toBe("complete");
    expect(sender.inFlight).toBe(0);
  });

  it("never has more than the largest window on its way", () => {
    const sender = new Sender(new Layout(64 * 1024 * 1024, 1024), 0, 1);
    sender.onSent();
    expect(sender.onAck(1, 1_000_000)).toBe("moved");
    let sent = 0;
    while (sender.due()) {
      sender.onSent();
      sent += 1;
    }
    expect(sent).toBe(4096);
  });
});

describe("waiting before the next attempt", () => {
  it("is full jitter up to half a minute", () => {
    expect(backoffMs(1, 0.999)).toBeLessThanOrEqual(500);
    expect(backoffMs(3, 0.5)).toBe(1000);
    expect(backoffMs(50, 1)).toBe(30_000);
    expect(backoffMs(5, 0)).toBe(0);
  });
});

describe("liveness", () => {
  it("asks after a second of silence while something is due, and gives up after the deadline", () => {
    const live = new Liveness(0);
    expect(live.poll(999, true, 0)).toEqual({ do: "nothing", at: 1000 });
    expect(live.poll(1000, true, 0)).toEqual({ do: "probe" });
    live.onProbeSent(1000);
    expect(live.poll(2499, true, 0)).toEqual({ do: "nothing", at: 2500 });
    expect(live.poll(2500, true, 0)).toEqual({ do: "dead" });
  });

  it("leaves an idle path alone for 25 seconds", () => {
    const live = new Liveness(0);
    expect(live.poll(24_999, false, 0)).toEqual({ do: "nothing", at: 25_000 });
    expect(live.poll(25_000, false, 0)).toEqual({ do: "probe" });
    live.onProbeSent(25_000);
    expect(live.poll(33_999, false, 0).do).toBe("nothing");
    live.onHeard(34_000);
    expect(live.poll(34_001, false, 0).do).toBe("nothing");
  });

  it("waits longer on a slow path, and after a near miss", () => {
    const slow = new Liveness(0);
    for (let i = 0; i < 20; i++) slow.onRoundTrip(600);
    expect(slow.deadline(0)).toBe(2400);
    expect(slow.deadline(60_000)).toBe(15_000);
    const near = new Liveness(0);
    near.onProbeSent(1000);
    near.onHeard(2200);
    expect(near.deadline(0)).toBe(3000);
  });
});

it("finds the app WebSocket of a broker", () => {
  expect(socketUrl("https://h:8631/#sha256=abc")).toBe("wss://h:8631/v1/app");
  expect(socketUrl("http://127.0.0.1:9/x")).toBe("ws://127.0.0.1:9/v1/app");
});
