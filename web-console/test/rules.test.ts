import type { AgentSession, Capabilities, Enrolment } from "@inkwire/client";
import { describe, expect, it } from "vitest";

import { installCommand, quoted, standing } from "../src/lib/enrolment.ts";
import { asked, choices, chosen, offered, refused } from "../src/lib/options.ts";
import { addressOf, stays } from "../src/lib/stays.ts";
import { facts, nameOf } from "../src/lib/words.ts";

function stay(epoch: number, began_ms: number, over: Partial<AgentSession> = {}): AgentSession {
  return { epoch, began_ms, ended_ms: began_ms + 100, end: "normal", live: false, observed_endpoint: "192.0.2.1:4000", local_endpoint: null, version: "1.0.0", ...over };
}

describe("an agent's sessions", () => {
  it("say how long it stayed, and how long it was away before", () => {
    const live = stay(3, 500, { ended_ms: null, end: null, live: true });
    const [newest, middle, first] = stays([live, stay(2, 200), stay(1, 0)], 800);
    expect(newest).toMatchObject({ epoch: 3, lasted_ms: 300, away_ms: 200, live: true, end: null });
    expect(middle).toMatchObject({ lasted_ms: 100, away_ms: 100, end: "normal" });
    expect(first?.away_ms).toBeUndefined();
  });

  it("invent nothing where the broker did not see the end", () => {
    const [newest, unseen] = stays([stay(2, 900), stay(1, 0, { ended_ms: null, end: null })], 2000);
    expect(unseen?.lasted_ms).toBeUndefined();
    expect(unseen?.end).toBeNull();
    expect(newest?.away_ms).toBeUndefined();
  });

  it("never last less than nothing, whatever the clocks say", () => {
    expect(stays([stay(2, 50), stay(1, 0)], 0)[0]?.away_ms).toBe(0);
    expect(stays([stay(1, 900, { ended_ms: null, live: true })], 800)[0]?.lasted_ms).toBe(0);
  });

  it("tell another network from another way out of the same one, and another version", () => {
    const from = (endpoint: string, version = "1.0.0") => stay(1, 0, { observed_endpoint: endpoint, version });
    const moved = (older: AgentSession, newer: AgentSession) => stays([newer, older], 0)[0];
    expect(moved(from("192.0.2.1:1"), from("192.0.2.1:1"))).toMatchObject({ moved: undefined, updated: false });
    expect(moved(from("192.0.2.1:1"), from("192.0.2.1:2"))?.moved).toBe("port");
    expect(moved(from("192.0.2.1:1"), from("198.51.100.9:1"))?.moved).toBe("address");
    expect(moved(from("[2001:db8::1]:1"), from("[2001:db8::2]:1"))?.moved).toBe("address");
    expect(moved(from("192.0.2.1:1"), from("192.0.2.1:1", "1.1.0"))?.updated).toBe(true);
    expect(addressOf("[2001:db8::1]:4711")).toBe("[2001:db8::1]");
  });
});

describe("enrolment", () => {
  const one: Enrolment = { id: "e", created_ms: 0, expires_ms: 1000 };

  it("waits, is used, or is over", () => {
    expect(standing(one, 999)).toBe("waiting");
    expect(standing(one, 1000)).toBe("over");
    expect(standing({ ...one, used_by: "a" }, 5000)).toBe("used");
  });

  it("is one command that a shell takes apart as it was meant", () => {
    const made = { pair_url: "https://print.example:7443/#sha256=abc", token: "ie_x" };
    expect(installCommand(made)).toBe("sudo inkwire agent install --url 'https://print.example:7443/#sha256=abc' --enroll 'ie_x'");
    expect(quoted("it's $(here)")).toBe(`'it'\\''s $(here)'`);
  });
});

describe("options", () => {
  const can: Capabilities = { sides: ["one-sided", "two-sided-long-edge"], media: ["iso_a4_210x297mm", "iso_a3_297x420mm"], "media-ready": ["iso_a3_297x420mm"], "number-up": [1] };

  it("begin with the paper that is loaded, and name none twice", () => {
    expect(choices(can, "media")).toEqual(["iso_a3_297x420mm", "iso_a4_210x297mm"]);
    expect(choices({}, "sides")).toEqual([]);
  });

  it("are offered where there is a choice, or one to take back", () => {
    expect(offered(can, ["sides", "number-up", "output-bin"], {})).toEqual(["sides"]);
    expect(offered(can, ["sides", "number-up", "output-bin"], { "output-bin": "top" })).toEqual(["sides", "output-bin"]);
  });

  it("are changed one by one, and what is not shown stays", () => {
    const set = { copies: 2, sides: "one-sided" };
    expect(chosen(set, "sides", "two-sided-long-edge")).toEqual({ copies: 2, sides: "two-sided-long-edge" });
    expect(chosen(set, "sides", undefined)).toEqual({ copies: 2 });
  });

  it("of another printer are not asked of this one", () => {
    expect(asked(can, { sides: "two-sided-long-edge", media: "na_letter_8.5x11in", "print-color-mode": "color" })).toEqual({ sides: "two-sided-long-edge" });
    expect(refused(can, "media", "na_letter_8.5x11in")).toBe(true);
    expect(refused(can, "media-source", "tray-1")).toBe(false);
  });
});

describe("what an audit entry tells", () => {
  it("is names and words, times as times, nothing of what is not set", () => {
    const told = facts({ name: "till", expires_ms: 0, kinds: ["job."], url: null }, "en");
    expect(told).toEqual([["name", "till"], ["expires", expect.stringMatching(/1970|1969/)], ["kinds", '["job."]']]);
    expect(facts(null, "en")).toEqual([]);
    expect(facts("words", "en")).toEqual([]);
  });
});

describe("a document's file name", () => {
  it("is the encoded one, else the plain one, else none", () => {
    expect(nameOf(`attachment; filename="job-7"; filename*=UTF-8''Rechnung%20%E2%82%AC5.pdf`)).toBe("Rechnung €5.pdf");
    expect(nameOf(`attachment; filename="job-7"; filename*=UTF-8''%E0%A4%A`)).toBe("job-7");
    expect(nameOf("attachment")).toBeUndefined();
  });
});
