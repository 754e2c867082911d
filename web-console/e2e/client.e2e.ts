/** The client package in Node against a real broker, over a line that breaks. */

import { createHash } from "node:crypto";

import { Client, type InkwireEvent } from "@inkwire/client";
import { afterAll, beforeAll, expect, it } from "vitest";

import { Hop } from "./hop.ts";
import { House, printed, until } from "./house.ts";

let house: House;
let hop: Hop;
let client: Client;
let folder: string;

const hasher = () => {
  const hash = createHash("sha256");
  return { update: (data: Uint8Array) => void hash.update(data), hex: () => hash.digest("hex") };
};

beforeAll(async () => {
  house = await House.open();
  folder = house.folder("shelf");
  await house.startAgent("pc", [{ name: "Shelf", uri: `directory://${folder}` }]);
  await until("the printer is there", async () => (await house.api.call("printers.list", {})).printers.length === 1);
  hop = await Hop.open(Number(new URL(house.local).port));
  hop.renames = true;
  client = new Client({ url: `http://127.0.0.1:${hop.port}`, token: await house.key("submit") });
});

afterAll(async () => {
  client?.close();
  await hop?.close();
  await house?.close();
});

it("uploads over a line that is cut again and again: every byte once, one job", async () => {
  const document = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
  hop.up = 1_500_000;
  let [durable, cuts, most] = [0, 0, 0];
  const onProgress = (bytes: number) => {
    most = Math.max(most, bytes);
    durable = bytes;
    if (cuts < 4 && bytes > (cuts + 1) * 500_000) {
      cuts += 1;
      if (cuts % 2 === 0) hop.silence();
      else hop.breakOff();
    }
  };
  const upload = client.upload(document, { printer: "Shelf", format: "application/octet-stream", title: "cut" }, { hasher, onProgress });
  const job = await upload.done;
  hop.up = Infinity;
  expect(cuts).toBe(4);
  // What was said to be durable stayed so.
  expect(durable).toBe(most);
  const sha256 = createHash("sha256").update(document).digest("hex");
  expect(job.sha256).toBe(sha256);
  await house.job(job.number, "completed");
  expect(printed(folder)).toEqual([sha256]);
  expect((await house.jobs()).length).toBe(1);
});

it("misses no event over lost connections and a restart of the broker", async () => {
  const seen: InkwireEvent[] = [];
  let resets = 0;
  let begun = -1;
  client.subscribe({}, { onEvents: (events) => seen.push(...events), onReset: (from) => ((resets += 1), (begun = from.offset)) });
  await until("it is subscribed", () => resets === 1);
  const submit = (title: string) =>
    house.api.call("jobs.create", { printer: "Shelf", format: "text/plain", title, content: { inline: Buffer.from(title).toString("base64") } });
  for (let round = 0; round < 4; round++) {
    await Promise.all(Array.from({ length: 10 }, (_, i) => submit(`round ${round}, job ${i}`)));
    if (round === 0) hop.breakOff();
    if (round === 1) hop.silence();
    if (round === 2) {
      await house.stopBroker("SIGKILL");
      await house.startBroker();
    }
  }
  const accepted = () => seen.filter((event) => event.kind === "job.accepted").length;
  await until("all were told", () => accepted() === 40, 60_000);
  await until("all are printed", () => seen.filter((event) => event.kind === "job.completed").length === 40, 60_000);
  expect(seen.map((event) => event.offset)).toEqual(seen.map((_, index) => begun + 1 + index));
  expect(resets).toBe(1);
});

it("says why it is refused, and stays away", async () => {
  const { id, key } = (await house.admin("key", "create", "--scope", "read", "--name", "short-lived")) as { id: string; key: string };
  const other = new Client({ url: house.local, token: key });
  await other.call("me", {});
  await expect(other.call("jobs.cancel", { job: "01890a5d-ac96-774b-bcce-b302099a8057" })).rejects.toMatchObject({ kind: "forbidden" });
  await house.admin("key", "revoke", id);
  await until("it is refused", () => other.status.state === "refused");
  expect(other.status).toMatchObject({ code: 4501 });
  other.close();
});
