/** Who is signed in, the one connection, and what is known of the account. */

import { Client, type Agent, type InkwireEvent, type JobProgress, type Me, type Printer, type Scope, type SignedIn, type Status } from "@inkwire/client";

import { apply, type Book, EMPTY, merge, progress } from "./book.ts";
import { Debounced } from "./debounced.ts";

const LADDER: readonly Scope[] = ["read", "submit", "operate", "admin"];
const KEY_STORED = "inkwire.key";
/** Events are gathered this long before the page is drawn anew. */
const GATHER_MS = 40;
/** Beyond this many unknown jobs at once a list is cheaper. */
const FETCH_AT_MOST = 20;

export type Gate = "asking" | "out" | "in";

class Session {
  /** Whether somebody is signed in; `asking` until the broker said so. */
  gate = $state<Gate>("asking");
  /** The session ended under a page that was in use: the page stays, a dialog asks. */
  expired = $state(false);
  status = $state.raw<Status>({ state: "connecting" });
  me = $state.raw<Me | undefined>();
  agents = $state.raw<readonly Agent[]>([]);
  printers = $state.raw<readonly Printer[]>([]);
  book = $state.raw<Book>(EMPTY);
  /** Agents and printers were read at least once. */
  ready = $state(false);
  /** Grows whenever everything is to be read anew. */
  generation = $state(0);
  /** The time, to the five seconds: relative times are shown by it. */
  now = $state(Date.now());

  readonly printerById = $derived(new Map(this.printers.map((printer) => [printer.id, printer])));
  readonly agentById = $derived(new Map(this.agents.map((agent) => [agent.id, agent])));

  #client: Client | undefined;
  #events: InkwireEvent[] = [];
  #progress = new Map<string, JobProgress>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #listeners = new Set<(events: readonly InkwireEvent[]) => void>();
  readonly #reload = new Debounced(200, 2000, () => this.#readThings());

  constructor() {
    setInterval(() => (this.now = Date.now()), 5000);
    addEventListener("online", () => this.#client?.wake());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#client?.wake();
    });
  }

  get client(): Client {
    if (!this.#client) throw new Error("nobody is signed in");
    return this.#client;
  }

  may(scope: Scope): boolean {
    return this.me !== undefined && LADDER.indexOf(this.me.scope) >= LADDER.indexOf(scope);
  }

  get name(): string {
    const who = this.me?.who;
    return who === undefined ? "" : who.type === "token" ? who.subject : who.name;
  }

  /** What requests beside the connection say of who asks; undefined where a cookie says it. */
  get bearer(): { authorization: string } | undefined {
    const key = sessionStorage.getItem(KEY_STORED);
    return key === null ? undefined : { authorization: `Bearer ${key}` };
  }

  /** Whether the broker knows us already, or a one-time link came with the address. */
  async begin(): Promise<string | undefined> {
    const token = location.pathname === "/sign-in" ? new URLSearchParams(location.search).get("token") : null;
    if (token) {
      history.replaceState(null, "", "/");
      return this.signIn({ link: token });
    }
    const answer = await fetch("/v1/session").catch(() => undefined);
    if (answer?.ok || sessionStorage.getItem(KEY_STORED)) this.#enter();
    else this.gate = "out";
    return undefined;
  }

  /** Signs in by link or password; what went wrong, in words. */
  async signIn(by: { link: string } | { user: string; password: string; account?: string }): Promise<string | undefined> {
    sessionStorage.removeItem(KEY_STORED);
    const body = JSON.stringify(by);
    const headers = { "content-type": "application/json" };
    const answer = await fetch("/v1/session", { method: "POST", body, headers }).catch((error: unknown) => error);
    if (!(answer instanceof Response)) return this.#stayOut(String(answer));
    if (!answer.ok) return this.#stayOut(await detailOf(answer));
    this.me = ((await answer.json()) as SignedIn).me;
    this.#enter();
    return undefined;
  }

  /** An API key, for this tab only. */
  signInByKey(key: string): void {
    sessionStorage.setItem(KEY_STORED, key);
    this.#enter();
  }

  async signOut(): Promise<void> {
    sessionStorage.removeItem(KEY_STORED);
    await fetch("/v1/session", { method: "DELETE" }).catch(() => undefined);
    this.#client?.close();
    location.assign("/");
  }

  #stayOut(why: string): string {
    if (!this.expired) this.gate = "out";
    return why;
  }

  #enter(): void {
    if (this.#client) {
      this.#client.retry();
      return;
    }
    this.#client = new Client({
      url: location.origin,
      token: sessionStorage.getItem(KEY_STORED) === null ? undefined : () => sessionStorage.getItem(KEY_STORED) ?? "",
      onStatus: (status) => this.#onStatus(status),
      onRefusedUpgrade: async () => {
        if (sessionStorage.getItem(KEY_STORED) !== null) return "retry";
        const answer = await fetch("/v1/session").catch(() => undefined);
        return answer?.status === 401 ? "stop" : "retry";
      },
    } as ConstructorParameters<typeof Client>[0]);
    this.#client.subscribe(
      { progress: true },
      {
        onReset: () => this.#reset(),
        onEvents: (events) => this.#onEvents(events),
        onProgress: (news) => this.#onProgress(news),
      },
    );
  }

  #onStatus(status: Status): void {
    this.status = status;
    if (status.state === "online") {
      this.me = status.me;
      this.gate = "in";
      this.expired = false;
    } else if (status.state === "refused") {
      if (this.gate === "in") this.expired = true;
      else this.gate = "out";
    }
  }

  /** Calls `listener` with every run of the log until the returned function is called. */
  listen(listener: (events: readonly InkwireEvent[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads agents and printers soon. */
  refresh(): void {
    this.#reload.now();
  }

  know(jobs: Parameters<typeof merge>[1]): void {
    this.book = merge(this.book, jobs);
  }

  #reset(): void {
    this.#events = [];
    this.#progress.clear();
    this.generation += 1;
    this.#reload.now();
  }

  #onEvents(events: readonly InkwireEvent[]): void {
    this.#events.push(...events);
    this.#gather();
  }

  #onProgress(news: JobProgress): void {
    this.#progress.set(news.job, news);
    this.#gather();
  }

  #gather(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, GATHER_MS);
  }

  #flush(): void {
    const events = this.#events;
    const news = [...this.#progress.values()];
    this.#events = [];
    this.#progress.clear();
    const applied = apply(this.book, events);
    this.book = progress(applied.book, news);
    if (applied.fetch.length > 0) void this.#fetch(applied.fetch);
    if (events.some((event) => !event.kind.startsWith("job.") || event.kind === "job.accepted" || "witness" in event.data)) {
      this.#reload.soon();
    }
    if (events.length > 0) for (const listener of this.#listeners) listener(events);
  }

  async #fetch(ids: readonly string[]): Promise<void> {
    try {
      let missing = ids;
      if (ids.length > FETCH_AT_MOST) {
        const { jobs } = await this.client.call("jobs.list", { limit: 500 });
        this.know(jobs);
        const found = new Set(jobs.map((job) => job.id));
        missing = ids.filter((id) => !found.has(id) && this.book.has(id));
      }
      for (const job of missing) this.know([(await this.client.call("jobs.get", { job })).job]);
    } catch (error) {
      // The next event of the job, or the next reset, reads it again.
      console.warn("a job could not be read", error);
    }
  }

  async #readThings(): Promise<void> {
    try {
      const [printers, agents] = await Promise.all([this.client.call("printers.list", {}), this.client.call("agents.list", {})]);
      this.printers = printers.printers;
      this.agents = agents.agents;
      this.ready = true;
    } catch (error) {
      console.warn("agents and printers could not be read", error);
    }
  }
}

async function detailOf(answer: Response): Promise<string> {
  const problem = (await answer.json().catch(() => undefined)) as { detail?: string } | undefined;
  return problem?.detail ?? `${answer.status} ${answer.statusText}`;
}

export const session = new Session();
