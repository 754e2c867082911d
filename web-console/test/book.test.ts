import type { InkwireEvent, Job } from "@inkwire/client";
import { describe, expect, it } from "vitest";

import { apply, type Book, EMPTY, matches, merge, progress, rows } from "../src/lib/book.ts";

function job(number: number, over: Partial<Job> = {}): Job {
  return {
    id: `job-${number}`, number, printer: "p", agent: "a", printer_number: 1, title: `Invoice ${number}`, format: "application/pdf",
    bytes: 1000, sha256: "00", state: "pending", reason: null, witness: null, attempt: 0, may_print: false, request: null,
    received_bytes: 0, delivered_bytes: 0, qty: 1, delivery: "spool", priority: 50, options: {}, on_uncertain: "hold",
    created_ms: number, accepted_ms: number, ended_ms: null, expires_ms: 9e12, rev: 1, ...over,
  };
}

function event(offset: number, number: number, kind: string, data: Record<string, unknown>): InkwireEvent {
  return { offset, at_ms: offset * 10, kind, job: `job-${number}`, data };
}

const one = (book: Book, number: number) => book.get(`job-${number}`) as Job;

describe("events", () => {
  const life = [
    event(2, 1, "job.sending", { state: "sending", attempt: 1, rev: 2 }),
    event(3, 1, "job.cut", { state: "sending", attempt: 1, rev: 3, reason: { code: "link-lost", detail: "cut" } }),
    event(4, 1, "job.resumed", { state: "sending", attempt: 1, rev: 4, next_seq: 7 }),
    event(5, 1, "job.spooled", { state: "spooled", attempt: 1, rev: 5 }),
    event(6, 1, "job.completed", { state: "completed", attempt: 1, rev: 6, witness: "device", delivered_bytes: 1000 }),
  ];

  it("move a job through its life", () => {
    let book = merge(EMPTY, [job(1)]);
    ({ book } = apply(book, life.slice(0, 2)));
    expect(one(book, 1)).toMatchObject({ state: "sending", attempt: 1, reason: { code: "link-lost" } });
    ({ book } = apply(book, life.slice(2, 3)));
    expect(one(book, 1).reason).toBeNull();
    ({ book } = apply(book, life.slice(3)));
    expect(one(book, 1)).toMatchObject({ state: "completed", witness: "device", received_bytes: 1000, delivered_bytes: 1000, ended_ms: 60 });
  });

  it("that an answer already knew change nothing, in whatever order they come", () => {
    const newest = job(1, { state: "completed", rev: 6, attempt: 1, witness: "device" });
    const { book, fetch } = apply(merge(EMPTY, [newest]), life);
    expect(one(book, 1)).toEqual(newest);
    expect(fetch).toEqual([]);
    expect(one(merge(book, [job(1, { rev: 3, state: "sending" })]), 1)).toEqual(newest);
  });

  it("of jobs that are not known ask for them, once", () => {
    const { book, fetch } = apply(EMPTY, life);
    expect(fetch).toEqual(["job-1"]);
    expect(book.size).toBe(0);
  });

  it("that leave out a revision ask for the row", () => {
    const { fetch } = apply(merge(EMPTY, [job(1)]), life.slice(2, 3));
    expect(fetch).toEqual(["job-1"]);
  });

  it("of a new attempt begin its marks anew", () => {
    const book = merge(EMPTY, [job(1, { attempt: 1, rev: 4, received_bytes: 700, delivered_bytes: 30 })]);
    const again = apply(book, [event(9, 1, "job.sending", { state: "sending", attempt: 2, rev: 5 })]).book;
    expect(one(again, 1)).toMatchObject({ received_bytes: 0, delivered_bytes: 0, attempt: 2 });
  });

  it("of other things are left to others", () => {
    expect(apply(EMPTY, [{ offset: 1, at_ms: 1, kind: "agent.online", agent: "a", data: {} }])).toEqual({ book: EMPTY, fetch: [] });
  });

  it("give the same result one by one and all at once", () => {
    const begin = merge(EMPTY, [job(1)]);
    const atOnce = apply(begin, life).book;
    const single = life.reduce((book, event) => apply(book, [event]).book, begin);
    expect(single).toEqual(atOnce);
  });
});

describe("progress", () => {
  it("only grows, and does not touch what has ended", () => {
    let book = merge(EMPTY, [job(1, { state: "sending" }), job(2, { state: "completed" })]);
    book = progress(book, [{ job: "job-1", received_bytes: 500, delivered_bytes: 0 }]);
    expect(one(book, 1).received_bytes).toBe(500);
    const same = progress(book, [{ job: "job-1", received_bytes: 400, delivered_bytes: 0 }, { job: "job-2", received_bytes: 1, delivered_bytes: 1 }]);
    expect(same).toBe(book);
  });

  it("is not lost by an answer that knows less", () => {
    const book = progress(merge(EMPTY, [job(1, { state: "sending" })]), [{ job: "job-1", received_bytes: 500, delivered_bytes: 0 }]);
    expect(one(merge(book, [job(1, { state: "sending" })]), 1).received_bytes).toBe(500);
  });
});

describe("rows", () => {
  it("are newest first, down to where the pages have reached", () => {
    const book = merge(EMPTY, [3, 1, 7, 5].map((number) => job(number)));
    expect(rows(book, {}, 3).map((one) => one.number)).toEqual([7, 5, 3]);
    expect(rows(book, {}, Infinity)).toEqual([]);
  });

  it("are filtered as the broker does", () => {
    expect(matches(job(1), { states: ["held"] })).toBe(false);
    expect(matches(job(1), { search: "invOICE" })).toBe(true);
    expect(matches(job(1), { number: 2 })).toBe(false);
    expect(matches(job(1), { printer: "p", agent: "b" })).toBe(false);
  });
});
