/** Signing in and out, roles, and what an owner and an operator look after. */

import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";

import { en } from "../src/i18n/en.ts";
import { accepted, Eyes, go, print } from "./browser.ts";
import { House, pdf, until } from "./house.ts";

const PASSWORD = "correct horse battery";
const PDF = "application/pdf";

let house: House;
let eyes: Eyes;
let owner: Page;

beforeAll(async () => {
  house = await House.open();
  await house.startAgent("pc", [{ name: "Office", uri: `directory://${house.folder("office")}`, formats: [PDF] }]);
  eyes = await Eyes.open(house);
  await until("the printer is there", async () => (await house.api.call("printers.list", {})).printers.length === 1);
});

afterAll(async () => {
  await eyes?.close();
  await house?.close();
});

async function link(user: string): Promise<string> {
  return ((await house.admin("user", "link", user)) as { link: string }).link;
}

async function open(at: string): Promise<Page> {
  const page = await (await eyes.context()).newPage();
  await page.goto(at);
  return page;
}

async function signInByPassword(page: Page, user: string, password: string): Promise<void> {
  await page.getByLabel(en.signIn.user).fill(user);
  await page.getByLabel(en.signIn.password, { exact: true }).fill(password);
  await page.getByRole("button", { name: en.signIn.go }).first().click();
}

it("signs in by a link, once, with a cookie that no script sees", async () => {
  const once = await link("owner");
  owner = await open(once);
  await owner.getByRole("heading", { name: en.overview.title, level: 1 }).waitFor();
  expect(owner.url()).not.toContain("token");
  expect(await owner.evaluate(() => document.cookie)).toBe("");
  const cookies = await owner.context().cookies();
  expect(cookies).toMatchObject([{ httpOnly: true, secure: true, sameSite: "Strict" }]);
  await owner.reload();
  await owner.getByRole("heading", { name: en.overview.title, level: 1 }).waitFor();
  const again = await open(once);
  await again.getByRole("alert").getByText(/link/).waitFor();
  await again.context().close();
  expect(eyes.faults).toEqual([]);
});

it("signs in on plain HTTP for this machine too", async () => {
  const { console_link } = (await house.admin("user", "link", "owner")) as { console_link: string };
  const page = await open(console_link);
  await page.getByRole("heading", { name: en.overview.title, level: 1 }).waitFor();
  await print(page, "Office", [{ name: "local.pdf", mimeType: PDF, buffer: pdf(1, 90_000) }]);
  await accepted(page, "local.pdf");
  await page.context().close();
  expect(eyes.faults).toEqual([]);
});

it("sets a password, signs out, and signs in with it", async () => {
  await go(owner, "#/settings");
  await owner.getByLabel(en.settings.newPassword).fill(PASSWORD);
  await owner.getByRole("button", { name: en.common.save }).click();
  await owner.getByText(en.common.saved).waitFor();
  await owner.getByRole("button", { name: en.signIn.out }).click();
  await signInByPassword(owner, "owner", "wrong password");
  await owner.getByRole("alert").locator(".note").waitFor();
  await signInByPassword(owner, "owner", PASSWORD);
  await owner.getByRole("heading", { level: 1 }).waitFor();
  await owner.getByRole("navigation").first().waitFor();
  expect(eyes.faults).toEqual([]);
});

it("makes a viewer, who may look and not print, and keeps the viewer out at once", async () => {
  await go(owner, "#/settings/users");
  await owner.getByLabel(en.common.name, { exact: true }).fill("vera");
  await owner.getByRole("form", { name: en.settings.newUser }).getByLabel(en.settings.role).selectOption("viewer");
  await owner.getByRole("button", { name: en.settings.newUser }).click();
  const viewer = await open(await owner.locator("code.secret").innerText());
  await viewer.getByRole("navigation").first().waitFor();
  await go(viewer, "#/print");
  await viewer.getByText(en.print.mayNot).waitFor();
  await go(viewer, "#/settings/users");
  await viewer.getByRole("button", { name: en.signIn.out }).waitFor();
  expect(await viewer.getByText("vera").count()).toBeGreaterThan(0);
  expect(await viewer.getByRole("button", { name: en.settings.newUser }).count()).toBe(0);
  await owner.getByLabel(`${en.settings.disabled}: vera`).check();
  await viewer.getByRole("dialog").getByText(en.signIn.expired).waitFor({ timeout: 5000 });
  await viewer.context().close();
  expect(eyes.faults).toEqual([]);
});

it("makes a key that works, and revokes it", async () => {
  await go(owner, "#/settings/keys");
  await owner.getByLabel(en.settings.keyName).fill("till 4");
  await owner.getByRole("button", { name: en.settings.newKey }).click();
  const key = await owner.locator("code.secret").innerText();
  const asked = () => fetch(`${house.local}/v1/me`, { headers: { authorization: `Bearer ${key}` } });
  expect((await asked()).status).toBe(200);
  await owner.getByRole("button", { name: `${en.settings.revokeKey}: till 4` }).click();
  await owner.getByRole("dialog").getByRole("button", { name: en.settings.revokeKey }).click();
  await owner.getByText(en.settings.revoked).first().waitFor();
  expect((await asked()).status).toBe(401);
  expect(eyes.faults).toEqual([]);
});

it("names printer and agent, prints a test page, prints a job again, and all of it stands in the audit log", async () => {
  await go(owner, "#/printers");
  await owner.getByRole("link", { name: "Office" }).click();
  await owner.getByLabel(en.common.name).fill("Front office");
  await owner.getByRole("button", { name: en.common.save }).click();
  await owner.getByRole("heading", { name: "Front office" }).waitFor();
  await owner.getByRole("button", { name: en.printers.testPage }).click();
  await owner.getByText(en.witness.stored).first().waitFor();
  await owner.getByRole("button", { name: en.job.reprint }).click();
  await owner.getByText(en.job.reprintOf).waitFor();
  await owner.getByText(en.witness.stored).first().waitFor();
  const jobs = await house.jobs();
  expect(jobs[0]).toMatchObject({ state: "completed", reprint_of: jobs[1]?.id, sha256: jobs[1]?.sha256 });
  const [agent] = (await house.api.call("agents.list", {})).agents;
  await go(owner, `#/agents/${agent?.id}`);
  await owner.getByRole("button", { name: en.agents.rename }).click();
  await owner.getByRole("dialog").getByLabel(en.common.name).fill("Reception");
  await owner.getByRole("dialog").getByRole("button", { name: en.common.save }).click();
  await owner.getByRole("heading", { name: "Reception" }).waitFor();
  await go(owner, "#/settings/audit");
  for (const action of ["keys.create", "keys.revoke", "users.create", "printers.update", "agents.rename"]) {
    await owner.getByRole("cell", { name: action, exact: true }).first().waitFor();
  }
  expect(eyes.faults).toEqual([]);
});

it("lowers a limit, and says what the broker refuses", async () => {
  await go(owner, "#/settings/limits");
  await owner.getByLabel(en.settings.limitNames.jobs_per_day).fill("500");
  await owner.getByRole("button", { name: en.settings.saveLimits }).click();
  await owner.getByText(en.common.saved).first().waitFor();
  expect((await house.api.call("limits.get", {})).account.jobs_per_day).toBe(500);
  await go(owner, "#/settings/webhooks");
  await owner.getByText(en.settings.noWebhooks).waitFor();
  await owner.getByLabel(en.settings.url).fill("http://user:secret@hooks.example/");
  await owner.getByRole("button", { name: en.settings.newWebhook }).click();
  await owner.locator(".toast.bad").waitFor();
  await owner.locator(".toast.bad").getByRole("button").click();
  await owner.getByLabel(en.settings.url).fill("https://hooks.example/inkwire");
  await owner.getByRole("button", { name: en.settings.newWebhook }).click();
  await owner.getByText(en.settings.webhookSecret).waitFor();
  expect(await owner.locator("code.secret").innerText()).toMatch(/^whsec_/);
  expect(eyes.faults).toEqual([]);
});

it("shows on the overview what needs a human", async () => {
  await go(owner, "#/overview");
  await owner.getByText(en.overview.nothing).waitFor();
  const content = { inline: pdf(1, 1000).toString("base64") };
  const { job } = await house.api.call("jobs.create", { printer: "Front office", format: PDF, title: "Held back", content, hold: true });
  await owner.getByRole("link", { name: en.overview.held(1) }).click();
  await owner.locator(`[data-job="${job.number}"]`).getByText(en.state.held, { exact: true }).waitFor();
  expect(await owner.locator("[data-job]").count()).toBe(1);
  expect(eyes.faults).toEqual([]);
});
