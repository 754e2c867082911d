/** What an operator must decide and look after: uncertain outcomes, a clone, who comes and goes, pairing, defaults, documents, webhooks. */

import { createHash } from "node:crypto";
import type { ChildProcess } from "node:child_process";
import { cpSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import type { Agent, Job } from "@inkwire/client";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

import { en } from "../src/i18n/en.ts";
import { bytes as size } from "../src/lib/words.ts";
import { accepted, Eyes, go, print } from "./browser.ts";
import { RawDevice } from "./device.ts";
import { end, House, pdf, printed, until } from "./house.ts";
import { IppPrinter } from "./ipp.ts";

const PDF = "application/pdf";
const RAW = "application/octet-stream";
/** For what kills and starts agents more than once. */
const LONG_MS = 180_000;

let house: House;
let eyes: Eyes;
let page: Page;
let device: RawDevice;
let atrium: IppPrinter;
let agent: ChildProcess;
let folder: string;
const printers = () => [
  { name: "Raw", uri: device.uri, formats: [RAW] },
  { name: "Files", uri: `directory://${folder}`, formats: [PDF] },
  { name: "Atrium", uri: atrium.uri },
];

const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");
/** Bytes that are not like each other's, for every number. */
const noise = (number: number, bytes: number) => Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * 7919 + (i >> 9) + number * 101) & 0xff));

beforeAll(async () => {
  house = await House.open('[outbound]\nallow = ["127.0.0.1"]\n');
  device = await RawDevice.open();
  atrium = await IppPrinter.open();
  folder = house.folder("files");
  agent = await house.startAgent("pc", printers());
  eyes = await Eyes.open(house);
  await until("the printers are there", async () => {
    const { printers } = await house.api.call("printers.list", {});
    return printers.length === 3 && printers.every(({ info }) => info.name !== "Atrium" || info.capabilities.sides);
  });
  const { link } = (await house.admin("user", "link", "owner")) as { link: string };
  page = await (await eyes.context()).newPage();
  await page.goto(link);
  await page.getByRole("heading", { name: en.overview.title, level: 1 }).waitFor();
});

afterAll(async () => {
  await eyes?.close();
  await house?.close();
  await device?.close();
  await atrium?.close();
});

afterEach(async () => {
  await agree();
  expect(eyes.faults).toEqual([]);
});

/** The page, the API and what the printers have tell the same. */
async function agree(): Promise<void> {
  const jobs = await house.jobs();
  await go(page, "#/jobs");
  for (const job of jobs) {
    await page.locator(`[data-job="${job.number}"]`).getByText(en.state[job.state], { exact: true }).waitFor({ timeout: 30_000 });
  }
  const digests = (witnesses: string[]) => jobs.filter((job) => job.state === "completed" && witnesses.includes(job.witness ?? "")).map((job) => job.sha256);
  expect(printed(folder).sort()).toEqual(digests(["stored"]).sort());
  expect(atrium.jobs.map((job) => job.sha256).sort()).toEqual(digests(["device"]).sort());
  // Whatever was broken off is not whole; what the device took to the end is what the broker says of it, once.
  const known = new Set(jobs.map((job) => job.sha256 ?? ""));
  expect(device.whole.filter((digest) => known.has(digest)).sort()).toEqual(digests(["handed_over", "sent"]).sort());
}

async function theAgent(): Promise<Agent> {
  return (await house.api.call("agents.list", {})).agents.find((one) => one.status !== "revoked") as Agent;
}

/** A job whose agent is killed while its device has part of it, and the agent back again. */
async function broken(title: string, document: Buffer): Promise<Job> {
  device.stallsAt = 200_000;
  const job = await house.api.upload(document, { printer: "Raw", format: RAW, title }).done;
  await until("a part of it is given to the device", async () => {
    const { job: now } = await house.api.call("jobs.get", { job: job.id });
    return now.state === "printing" && now.delivered_bytes > 0;
  });
  await end(agent, "SIGKILL");
  device.goOn();
  agent = house.runAgent("pc", printers());
  return house.job(job.number, "uncertain");
}

it("asks for a decision where nobody can say what came out, with what is known, and does what is decided", async () => {
  const documents = [1, 2, 3].map((number) => noise(number, 12_000_000));
  const [first, second, third] = documents as [Buffer, Buffer, Buffer];

  const known = await broken("came out", first);
  expect(known.reason?.code).toBe("agent-restarted");
  await go(page, "#/overview");
  await page.getByRole("link", { name: en.overview.uncertain(1) }).click();
  const row = page.locator(`[data-job="${known.number}"]`);
  await row.getByText(en.state.uncertain, { exact: true }).waitFor();
  await row.getByRole("link", { name: "came out" }).click();
  // What is known: why, and how much the device had at least, as the API says it.
  const now = (await house.api.call("jobs.get", { job: known.id })).job;
  expect(now.delivered_bytes).toBeLessThan(now.bytes);
  await page.getByText(en.stateWords.uncertain).waitFor();
  await page.getByText(en.reasons["agent-restarted"] as string).first().waitFor();
  await page.getByText(en.job.decideLead(size(now.delivered_bytes, "en-GB"), size(now.bytes, "en-GB"))).waitFor();
  await page.getByRole("button", { name: en.job.decision.printed }).click();
  await page.getByText(en.witness.human).first().waitFor();
  expect(await house.job(known.number, "completed")).toMatchObject({ witness: "human", attempt: 1 });
  await page.locator(".timeline").getByText(en.job.decided(en.job.decision.printed)).waitFor();

  const again = await broken("once more", second);
  await go(page, `#/jobs/${again.id}`);
  await page.getByRole("button", { name: en.job.decision.reprint }).click();
  await page.locator(".timeline strong").getByText(en.event["job.completed"] as string, { exact: true }).waitFor();
  expect(await house.job(again.number, "completed")).toMatchObject({ attempt: 2 });
  expect(device.whole.filter((digest) => digest === sha256(second)).length).toBe(1);

  const left = await broken("left", third);
  await go(page, `#/jobs/${left.id}`);
  await page.getByRole("button", { name: en.job.decision.drop }).click();
  await page.getByText(en.job.left).waitFor();
  await house.job(left.number, "canceled");
  expect(device.whole).not.toContain(sha256(third));
  await go(page, "#/overview");
  await page.getByText(en.overview.nothing, { exact: true }).waitFor();
}, LONG_MS);

it("tells when the agent was connected, from where, and why that ended", async () => {
  await end(agent, "SIGTERM");
  await until("it is offline", async () => (await theAgent()).status === "offline");
  agent = house.runAgent("pc", printers());
  await until("it is back", async () => (await theAgent()).status === "online");
  const { id } = await theAgent();
  await go(page, `#/agents/${id}`);
  const { sessions } = await house.api.call("agents.sessions", { agent: id });
  const list = page.locator("[data-sessions] > li");
  await list.first().getByText(en.agents.live).waitFor();
  expect(await list.count()).toBe(sessions.length);
  expect(sessions.length).toBeGreaterThan(3);
  for (const [index, one] of sessions.entries()) {
    const text = await list.nth(index).innerText();
    expect(text).toContain(one.observed_endpoint);
    expect(text).toContain(en.agents.numbered(one.epoch));
    if (!one.live) expect(text).toContain(one.end === null ? en.agents.endUnseen : en.agents.ends[one.end]);
  }
  expect(sessions.map((one) => one.end)).toContain("normal");
  // It is kept up to date: a new way in is a new session, without a reload.
  house.wire.breakOff();
  await page.locator("[data-sessions] > li").nth(sessions.length).waitFor();
});

it("enrols a PC by one command, shows who used the token, and refuses a revoked one", async () => {
  await go(page, "#/agents");
  await page.getByRole("link", { name: en.agents.withoutCode }).click();
  await page.getByRole("button", { name: en.enrolments.create }).click();
  const command = await page.locator("code.secret").innerText();
  const parts = /^sudo inkwire agent install --url '([^']+)' --enroll '([^']+)'$/.exec(command);
  const [url, token] = [parts?.[1] ?? "", parts?.[2] ?? ""];
  expect(url).toBe(house.ready.pair_url);
  // The same address and token, without making a service of this machine.
  await house.inkwire("agent", "pair", url, "--enrolment", token, "--state", house.state("enrolled"));
  await page.locator("code.secret").waitFor({ state: "detached" });
  const used = page.getByRole("row").filter({ hasText: en.enrolments.states.used });
  await used.nth(1).getByRole("link").waitFor();
  const agents = (await house.api.call("agents.list", {})).agents;
  const mine = (await house.api.call("agents.list", {})).agents.find((one) => one.status === "online")?.id;
  const enrolled = (await house.api.call("enrolments.list", {})).enrolments.find((one) => one.used_by && one.used_by !== mine);
  expect(agents.map((one) => one.id)).toContain(enrolled?.used_by);
  await page.getByRole("button", { name: en.enrolments.create }).click();
  const second = /--enroll '([^']+)'/.exec(await page.locator("code.secret").innerText())?.[1] ?? "";
  await page.getByRole("button", { name: en.enrolments.revoke }).click();
  await page.getByRole("dialog").getByRole("button", { name: en.enrolments.revoke }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.locator("code.secret").waitFor({ state: "detached" });
  await expect(house.inkwire("agent", "pair", url, "--enrolment", second, "--state", house.state("late"))).rejects.toThrow();
  // The agent that was only paired goes again.
  await house.api.call("agents.revoke", { agent: enrolled?.used_by ?? "" });
});

/** Types the code of a PC that asks to be paired, and looks at what it shows. */
async function lookUp(pc: string) {
  const asking = house.runInkwire(pc, "agent", "pair", house.pairUrl, "--state", house.state(pc));
  const told = (what: string) => until(`it shows its ${what}`, () => new RegExp(`^.*${what} {2,}(\\S+)`, "m").exec(house.log(pc))?.[1]);
  await go(page, "#/agents");
  await page.getByRole("button", { name: en.agents.pair }).click();
  await page.getByLabel(en.agents.code).fill(await told("code"));
  await page.getByRole("button", { name: en.agents.look }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(en.agents.compare).waitFor();
  // What a person compares is the same on both sides.
  await dialog.getByText(await told("fingerprint"), { exact: true }).waitFor();
  return { asking, dialog };
}

it("sends a PC away that asks to be paired and is not known", async () => {
  const { asking, dialog } = await lookUp("stranger");
  await dialog.getByRole("button", { name: en.agents.refuse }).click();
  await dialog.waitFor({ state: "detached" });
  await until("it goes away", () => asking.exitCode);
  expect((await house.api.call("agents.list", {})).agents.filter((one) => one.status !== "revoked").length).toBe(1);
});

it("approves a PC by its code, renames and revokes it", async () => {
  const { asking, dialog } = await lookUp("newcomer");
  await dialog.getByLabel(en.agents.called).fill("Newcomer");
  await dialog.getByRole("button", { name: en.agents.approve, exact: true }).click();
  await until("it is paired", () => asking.exitCode === 0);
  await page.getByRole("link", { name: "Newcomer" }).click();
  await page.getByText(en.agents.noSessions).waitFor();
  await page.getByRole("button", { name: en.agents.revoke, exact: true }).click();
  // Escape keeps it.
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: en.agents.revoke, exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: en.agents.revoke, exact: true }).click();
  await page.getByText(en.agentStatus.revoked, { exact: true }).waitFor();
  const agents = (await house.api.call("agents.list", {})).agents;
  expect(agents.find((one) => one.name === "Newcomer")?.status).toBe("revoked");
});

it("shows what was sent to a webhook, what it answered, and sends it again", async () => {
  const got: string[] = [];
  let status = 503;
  const till = createServer((request, response) => {
    let body = "";
    request.on("data", (data: Buffer) => (body += data.toString()));
    request.on("end", () => (got.push(body), response.writeHead(status).end(status === 503 ? "<b>the till</b> is closed" : undefined)));
  });
  await new Promise<void>((resolve) => till.listen(0, "127.0.0.1", resolve));
  await go(page, "#/settings/webhooks");
  await page.getByLabel(en.settings.url).fill(`http://127.0.0.1:${(till.address() as AddressInfo).port}/`);
  await page.getByRole("form", { name: en.settings.newWebhook }).getByLabel(en.common.name).fill("Till");
  await page.getByRole("button", { name: en.settings.newWebhook }).click();
  await page.locator("code.secret").waitFor();
  const till1 = page.getByRole("region", { name: "Till" });
  await till1.getByRole("button", { name: en.settings.test }).click();
  await page.locator(".toast.bad").getByRole("button").click();
  await till1.getByRole("button", { name: en.settings.deliveries }).click();
  // What somebody else's server says is text.
  await till1.getByText("<b>the till</b> is closed").waitFor();
  await till1.getByText(en.settings.refused, { exact: true }).waitFor();
  // A test is sent anew, not again; what tells of an event is.
  expect(await till1.getByRole("button", { name: en.settings.redeliver }).count()).toBe(0);
  [status, got.length] = [204, 0];
  const content = { inline: pdf(1, 500).toString("base64") };
  const { job } = await house.api.call("jobs.create", { printer: "Files", format: PDF, title: "told of", content });
  await house.job(job.number, "completed");
  await until("it is told of the end", () => got.some((body) => body.includes("job.completed")));
  const deliveries = till1.getByRole("button", { name: en.settings.deliveries });
  await until("the log has it", async () => {
    await deliveries.click();
    await deliveries.click();
    await till1.getByText(en.settings.refused, { exact: true }).waitFor();
    return (await till1.getByText("job.completed").count()) > 0;
  });
  await till1.getByRole("listitem").filter({ hasText: "job.completed" }).getByRole("button", { name: en.settings.redeliver }).click();
  await until("it is told once more", () => got.filter((body) => body.includes("job.completed")).length === 2);
  await till1.getByRole("button", { name: en.common.remove }).click();
  await page.getByRole("dialog").getByRole("button", { name: en.common.remove }).click();
  await page.getByText(en.settings.noWebhooks).waitFor();
  till.closeAllConnections();
  await new Promise((resolve) => till.close(resolve));
});

it("prints with the options that are set for the printer, unless a job says otherwise", async () => {
  await go(page, "#/printers");
  await page.getByRole("link", { name: "Atrium" }).click();
  await page.getByText("Magenta").waitFor();
  const settings = page.getByRole("region", { name: en.printers.settings });
  await settings.getByRole("combobox", { name: en.print.option.sides as string }).selectOption({ label: en.print.value["two-sided-long-edge"] as string });
  await settings.getByRole("combobox", { name: en.printers.onReturn }).selectOption("drop-older-than");
  await settings.getByRole("spinbutton", { name: en.printers.dropAfter }).fill("90");
  await settings.getByRole("combobox", { name: en.printers.onUncertain }).selectOption("drop");
  await settings.getByRole("button", { name: en.common.save }).click();
  await page.getByText(en.common.saved).first().waitFor();
  const set = (await house.api.call("printers.list", {})).printers.find((one) => one.name === "Atrium");
  expect(set?.settings).toMatchObject({
    options: { sides: "two-sided-long-edge" },
    on_return: { policy: "drop-older-than", seconds: 5400 },
    on_uncertain: "drop",
  });

  await go(page, "#/print");
  await page.getByRole("radio", { name: "Atrium" }).check();
  // The page says what "as it is set" means.
  await page.getByText(en.print.presetAs(en.print.value["two-sided-long-edge"] as string)).waitFor({ state: "attached" });
  await print(page, "Atrium", [{ name: "both-sides.pdf", mimeType: PDF, buffer: pdf(2, 5000) }]);
  await (await accepted(page, "both-sides.pdf")).getByRole("link", { name: en.uploads.show }).click();
  await page.getByText(en.witness.device).first().waitFor();
  expect(atrium.jobs.at(-1)?.options["sides"]).toBe("two-sided-long-edge");

  await go(page, "#/print");
  await page.getByRole("combobox", { name: new RegExp(`^${en.print.option.sides}`) }).selectOption("one-sided");
  await print(page, "Atrium", [{ name: "one-side.pdf", mimeType: PDF, buffer: pdf(1, 6000) }]);
  await (await accepted(page, "one-side.pdf")).getByRole("link", { name: en.uploads.show }).click();
  await page.getByText(en.witness.device).first().waitFor();
  expect(atrium.jobs.at(-1)?.options["sides"]).toBe("one-sided");
});

it("tells why a printer does not print, in words", async () => {
  atrium.reasons = ["media-empty-error", "cover-open-error"];
  atrium.message = "Load A4 into tray 1";
  await go(page, "#/overview");
  await page.getByRole("link", { name: en.overview.printer("Atrium") }).click({ timeout: 60_000 });
  await page.getByText(`${en.reasons["media-empty"]} · ${en.reasons["cover-open"]}`).waitFor();
  await page.getByText("Load A4 into tray 1").waitFor();
  [atrium.reasons, atrium.message] = [[], ""];
  await page.getByText(en.printerState.idle, { exact: true }).waitFor({ timeout: 60_000 });
});

it("gives a document back, and says when it is kept no more", async () => {
  const document = pdf(2, 150_000);
  await print(page, "Files", [{ name: "Größe.pdf", mimeType: PDF, buffer: document }]);
  await (await accepted(page, "Größe.pdf")).getByRole("link", { name: en.uploads.show }).click();
  await page.getByText(en.witness.stored).first().waitFor();
  const { id } = (await house.jobs())[0] as Job;
  const take = async (from: Page) => {
    const [download] = await Promise.all([from.waitForEvent("download"), from.getByRole("button", { name: en.job.document }).click()]);
    expect(download.suggestedFilename()).toBe("Größe.pdf");
    expect(sha256(readFileSync(await download.path()))).toBe(sha256(document));
  };
  await take(page);
  // Who signed in by a key has no cookie: the page fetches it.
  const other = await eyes.signedIn({ key: await house.key("read") });
  await go(other, `#/jobs/${id}`);
  await take(other);
  await house.stopBroker("SIGTERM");
  house.config += "[retention]\ndocuments_s = 0\n";
  await house.startBroker();
  await until("the document is gone", async () => (await fetch(`${house.local}/v1/jobs/${id}/document`, { headers: { authorization: `Bearer ${await house.key("read")}` } })).status === 404);
  await other.getByRole("button", { name: en.job.document }).click();
  await other.getByText(en.job.documentGone).waitFor();
  expect(await other.getByRole("button", { name: en.job.document }).count()).toBe(0);
  await other.context().close();
  await until("the agent is back", async () => (await theAgent()).status === "online", 60_000);
});

it("explains that two PCs use one identity, sends to neither, and goes on once one is released", async () => {
  // The copy is made while nobody writes, as a machine's image is.
  await end(agent, "SIGTERM");
  cpSync(house.state("pc"), house.state("twin"), { recursive: true });
  agent = house.runAgent("pc", printers());
  await until("it is online", async () => (await theAgent()).status === "online");
  const twin = house.runAgent("twin", printers());
  await go(page, "#/overview");
  const { id, name } = await theAgent();
  await page.getByRole("link", { name: en.overview.agentClone(name) }).click({ timeout: 60_000 });
  await page.getByRole("heading", { name: en.agents.cloneTitle }).waitFor();
  await page.getByText(en.agents.cloneWhy).waitFor();
  expect((await theAgent()).status).toBe("clone");
  await page.locator("[data-sessions]").getByText(en.agents.ends["clone"] as string).first().waitFor();
  // What is sent meanwhile waits: neither gets it.
  const content = { inline: pdf(1, 777).toString("base64") };
  const { job } = await house.api.call("jobs.create", { printer: "Files", format: PDF, title: "for one of them", content });
  await go(page, `#/jobs/${job.id}`);
  await page.getByText(en.stateWords.pending).waitFor();
  expect(printed(folder)).not.toContain(job.sha256);
  await end(twin, "SIGKILL");
  await go(page, `#/agents/${id}`);
  await page.getByRole("button", { name: en.agents.release }).click();
  await page.getByText(en.agents.released).waitFor();
  await page.getByRole("heading", { name: en.agents.cloneTitle }).waitFor({ state: "detached" });
  // It asks again hourly, or when it is started.
  await end(agent, "SIGTERM");
  agent = house.runAgent("pc", printers());
  await house.job(job.number, "completed");
  expect(printed(folder).filter((digest) => digest === job.sha256).length).toBe(1);
  expect((await theAgent()).status).toBe("online");
}, LONG_MS);
