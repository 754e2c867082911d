/** A real broker and real agents, each in a folder of its own, and what is needed to look at them from outside the page. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { Client, type Job } from "@inkwire/client";

import { Hop } from "./hop.ts";

// Never the synchronous kind: the hops live in this process.
const exec = promisify(execFile);
const BINARY = process.env["INKWIRE_BIN"] ?? new URL("../../target/debug/inkwire", import.meta.url).pathname;

interface Ready {
  pid: number;
  listen: string;
  pair_url: string;
  console: string | null;
  sign_in: string | null;
}

export interface PrinterSetup {
  name: string;
  uri: string;
  formats?: string[];
}

export async function until<T>(what: string, look: () => T | Promise<T>, withinMs = 30_000): Promise<NonNullable<T>> {
  const end = Date.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`did not happen within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class House {
  readonly dir: string;
  /** Between the browser and the broker's TLS port: what the page sees as the broker. */
  readonly door: Hop;
  /** Between agents and the broker. */
  readonly wire: Hop;
  ready!: Ready;
  #broker: ChildProcess | undefined;
  readonly #agents: ChildProcess[] = [];
  /** What stands in the configuration besides folder and addresses, from the next start on. */
  config = "";
  #brokerPort = 0;
  #consolePort = 0;
  #client: Client | undefined;
  #key: Promise<string> | undefined;

  private constructor(door: Hop, wire: Hop) {
    this.dir = mkdtempSync(join(tmpdir(), "inkwire-e2e-"));
    this.door = door;
    this.wire = wire;
  }

  /** `config`: what else stands in the broker's configuration. */
  static async open(config = ""): Promise<House> {
    const house = new House(await Hop.open(0), await Hop.open(0));
    house.config = config;
    house.#brokerPort = await freePort();
    house.#consolePort = await freePort();
    await house.startBroker();
    return house;
  }

  /** What a browser opens, over TLS. */
  get url(): string {
    return `https://127.0.0.1:${this.door.port}`;
  }

  /** The console on plain HTTP for this machine. */
  get local(): string {
    return `http://127.0.0.1:${this.#consolePort}`;
  }

  get ca(): string {
    return join(this.dir, "data/certs/ca.pem");
  }

  async startBroker(): Promise<void> {
    const file = join(this.dir, "ready.json");
    rmSync(file, { force: true });
    const config = join(this.dir, "broker.toml");
    writeFileSync(config, this.config);
    const args = ["broker", "--config", config, "--data", join(this.dir, "data"), "--listen", `127.0.0.1:${this.#brokerPort}`];
    args.push("--console-listen", `127.0.0.1:${this.#consolePort}`, "--public-url", this.url, "--ready-file", file);
    this.#broker = this.#start("broker", args);
    this.ready = await until("the broker is ready", () => (existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Ready) : undefined));
    this.door.target = this.wire.target = this.#brokerPort;
  }

  /** `kill -9`, or an orderly end. */
  async stopBroker(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    await end(this.#broker as ChildProcess, signal);
  }

  /** Pairs an agent and starts it; it reaches the broker over {@link wire}. */
  async startAgent(name: string, printers: PrinterSetup[]): Promise<ChildProcess> {
    const { token } = (await this.admin("enrolment", "create")) as { token: string };
    await this.inkwire("agent", "pair", this.pairUrl, "--enrolment", token, "--state", this.state(name));
    return this.runAgent(name, printers);
  }

  /** An agent's state folder. */
  state(name: string): string {
    const state = join(this.dir, name, "state");
    mkdirSync(join(this.dir, name), { recursive: true });
    return state;
  }

  /** The broker's address with its pin, over {@link wire}. */
  get pairUrl(): string {
    const url = new URL(this.ready.pair_url);
    url.host = `127.0.0.1:${this.wire.port}`;
    return url.href;
  }

  /** Starts an agent that is paired. */
  runAgent(name: string, printers: PrinterSetup[]): ChildProcess {
    const state = this.state(name);
    const tables = printers.map(({ name, uri, formats }) => {
      const lines = [`[[printer]]`, `name = ${JSON.stringify(name)}`, `uri = ${JSON.stringify(uri)}`];
      if (formats) lines.push(`formats = ${JSON.stringify(formats)}`);
      return lines.join("\n");
    });
    const config = join(this.dir, name, "agent.toml");
    writeFileSync(config, `state_dir = ${JSON.stringify(state)}\ndiscover_cups = false\n${tables.join("\n")}\n`);
    const agent = this.#start(name, ["agent", "--config", config]);
    this.#agents.push(agent);
    return agent;
  }

  /** Runs the command line to its end; what it prints. */
  async inkwire(...args: string[]): Promise<string> {
    return (await exec(BINARY, args, { env: environment() })).stdout;
  }

  /** Starts the command line, its output in a log. */
  runInkwire(name: string, ...args: string[]): ChildProcess {
    const child = this.#start(name, args);
    this.#agents.push(child);
    return child;
  }

  /** A folder for a `directory` printer. */
  folder(name: string): string {
    const folder = join(this.dir, "printed", name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  async admin(...args: string[]): Promise<unknown> {
    return JSON.parse(await this.inkwire("admin", "--data", join(this.dir, "data"), ...args, "--json"));
  }

  async key(scope: string): Promise<string> {
    return ((await this.admin("key", "create", "--scope", scope, "--name", `${scope} of the tests`)) as { key: string }).key;
  }

  /** The API beside the page, with everything allowed. */
  get api(): Client {
    this.#client ??= new Client({ url: this.local, token: () => (this.#key ??= this.key("admin")) });
    return this.#client;
  }

  /** Waits until a job has the state. */
  async job(number: number, state: Job["state"]): Promise<Job> {
    return until(`job ${number} is ${state}`, async () => {
      const { jobs } = await this.api.call("jobs.list", { before: number + 1, limit: 1 });
      const job = jobs[0];
      return job?.number === number && job.state === state ? job : undefined;
    });
  }

  async jobs(): Promise<Job[]> {
    return (await this.api.call("jobs.list", { limit: 500 })).jobs;
  }

  log(name: string): string {
    return readFileSync(join(this.dir, `${name}.log`), "utf8");
  }

  #start(name: string, args: string[]): ChildProcess {
    const log = openSync(join(this.dir, `${name}.log`), "a");
    return spawn(BINARY, args, { stdio: ["ignore", log, log], env: environment() });
  }

  async close(): Promise<void> {
    this.#client?.close();
    for (const child of [...this.#agents, this.#broker]) {
      if (child) await end(child, "SIGKILL");
    }
    await this.door.close();
    await this.wire.close();
    if (!process.env["INKWIRE_E2E_KEEP"]) rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Ends a process, unless it has ended. */
export async function end(child: ChildProcess, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await ended;
}

function environment(): NodeJS.ProcessEnv {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("INKWIRE_")));
  return { ...env, RUST_BACKTRACE: "0" };
}

/** Digests of what stands in a `directory` printer's folder, without the sidecars. */
export function printed(folder: string): string[] {
  const files = readdirSync(folder).filter((name) => !name.endsWith(".json") && !name.startsWith("."));
  return files.map((name) => createHash("sha256").update(readFileSync(join(folder, name))).digest("hex"));
}

/** A PDF with pages of text, as large as wanted; `script` runs when it is opened, where scripts run. */
export function pdf(pages: number, bytes: number, script = ""): Buffer {
  const objects: string[] = [];
  const action = script ? `/OpenAction << /S /JavaScript /JS (${script}) >>` : "";
  const kids = Array.from({ length: pages }, (_, i) => `${4 + i * 2} 0 R`).join(" ");
  objects.push(`<< /Type /Catalog /Pages 2 0 R ${action} >>`);
  objects.push(`<< /Type /Pages /Kids [${kids}] /Count ${pages} >>`);
  objects.push(`<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>`);
  for (let page = 0; page < pages; page++) {
    const text = `BT /F1 36 Tf 72 720 Td (Invoice, page ${page + 1}) Tj ET`;
    objects.push(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + page * 2} 0 R >>`);
    objects.push(`<< /Length ${text.length} >>\nstream\n${text}\nendstream`);
  }
  let filler = "";
  for (let seed = bytes; filler.length < bytes; seed = (seed * 1103515245 + 12345) & 0x7fffffff) filler += seed.toString(36);
  objects.push(`<< /Length ${filler.length} >>\nstream\n${filler}\nendstream`);
  let text = "%PDF-1.4\n";
  const offsets = objects.map((object, index) => {
    const at = text.length;
    text += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return at;
  });
  const xref = text.length;
  const entries = offsets.map((at) => `${String(at).padStart(10, "0")} 00000 n \n`).join("");
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${entries}trailer << /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
  return Buffer.from(text, "latin1");
}
