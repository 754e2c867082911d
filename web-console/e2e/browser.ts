/** The system's Chromium with a home of its own, which trusts the test's certificate authority and nothing else of this machine. */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Browser, type BrowserContext, chromium, type BrowserContextOptions, type Page } from "playwright-core";

import type { House } from "./house.ts";

export class Eyes {
  readonly browser: Browser;
  readonly #home: string;
  /** What no page may do: ask somebody else, break the policy, or throw. */
  readonly faults: string[] = [];
  readonly #house: House;

  private constructor(browser: Browser, home: string, house: House) {
    this.browser = browser;
    this.#home = home;
    this.#house = house;
  }

  static async open(house: House): Promise<Eyes> {
    const home = mkdtempSync(join(tmpdir(), "inkwire-home-"));
    for (const folder of [".pki/nssdb", ".local/share/pki/nssdb"]) {
      const store = join(home, folder);
      mkdirSync(store, { recursive: true });
      execFileSync("certutil", ["-d", `sql:${store}`, "-N", "--empty-password"]);
      execFileSync("certutil", ["-d", `sql:${store}`, "-A", "-t", "C,,", "-n", "inkwire test", "-i", house.ca]);
    }
    const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
    const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"];
    const browser = await chromium.launch({ executablePath, args, env: { ...process.env, HOME: home } as Record<string, string> });
    return new Eyes(browser, home, house);
  }

  async context(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    const context = await this.browser.newContext({ locale: "en-GB", timezoneId: "Europe/Zurich", viewport: { width: 1280, height: 860 }, ...options });
    context.on("request", (request) => {
      const ours = [this.#house.url, this.#house.local, "blob:", "data:"].some((begin) => request.url().startsWith(begin));
      if (!ours) this.faults.push(`asked somebody else: ${request.url()}`);
    });
    context.on("weberror", (error) => this.faults.push(`threw: ${error.error().stack ?? error.error().message}`));
    context.on("console", (message) => {
      if (/Content Security Policy|Refused to/i.test(message.text())) this.faults.push(`broke the policy: ${message.text()}`);
    });
    return context;
  }

  /** A page that is signed in. */
  async signedIn(by: { key: string }, options: BrowserContextOptions = {}, at = this.#house.url): Promise<Page> {
    const page = await (await this.context(options)).newPage();
    await page.goto(`${at}/`);
    await signInByKey(page, by.key);
    await page.getByRole("navigation").first().waitFor();
    return page;
  }

  async close(): Promise<void> {
    await this.browser.close();
    rmSync(this.#home, { recursive: true, force: true });
  }
}

export async function signInByKey(page: Page, key: string): Promise<void> {
  const field = page.getByLabel(/^(API key|API キー)/);
  if (!(await field.isVisible())) await page.getByText(/^(With an API key|API キーで)$/).click();
  await field.fill(key);
  await page.getByRole("button", { name: /^(Sign in|サインイン)$/ }).last().click();
}

export async function go(page: Page, hash: string): Promise<void> {
  await page.evaluate((to) => (location.hash = to), hash);
}

/** Chooses a printer and files on the page "Print", and sends them. */
export async function print(page: Page, printer: string, files: { name: string; mimeType: string; buffer: Buffer }[]): Promise<void> {
  await go(page, "#/print");
  await page.getByRole("radio", { name: printer }).check();
  await page.locator('input[type="file"][multiple]').setInputFiles(files);
  await page.getByRole("button", { name: /^Print( \d+ documents)?$/ }).click();
}

/** The line of an upload, once the broker has accepted it. */
export async function accepted(page: Page, name: string) {
  const line = page.locator('[data-uploads] [data-state="accepted"]').filter({ hasText: name });
  await line.waitFor();
  return line;
}
