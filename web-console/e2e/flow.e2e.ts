/** What people do, against a real broker and a real agent over TLS. After every test page, API and printer must agree. */

import { createHash } from "node:crypto";

import type { Job } from "@inkwire/client";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

import { en } from "../src/i18n/en.ts";
import { accepted, Eyes, go, print, signInByKey } from "./browser.ts";
import { House, pdf, printed, until } from "./house.ts";

let house: House;
let eyes: Eyes;
let folder: string;
let page: Page;

const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");
const PDF = "application/pdf";

beforeAll(async () => {
  house = await House.open();
  folder = house.folder("office");
  await house.startAgent("office-pc", [{ name: "Office", uri: `directory://${folder}`, formats: [PDF, "text/plain"] }]);
  eyes = await Eyes.open(house);
  await until("the printer is there", async () => (await house.api.call("printers.list", {})).printers.length === 1);
  page = await eyes.signedIn({ key: await house.key("admin") });
});

afterAll(async () => {
  await eyes?.close();
  await house?.close();
});

afterEach(async () => {
  house.door.up = house.door.down = house.wire.up = house.wire.down = Infinity;
  await agree(page);
  expect(eyes.faults).toEqual([]);
});

/** The page, the API and the printer tell the same. */
async function agree(page: Page): Promise<void> {
  await go(page, "#/jobs");
  const jobs = await house.jobs();
  for (const job of jobs.slice(0, 8)) {
    const row = page.locator(`[data-job="${job.number}"]`);
    await row.getByText(en.state[job.state], { exact: true }).waitFor({ timeout: 10_000 });
    expect(await row.locator(".title").innerText()).toBe(job.title || en.jobs.untitled);
  }
  const completed = jobs.filter((job) => job.state === "completed").map((job) => job.sha256);
  expect(printed(folder).sort()).toEqual(completed.sort());
}

async function newest(): Promise<Job> {
  return until("there is a job", async () => (await house.jobs())[0]);
}

it("refuses a wrong key in words, and takes a right one", async () => {
  const stranger = await (await eyes.context()).newPage();
  await stranger.goto(house.url);
  await signInByKey(stranger, "ik_wrong");
  await stranger.getByRole("alert").getByText(/key/).waitFor();
  await signInByKey(stranger, await house.key("read"));
  await stranger.getByRole("heading", { name: en.overview.title, level: 1 }).waitFor();
  await stranger.context().close();
});

it("prints a real PDF, and shows its pages before", async () => {
  const document = pdf(3, 200_000);
  await go(page, "#/print");
  await page.getByRole("radio", { name: "Office" }).check();
  await page.locator('input[type="file"][multiple]').setInputFiles([{ name: "invoice.pdf", mimeType: PDF, buffer: document }]);
  await page.getByText(en.print.page(1, 3)).waitFor();
  const ink = () =>
    page.locator("canvas").evaluate((canvas: HTMLCanvasElement) => {
      const data = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, 200).data ?? [];
      let dark = 0;
      for (let i = 0; i < data.length; i += 4) if ((data[i] ?? 255) < 100) dark += 1;
      return dark;
    });
  await until("the page is drawn", async () => (await ink()) > 200);
  await page.getByRole("button", { name: en.print.next }).click();
  await page.getByText(en.print.page(2, 3)).waitFor();
  await page.getByRole("button", { name: "Print", exact: true }).click();
  await (await accepted(page, "invoice.pdf")).getByRole("link", { name: en.uploads.show }).click();
  await page.getByText(en.witness.stored).first().waitFor();
  const job = await newest();
  expect(job).toMatchObject({ state: "completed", sha256: sha256(document), title: "invoice.pdf" });
  // Times are those of the viewer's zone, which is not this process's.
  const { history } = await house.api.call("jobs.get", { job: job.id });
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1, timeZone: "Europe/Zurich" });
  expect(await page.locator(".timeline time").allInnerTexts()).toEqual(history.map((event) => clock.format(event.at_ms)));
});

it("refuses a format that the printer does not take, with the remedy", async () => {
  await go(page, "#/print");
  await page.getByRole("radio", { name: "Office" }).check();
  await page.locator('input[type="file"][multiple]').setInputFiles([{ name: "photo.png", mimeType: "image/png", buffer: Buffer.from("x") }]);
  await page.getByText(en.print.refuses("image/png")).waitFor();
  expect(await page.getByRole("button", { name: "Print", exact: true }).isDisabled()).toBe(true);
  await page.getByRole("button", { name: "Remove: photo.png" }).click();
});

it("tells that the agent's link was cut in mid-document, and that it goes on", async () => {
  const document = pdf(2, 3_000_000);
  house.wire.down = 600_000;
  const before = house.wire.delivered;
  await print(page, "Office", [{ name: "catalogue.pdf", mimeType: PDF, buffer: document }]);
  await (await accepted(page, "catalogue.pdf")).getByRole("link", { name: en.uploads.show }).click();
  await until("some of it is on its way", () => house.wire.delivered - before > 1_000_000);
  house.wire.silence();
  await page.getByText(en.event["job.cut"] as string).waitFor();
  await page.getByText(en.event["job.resumed"] as string).waitFor();
  house.wire.down = Infinity;
  await page.locator(".timeline strong").getByText(en.event["job.completed"] as string, { exact: true }).waitFor();
  const job = await newest();
  expect(job.sha256).toBe(sha256(document));
  const { history } = await house.api.call("jobs.get", { job: job.id });
  const kinds = history.map((event) => event.kind);
  expect(kinds).toContain("job.cut");
  const shown = await page.locator(".timeline strong").allInnerTexts();
  expect(shown).toEqual(kinds.map((kind) => en.event[kind]));
});

it("goes on with an upload after a reload of the page, without being asked for the file", async () => {
  const document = pdf(1, 2_000_000);
  house.door.up = 400_000;
  await print(page, "Office", [{ name: "reloaded.pdf", mimeType: PDF, buffer: document }]);
  await until("some of it is durable", async () => ((await house.jobs())[0]?.received_bytes ?? 0) >= 0 && (await page.locator('[data-state="sending"] progress').first().evaluate((bar: HTMLProgressElement) => bar.value)) > 300_000);
  const { number } = await newest();
  page.once("dialog", (dialog) => void dialog.accept());
  await page.reload();
  house.door.up = Infinity;
  await house.job(number, "completed");
  expect((await newest()).sha256).toBe(sha256(document));
  expect((await house.jobs()).filter((job) => job.title === "reloaded.pdf").length).toBe(1);
});

it("asks for the file where the browser does not have it any more, and goes on where it stopped", async () => {
  const document = pdf(1, 2_000_000);
  house.door.up = 400_000;
  await print(page, "Office", [{ name: "again.pdf", mimeType: PDF, buffer: document }]);
  const bar = page.locator('[data-state="sending"] progress').first();
  await until("some of it is durable", async () => (await bar.evaluate((bar: HTMLProgressElement) => bar.value)) > 300_000);
  const { number } = await newest();
  await page.evaluate(async () => {
    await new Promise((resolve) => (indexedDB.deleteDatabase("inkwire").onsuccess = resolve));
  });
  page.once("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await go(page, "#/print");
  await page.getByText(en.uploads.needsFile).waitFor();
  const input = page.locator('[data-state="needs-file"] input[type="file"]');
  await input.setInputFiles([{ name: "again.pdf", mimeType: PDF, buffer: document.subarray(5) }]);
  await page.getByText(en.uploads.wrongFile).waitFor();
  house.door.up = Infinity;
  await input.setInputFiles([{ name: "again.pdf", mimeType: PDF, buffer: document }]);
  await house.job(number, "completed");
  expect((await newest()).sha256).toBe(sha256(document));
});

it("cancels an upload", async () => {
  house.door.up = 300_000;
  await print(page, "Office", [{ name: "unwanted.pdf", mimeType: PDF, buffer: pdf(1, 2_000_000) }]);
  await page.locator('[data-state="sending"]').first().waitFor();
  await page.getByRole("button", { name: en.uploads.cancel("unwanted.pdf") }).click();
  house.door.up = Infinity;
  await page.getByText(en.uploads.canceled).first().waitFor();
  expect((await newest()).state).toBe("canceled");
});

it("shows the same in two tabs, and only one of them uploads", async () => {
  const document = pdf(1, 1_500_000);
  const other = await page.context().newPage();
  await other.goto(house.url);
  const signedOut = other.getByText(en.signIn.byKey);
  await Promise.race([signedOut.waitFor(), other.getByRole("navigation").first().waitFor()]);
  if (await signedOut.isVisible()) await signInByKey(other, await house.key("admin"));
  await go(other, "#/jobs");
  house.door.up = 500_000;
  await print(page, "Office", [{ name: "tabs.pdf", mimeType: PDF, buffer: document }]);
  await other.getByText("tabs.pdf").waitFor();
  await other.reload();
  if (await signedOut.isVisible().catch(() => false)) await signInByKey(other, await house.key("admin"));
  await house.job((await newest()).number, "completed");
  await go(other, "#/jobs");
  await other.locator(`[data-job="${(await newest()).number}"]`).getByText(en.state.completed, { exact: true }).waitFor();
  expect((await newest()).sha256).toBe(sha256(document));
  await other.close();
});

it("holds, releases and cancels a job", async () => {
  await go(page, "#/print");
  await page.getByRole("radio", { name: "Office" }).check();
  await page.locator('input[type="file"][multiple]').setInputFiles([{ name: "held.txt", mimeType: "text/plain", buffer: Buffer.from("held") }]);
  await page.getByLabel(en.print.holdFirst).check();
  await page.getByRole("button", { name: "Print", exact: true }).click();
  await (await accepted(page, "held.txt")).getByRole("link", { name: en.uploads.show }).click();
  await page.getByText(en.stateWords.held).waitFor();
  await page.getByRole("button", { name: en.job.release, exact: true }).click();
  await page.getByText(en.witness.stored).first().waitFor();
});

it("filters jobs by state, printer, agent, words and number, as the address says and the API does", async () => {
  const jobs = await house.jobs();
  const numbers = (chosen: Job[]) => chosen.map((job) => job.number);
  const shows = (expected: number[]) =>
    until(`the list has ${expected.join(", ")}`, async () => {
      const shown = await page.locator("[data-job]").evaluateAll((rows) => rows.map((row) => Number(row.getAttribute("data-job"))));
      return JSON.stringify(shown) === JSON.stringify(expected);
    });
  const filters = page.getByRole("search");
  await go(page, "#/jobs");
  await filters.getByLabel(en.jobs.state).selectOption("canceled");
  await shows(numbers(jobs.filter((job) => job.state === "canceled")));
  expect(page.url()).toContain("state=canceled");
  await filters.getByLabel(en.jobs.state).selectOption("done");
  await shows(numbers(jobs.filter((job) => ["completed", "canceled", "aborted", "expired"].includes(job.state))));
  await filters.getByLabel(en.jobs.state).selectOption("");
  await filters.getByLabel(en.jobs.printer).selectOption("Office");
  await filters.getByLabel(en.jobs.agent, { exact: true }).selectOption({ index: 1 });
  await shows(numbers(jobs));
  const search = filters.getByRole("searchbox");
  await search.fill("RELOADED");
  await shows(numbers(jobs.filter((job) => job.title.includes("reloaded"))));
  await search.fill(String(jobs[2]?.number));
  await shows(numbers([jobs[2] as Job]));
  await search.fill("nothing is called so");
  await page.getByText(en.jobs.noMatch).waitFor();
  await page.getByRole("button", { name: en.jobs.clear }).click();
  await shows(numbers(jobs));
});

it("does not move what one looks at while jobs are printed", async () => {
  const places = () =>
    page.locator("h1, h2, nav a, .tile, .plot, .filters > *, .table .head").evaluateAll((all) =>
      all.map((one) => {
        const { x, y, width, height } = one.getBoundingClientRect();
        return [one.tagName, x, y, width, height].join(" ");
      }),
    );
  for (const [view, ready] of [["overview", ".plot canvas"], ["jobs", "[data-job]"], ["printers", ".list .chip"], ["agents", ".list .chip"]] as const) {
    await go(page, `#/${view}`);
    await page.locator(ready).first().waitFor();
    await page.evaluate(() => document.fonts.ready);
    const before = await until("it stands still", async () => {
      const one = await places();
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      return JSON.stringify(one) === JSON.stringify(await places()) ? one : undefined;
    });
    const made = await Promise.all(
      [1, 2, 3].map((n) => house.api.call("jobs.create", { printer: "Office", format: "text/plain", title: `${view} ${n}`, content: { inline: Buffer.from(`${view} ${n}`).toString("base64") } })),
    );
    for (const { job } of made) await house.job(job.number, "completed");
    if (view === "overview" || view === "jobs") await page.getByText(`${view} 3`).first().waitFor();
    expect(await places()).toEqual(before);
  }
});

it("prints by the keyboard alone", async () => {
  const tabTo = async (selector: string) => {
    for (let i = 0; i < 80; i += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((one) => document.activeElement?.matches(one) === true, selector)) return;
    }
    throw new Error(`the keyboard does not reach ${selector}`);
  };
  // From the beginning, so that the browser is told in time to leave the choice of files to the test.
  const choosing = page.waitForEvent("filechooser");
  await go(page, "#/agents");
  await page.reload();
  await page.getByRole("heading", { name: en.agents.title, level: 1 }).waitFor();
  await tabTo('a[href="#/print"]');
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: en.print.title, level: 1 }).waitFor();
  await tabTo('input[type="radio"]');
  await page.keyboard.press("Space");
  await tabTo('input[type="file"]');
  await page.keyboard.press("Enter");
  const chooser = await choosing;
  await chooser.setFiles([{ name: "keys.txt", mimeType: "text/plain", buffer: Buffer.from("by the keyboard") }]);
  await page.getByText("keys.txt").first().waitFor();
  await tabTo("form button.main");
  await page.keyboard.press("Enter");
  await accepted(page, "keys.txt");
  await tabTo('[data-state="accepted"] a');
  await page.keyboard.press("Enter");
  await page.getByText(en.witness.stored).first().waitFor();
});

it("prints what is dropped on the page", async () => {
  await go(page, "#/print");
  await page.getByRole("radio", { name: "Office" }).check();
  const dropped = await page.evaluateHandle(() => {
    const data = new DataTransfer();
    data.items.add(new File(["dropped"], "dropped.txt", { type: "text/plain" }));
    return data;
  });
  await page.locator(".drop").dispatchEvent("drop", { dataTransfer: dropped });
  await page.getByText("dropped.txt").first().waitFor();
  await page.getByRole("button", { name: "Print", exact: true }).click();
  await accepted(page, "dropped.txt");
});

it("lets a viewer look and not print", async () => {
  const viewer = await eyes.signedIn({ key: await house.key("read") });
  await go(viewer, "#/print");
  await viewer.getByText(en.print.mayNot).waitFor();
  await viewer.getByRole("radio", { name: "Office" }).check();
  await viewer.locator('input[type="file"][multiple]').setInputFiles([{ name: "no.pdf", mimeType: PDF, buffer: pdf(1, 1000) }]);
  expect(await viewer.getByRole("button", { name: "Print", exact: true }).isDisabled()).toBe(true);
  const { id } = await newest();
  await go(viewer, `#/jobs/${id}`);
  await viewer.getByText(en.job.facts).waitFor();
  expect(await viewer.getByRole("button", { name: en.job.reprint }).count()).toBe(0);
  await viewer.context().close();
});

it("keeps a draft when the session ends, and goes on after signing in again", async () => {
  const key = (await house.admin("key", "create", "--scope", "admin", "--name", "to be revoked")) as { id: string; key: string };
  const user = await eyes.signedIn({ key: key.key });
  const document = pdf(1, 40_000);
  await go(user, "#/print");
  await user.getByRole("radio", { name: "Office" }).check();
  await user.locator('input[type="file"][multiple]').setInputFiles([{ name: "draft.pdf", mimeType: PDF, buffer: document }]);
  await house.admin("key", "revoke", key.id);
  const dialog = user.getByRole("dialog");
  await dialog.getByText(en.signIn.expired).waitFor();
  await signInByKey(user, await house.key("submit"));
  await dialog.waitFor({ state: "detached" });
  expect(await user.getByText("draft.pdf").first().isVisible()).toBe(true);
  await user.getByRole("button", { name: "Print", exact: true }).click();
  await accepted(user, "draft.pdf");
  await house.job((await newest()).number, "completed");
  await user.context().close();
});

it("comes back by itself when the broker is killed and started again under the page", async () => {
  await go(page, "#/jobs");
  await house.stopBroker("SIGKILL");
  await page.getByText(/The connection is lost|Connecting to the broker/).waitFor();
  await house.startBroker();
  await page.getByText(/The connection is lost|Connecting to the broker/).waitFor({ state: "detached", timeout: 40_000 });
  await until("the agent is back", async () => (await house.api.call("agents.list", {})).agents[0]?.status === "online", 60_000);
  await print(page, "Office", [{ name: "after.pdf", mimeType: PDF, buffer: pdf(1, 30_000) }]);
  await accepted(page, "after.pdf");
  await house.job((await newest()).number, "completed");
});
