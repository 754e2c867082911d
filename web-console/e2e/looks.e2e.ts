/** Every view, light and dark, wide and narrow, in English and Japanese: accessible by axe, within its window, and kept as a picture. */

import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";

import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";

import { Eyes, go } from "./browser.ts";
import { end, House, pdf, until } from "./house.ts";
import { IppPrinter } from "./ipp.ts";

const SHOTS = new URL("../../target/console-shots/", import.meta.url).pathname;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Some two dozen views, each judged by axe. */
const LOOKING_MS = 240_000;

let house: House;
let eyes: Eyes;
let key: string;
/** A device that takes bytes and never ends: its job stays printing. */
let device: Server;
const held = new Set<Socket>();

interface Look {
  name: string;
  hash: () => string;
  ready: (page: Page) => Promise<unknown>;
}

let detail = "";
let agent = "";
let printer = "";
let stopped = "";
let uncertain = "";
let clone = "";
/** Takes webhooks' requests, and refuses some of them. */
let till: HttpServer;
let atrium: IppPrinter;

beforeAll(async () => {
  mkdirSync(SHOTS, { recursive: true });
  house = await House.open('[outbound]\nallow = ["127.0.0.1"]\n');
  atrium = await IppPrinter.open();
  let asked = 0;
  till = createHttpServer((request, response) => {
    asked += 1;
    request.resume().on("end", () => response.writeHead(asked % 3 === 0 ? 503 : 204).end(asked % 3 === 0 ? "the till is being restarted" : undefined));
  });
  await new Promise<void>((resolve) => till.listen(0, "127.0.0.1", resolve));
  device = createServer((socket) => {
    held.add(socket.on("error", () => undefined));
    socket.pause();
  });
  await new Promise<void>((resolve) => device.listen(0, "127.0.0.1", resolve));
  const { port } = device.address() as { port: number };
  const frontDesk = [
    { name: "Office laser", uri: `directory://${house.folder("office")}`, formats: ["application/pdf", "image/png"] },
    { name: "Atrium colour", uri: atrium.uri },
    { name: "Label printer", uri: `socket://127.0.0.1:${port}`, formats: ["application/vnd.zebra-zpl"] },
  ];
  const desk = await house.startAgent("front-desk", frontDesk);
  await house.startAgent("warehouse-3", [{ name: "Warehouse", uri: `directory://${house.folder("warehouse")}` }]);
  const { printers } = await until("printers", async () => {
    const all = await house.api.call("printers.list", {});
    return all.printers.length === 4 ? all : undefined;
  });
  const named = (name: string) => printers.find((one) => one.name === name)?.id ?? "";
  printer = named("Office laser");
  agent = printers[0]?.agent ?? "";
  const machines = printers.map((one) => one.agent).filter((id, at, all) => all.indexOf(id) === at);
  for (const [index, name] of ["Front desk", "Warehouse 3"].entries()) await house.api.call("agents.rename", { agent: machines[index] ?? "", name });
  await house.admin("user", "create", "vera", "--role", "viewer");
  const hook = `http://127.0.0.1:${(till.address() as AddressInfo).port}/inkwire`;
  await house.api.call("webhooks.create", { url: hook, name: "Till system", kinds: ["job."] });
  await house.api.call("webhooks.create", { url: "https://hooks.example/a-rather-long-path/that-somebody-chose/for-inkwire", kinds: ["agent."] });
  await house.api.call("enrolments.create", {});
  await house.api.call("keys.create", { name: "Shop in the high street, tills 1 to 4", scope: "submit", expires_in_s: 30 * 86_400 });
  const titles = ["Invoice 2041", "請求書 2042", "Delivery note", "Packing list for the whole of the third quarter, revised.pdf", "Menu"];
  for (const [index, title] of titles.entries()) {
    const inline = pdf(1, 2000 + index * 3000).toString("base64");
    await house.api.call("jobs.create", { printer, format: "application/pdf", title, content: { inline }, hold: index === 3 });
  }
  const big = house.api.upload(pdf(2, 900_000), { printer: named("Warehouse"), format: "application/pdf", title: "Catalogue" });
  detail = (await big.done).id;
  await until("the catalogue is printed", async () => (await house.api.call("jobs.get", { job: detail })).job.state === "completed");
  // A clone, and a job that nobody knows the end of, once the device has part of it.
  await house.startAgent("kiosk", [{ name: "Kiosk", uri: `directory://${house.folder("kiosk")}` }]);
  const kiosk = await until("the kiosk is there", async () => (await house.api.call("agents.list", {})).agents.find((one) => !machines.includes(one.id)));
  clone = kiosk.id;
  await house.api.call("agents.rename", { agent: clone, name: "Kiosk" });
  cpSync(house.state("kiosk"), house.state("kiosk-2"), { recursive: true });
  const twin = house.runAgent("kiosk-2", []);
  await until("the clone is noticed", async () => (await house.api.call("agents.get", { agent: clone })).status === "clone", 60_000);
  await end(twin, "SIGKILL");
  const labels = house.api.upload(Buffer.alloc(12_000_000, "^XA^FS^XZ"), { printer: named("Label printer"), format: "application/vnd.zebra-zpl", title: "Shelf labels" });
  const { id, number } = await labels.done;
  await until("a part is at the device", async () => (await house.api.call("jobs.get", { job: id })).job.delivered_bytes > 0);
  await end(desk, "SIGKILL");
  house.runAgent("front-desk", frontDesk);
  await house.job(number, "uncertain");
  uncertain = id;
  stopped = named("Atrium colour");
  await house.api.call("printers.update", { printer: stopped, options: { sides: "two-sided-long-edge" } });
  atrium.reasons = ["media-empty-error"];
  atrium.message = "Load A4 into tray 1";
  await until("it is told that paper is out", async () => (await house.api.call("printers.get", { printer: stopped })).info.state === "stopped", 60_000);
  key = await house.key("admin");
  eyes = await Eyes.open(house);
}, LOOKING_MS);

afterAll(async () => {
  for (const socket of held) socket.destroy();
  await new Promise((resolve) => device?.close(resolve));
  await eyes?.close();
  await house?.close();
  await atrium?.close();
  await new Promise((resolve) => till?.close(resolve));
});

const LOOKS: Look[] = [
  { name: "overview", hash: () => "#/overview", ready: (page) => page.locator(".tiles").waitFor() },
  {
    name: "print",
    hash: () => `#/print?printer=${printer}`,
    ready: async (page) => {
      await page.locator('input[type="file"][multiple]').setInputFiles([{ name: "invoice.pdf", mimeType: "application/pdf", buffer: pdf(2, 1000) }]);
      await page.locator('.preview[aria-busy="false"]').waitFor();
    },
  },
  { name: "jobs", hash: () => "#/jobs", ready: (page) => page.locator("[data-job]").first().waitFor() },
  { name: "jobs-none", hash: () => "#/jobs?search=nothing-is-called-so", ready: (page) => page.locator(".empty").waitFor() },
  { name: "job", hash: () => `#/jobs/${detail}`, ready: (page) => page.locator(".timeline li").nth(3).waitFor() },
  { name: "job-uncertain", hash: () => `#/jobs/${uncertain}`, ready: (page) => page.locator(".timeline li").nth(3).waitFor() },
  { name: "agents", hash: () => "#/agents", ready: (page) => page.locator(".list .chip").first().waitFor() },
  { name: "agent", hash: () => `#/agents/${agent}`, ready: (page) => page.locator("[data-sessions] > li").first().waitFor() },
  { name: "agent-clone", hash: () => `#/agents/${clone}`, ready: (page) => page.locator("[data-sessions] > li").first().waitFor() },
  { name: "printers", hash: () => "#/printers", ready: (page) => page.locator(".list .chip").first().waitFor() },
  { name: "printer", hash: () => `#/printers/${printer}`, ready: (page) => page.locator(".facts").first().waitFor() },
  { name: "printer-stopped", hash: () => `#/printers/${stopped}`, ready: (page) => page.locator("fieldset").first().waitFor() },
  {
    name: "print-options",
    hash: () => `#/print?printer=${stopped}`,
    ready: (page) => page.locator("details summary").first().click(),
  },
  { name: "settings", hash: () => "#/settings", ready: (page) => page.locator(".facts").waitFor() },
  {
    name: "enrolments",
    hash: () => "#/settings/enrolments",
    ready: async (page) => {
      await page.locator("button.main").click();
      await page.locator("code.secret").waitFor();
    },
  },
  { name: "keys", hash: () => "#/settings/keys", ready: (page) => page.locator("tbody tr").first().waitFor() },
  {
    name: "confirm",
    hash: () => "#/settings/keys",
    ready: async (page) => {
      await page.locator("tbody button.grave").first().click();
      await page.locator("dialog").waitFor();
    },
  },
  { name: "users", hash: () => "#/settings/users", ready: (page) => page.locator("tbody tr").first().waitFor() },
  {
    name: "webhooks",
    hash: () => "#/settings/webhooks",
    ready: async (page) => {
      await page.locator("button[aria-expanded]").first().click();
      await page.locator(".list li").nth(3).waitFor();
    },
  },
  { name: "audit", hash: () => "#/settings/audit", ready: (page) => page.locator("tbody tr").first().waitFor() },
  { name: "limits", hash: () => "#/settings/limits", ready: (page) => page.locator("tbody tr").first().waitFor() },
];

async function violations(page: Page): Promise<string[]> {
  return page.evaluate(async (source) => {
    const scope = window as unknown as { axe?: { run(on: Document, options: object): Promise<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }> } };
    // The policy forbids inline scripts; the test's own world does not ask it.
    if (!scope.axe) new Function(source)();
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const result = await (scope.axe as NonNullable<typeof scope.axe>).run(document, { runOnly: { type: "tag", values: tags } });
    return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} ${node.failureSummary ?? ""}`).join(" | ")}`);
  }, AXE);
}

async function fits(page: Page): Promise<boolean> {
  return page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
}

for (const [locale, scheme, width] of [
  ["en-GB", "light", 1280],
  ["en-GB", "dark", 1280],
  ["en-GB", "light", 360],
  ["en-GB", "dark", 360],
  ["ja-JP", "light", 1280],
  ["ja-JP", "light", 360],
] as const) {
  const kind = `${locale.slice(0, 2)}-${scheme}-${width}`;
  it(`looks well: ${kind}`, async () => {
    const options = { locale, colorScheme: scheme, viewport: { width, height: width === 360 ? 740 : 860 }, bypassCSP: true } as const;
    const out = await (await eyes.context(options)).newPage();
    await out.goto(house.url);
    await out.locator("form").first().waitFor();
    const found: string[] = (await violations(out)).map((one) => `sign-in: ${one}`);
    await out.screenshot({ path: `${SHOTS}${kind}-sign-in.png` });
    await out.context().close();
    const page = await eyes.signedIn({ key }, options);
    for (const { name, hash, ready } of LOOKS) {
      await go(page, hash());
      await ready(page);
      await page.evaluate(() => document.fonts.ready);
      if (!(await fits(page))) found.push(`${name}: wider than its window`);
      found.push(...(await violations(page)).map((one) => `${name}: ${one}`));
      await page.screenshot({ path: `${SHOTS}${kind}-${name}.png`, fullPage: true });
      await page.keyboard.press("Escape");
    }
    await page.context().close();
    expect(found).toEqual([]);
    expect(eyes.faults).toEqual([]);
  }, LOOKING_MS);
}
