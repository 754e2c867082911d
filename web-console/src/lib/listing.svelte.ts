/** A list of jobs that grows downwards by pages and is kept up to date from above by events. */

import type { Job } from "@inkwire/client";

import { rows, type View } from "./book.ts";
import { session } from "./session.svelte.ts";
import { words } from "./toasts.svelte.ts";

const PAGE = 100;

export class Listing {
  view = $state.raw<View>({});
  loading = $state(false);
  error = $state<string | undefined>();
  /** The lowest number that the pages have reached; infinite before the first page. */
  #floor = $state(Infinity);
  #next = $state.raw<number | null>(null);
  #asked = 0;
  readonly rows: Job[] = $derived(rows(session.book, this.view, this.#floor));
  readonly complete = $derived(this.#next === null && this.#floor !== Infinity);

  /** Shows something else from the top on. */
  async show(view: View): Promise<void> {
    this.view = view;
    this.#next = null;
    this.#floor = Infinity;
    await this.#load(undefined);
  }

  /** The next page, where there is one and none is on its way. */
  async more(): Promise<void> {
    if (!this.loading && this.#next !== null) await this.#load(this.#next);
  }

  async #load(before: number | undefined): Promise<void> {
    const asked = ++this.#asked;
    this.loading = true;
    this.error = undefined;
    const { number, ...filter } = this.view;
    const one = number === undefined ? {} : { before: number + 1, limit: 1 };
    const page = { limit: PAGE, ...filter, ...(before === undefined ? {} : { before }), ...one };
    try {
      const { jobs, next } = await session.client.call("jobs.list", page);
      if (asked !== this.#asked) return;
      session.know(jobs);
      this.#next = number === undefined ? next : null;
      this.#floor = this.#next ?? 0;
    } catch (error) {
      if (asked === this.#asked) this.error = words(error);
    } finally {
      if (asked === this.#asked) this.loading = false;
    }
  }
}
