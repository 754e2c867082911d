/** Every view, light and dark, wide and narrow, in English and Japanese: accessible by axe, within its window, and kept as a picture. */

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer, type Server, type Socket } from "node:net";

import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";

import { Eyes, go } from "./browser.ts";
import { House, pdf, until } from "./house.ts";

const SHOTS = new URL("../../target/console-shots/", import.meta.url).pathname;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

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

beforeAll(async () => {
  mkdirSync(SHOTS, { recursive: true });
  house = await House.open();
  device = createServer((socket) => {
    held.add(socket.on("error", () => undefined));
    socket.pause();
  });
  await new Promise<void>((resolve) => device.listen(0, "127.0.0.1", resolve));
  const { port } = device.address() as { port: number };
  await house.startAgent("front-desk", [
    { name: "Office laser", uri: `directory://${house.folder("office")}`, formats: ["application/pdf", "image/png"] },
    { name: "Label printer", uri: `socket://127.0.0.1:${port}`, formats: ["application/vnd.zebra-zpl"] },
  ]);
  await house.startAgent("warehouse-3", [{ name: "Warehouse", uri: `directory://${house.folder("warehouse")}` }]);
  const { printers } = await until("printers", async () => {
    const all = await house.api.call("printers.list", {});
    return all.printers.length === 3 ? all : undefined;
  });
  const named = (name: string) => printers.find((one) => one.name === name)?.id ?? "";
  printer = named("Office laser");
  agent = printers[0]?.agent ?? "";
  const machines = printers.map((one) => one.agent).filter((id, at, all) => all.indexOf(id) === at);
  for (const [index, name] of ["Front desk", "Warehouse 3"].entries()) await house.api.call("agents.rename", { agent: machines[index] ?? "", name });
  await house.admin("user", "create", "vera", "--role", "viewer");
  await house.api.call("webhooks.create", { url: "https://hooks.example/inkwire", name: "Till system", kinds: ["job."] });
  const titles = ["Invoice 2041", "請求書 2042", "Delivery note", "Packing list for the whole of the third quarter, revised.pdf", "Menu"];
  for (const [index, title] of titles.entries()) {
    const inline = pdf(1, 2000 + index * 3000).toString("base64");
    await house.api.call("jobs.create", { printer, format: "application/pdf", title, content: { inline }, hold: index === 3 });
  }
  // The name of the agent decides which of the two this printer stands behind.
  const label = Buffer.from("^XA^FO50,50^FDInkwire^FS^XZ".repeat(900)).toString("base64");
  await house.api.call("jobs.create", { printer: named("Label printer"), format: "application/vnd.zebra-zpl", title: "Shelf labels", content: { inline: label } });
  const big = house.api.upload(pdf(2, 900_000), { printer: named("Warehouse"), format: "application/pdf", title: "Catalogue" });
  detail = (await big.done).id;
  await until("the catalogue is printed", async () => (await house.api.call("jobs.get", { job: detail })).job.state === "completed");
  key = await house.key("admin");
  eyes = await Eyes.open(house);
});

afterAll(async () => {
  for (const socket of held) socket.destroy();
  await new Promise((resolve) => device?.close(resolve));
  await eyes?.close();
  await house?.close();
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
  { name: "agents", hash: () => "#/agents", ready: (page) => page.locator(".list .chip").first().waitFor() },
  { name: "agent", hash: () => `#/agents/${agent}`, ready: (page) => page.locator(".facts").waitFor() },
  { name: "printers", hash: () => "#/printers", ready: (page) => page.locator(".list .chip").first().waitFor() },
  { name: "printer", hash: () => `#/printers/${printer}`, ready: (page) => page.locator(".facts").first().waitFor() },
  { name: "settings", hash: () => "#/settings", ready: (page) => page.locator(".facts").waitFor() },
  { name: "keys", hash: () => "#/settings/keys", ready: (page) => page.locator("tbody tr").first().waitFor() },
  { name: "users", hash: () => "#/settings/users", ready: (page) => page.locator("tbody tr").first().waitFor() },
  {
    name: "webhooks",
    hash: () => "#/settings/webhooks",
    ready: async (page) => {
      await page.locator("button[aria-expanded]").first().click();
      await page.locator(".list").first().waitFor({ state: "attached" });
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
    }
    await page.context().close();
    expect(found).toEqual([]);
    expect(eyes.faults).toEqual([]);
  });
}
