import { describe, expect, it, vi } from "vitest";

import { en } from "../src/i18n/en.ts";
import { ja } from "../src/i18n/ja.ts";
import { Debounced } from "../src/lib/debounced.ts";
import { href, parse } from "../src/lib/route.ts";
import { append, timeline, wasLeft } from "../src/lib/timeline.ts";
import { visible } from "../src/lib/visible.ts";
import { ago, bytes, duration, formatOf, keyword, media, pageRanges, takes } from "../src/lib/words.ts";

describe("words", () => {
  it("say sizes and durations as people do", () => {
    expect(bytes(999, "en")).toBe("999\u00a0B");
    expect(bytes(1_500, "en")).toBe("1.5\u00a0kB");
    expect(bytes(33_900_000, "de")).toBe("33,9\u00a0MB");
    expect(duration(320, "en")).toBe("320 ms");
    expect(duration(4_260, "en")).toBe("4.3 sec");
    expect(duration(125_000, "en")).toBe("2 min 5 sec");
  });

  it("say how long ago", () => {
    const now = 1_000_000_000;
    expect(ago(now - 1000, now, "en")).toBe("now");
    expect(ago(now - 60_000, now, "en")).toBe("60 sec. ago");
    expect(ago(now - 3 * 3_600_000, now, "en")).toBe("3 hr. ago");
    expect(ago(now - 24 * 3_600_000, now, "ja")).toContain("24");
  });

  it("say IPP's names plainly", () => {
    expect(media("iso_a4_210x297mm")).toBe("A4 210 × 297 mm");
    expect(media("jis_b5_182x257mm")).toBe("JIS B5 182 × 257 mm");
    expect(media("na_letter_8.5x11in")).toBe("Letter 8.5 × 11 in");
    expect(media("custom_label_100x50mm")).toBe("100 × 50 mm");
    expect(media("whatever")).toBe("Whatever");
    expect(keyword("two-sided_x")).toBe("Two sided x");
  });

  it("know what a file is, and whether a printer takes it", () => {
    expect(formatOf("a.PDF", "")).toBe("application/pdf");
    expect(formatOf("label.zpl", "application/octet-stream")).toBe("application/vnd.zebra-zpl");
    expect(formatOf("noend", "")).toBe("application/octet-stream");
    expect(takes(["application/PDF; x=1"], "application/pdf")).toBe(true);
    expect(takes(["*/*"], "image/urf")).toBe(true);
    expect(takes(["image/png"], "image/jpeg")).toBe(false);
  });

  it("read page ranges, or say that they cannot", () => {
    expect(pageRanges("1-3, 5")).toEqual([[1, 3], [5, 5]]);
    expect(pageRanges("")).toEqual([]);
    expect(pageRanges("3-1")).toBeUndefined();
    expect(pageRanges("0")).toBeUndefined();
    expect(pageRanges("a")).toBeUndefined();
  });
});

describe("a long list", () => {
  it("draws what stands in the window and a little more", () => {
    expect(visible(5000, 50, 0, 500, 5)).toEqual({ first: 0, end: 15 });
    expect(visible(5000, 50, 100_000, 500, 5)).toEqual({ first: 1995, end: 2015 });
    expect(visible(3, 50, 0, 500)).toEqual({ first: 0, end: 3 });
    expect(visible(0, 50, 0, 500)).toEqual({ first: 0, end: 0 });
    const shrunk = visible(10, 50, 100_000, 500, 5);
    expect(shrunk.end).toBe(10);
    expect(shrunk.first).toBeLessThanOrEqual(shrunk.end);
  });
});

describe("addresses", () => {
  it("go there and back", () => {
    expect(parse(href("jobs", "a/b", { state: "held", printer: undefined }))).toEqual({ view: "jobs", id: "a/b", query: { state: "held" } });
    expect(parse("")).toEqual({ view: "overview", id: undefined, query: {} });
    expect(parse("#/nowhere/x").view).toBe("overview");
    expect(parse("#/jobs/%E0%A4%A").id).toBe("%E0%A4%A");
  });
});

describe("the timeline", () => {
  const history = [
    { offset: 4, at_ms: 1000, kind: "job.accepted", data: {} },
    { offset: 9, at_ms: 1400, kind: "job.cut", data: {} },
  ];

  it("says how long each step took", () => {
    expect(timeline(history).map((entry) => [entry.took_ms, entry.tone])).toEqual([[400, "plain"], [undefined, "warn"]]);
  });

  it("knows what was decided of an uncertain job, and claims nothing else", () => {
    const uncertain = { offset: 10, at_ms: 1, kind: "job.uncertain", data: { state: "uncertain" } };
    const then = (kind: string, data: Record<string, unknown> = {}) => [...history, uncertain, { offset: 11, at_ms: 2, kind, data }];
    const decided = (events: typeof history) => timeline(events).at(-1)?.decision;
    expect(decided(then("job.pending"))).toBe("reprint");
    expect(decided(then("job.completed", { witness: "human" }))).toBe("printed");
    // Evidence, not a decision.
    expect(decided(then("job.completed", { witness: "device" }))).toBeUndefined();
    expect(decided(then("job.canceled"))).toBe("drop");
    expect(wasLeft(then("job.canceled"))).toBe(true);
    expect(wasLeft([...history, { offset: 12, at_ms: 3, kind: "job.canceled", data: { state: "canceled" } }])).toBe(false);
  });

  it("takes each event once", () => {
    const longer = append(history, [history[1] as (typeof history)[0], { offset: 12, at_ms: 2000, kind: "job.resumed", data: {} }]);
    expect(longer.map((event) => event.offset)).toEqual([4, 9, 12]);
  });
});

describe("asking again", () => {
  it("acts once for many, not later than the limit, and again where asked meanwhile", async () => {
    vi.useFakeTimers();
    let ran = 0;
    const soon = new Debounced(200, 1000, async () => {
      ran += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
    });
    for (let i = 0; i < 30; i++) {
      soon.soon();
      await vi.advanceTimersByTimeAsync(50);
    }
    expect(ran).toBeGreaterThanOrEqual(1);
    await vi.advanceTimersByTimeAsync(1000);
    const before = ran;
    soon.now();
    soon.now();
    await vi.advanceTimersByTimeAsync(500);
    expect(ran).toBe(before + 2);
    vi.useRealTimers();
  });
});

describe("the catalogues", () => {
  /** Every text, with functions called; keys joined by dots. */
  function texts(value: unknown, path: string, into: Map<string, string>): Map<string, string> {
    if (typeof value === "string") into.set(path, value);
    else if (typeof value === "function") into.set(path, String((value as (...args: unknown[]) => string)(2, 3)));
    else for (const [key, inner] of Object.entries(value as object)) texts(inner, path ? `${path}.${key}` : key, into);
    return into;
  }

  it("have the same texts, all of them translated", () => {
    const [english, japanese] = [texts(en, "", new Map()), texts(ja, "", new Map())];
    expect([...japanese.keys()].sort()).toEqual([...english.keys()].sort());
    const same = [...english].filter(([key, text]) => japanese.get(key) === text).map(([key]) => key);
    expect(same).toEqual(["job.digest", "agents.host", "settings.url"]);
    expect([...english.values()].every((text) => text.length > 0)).toBe(true);
  });
});
