/** Short messages over the page. Errors stay until they are closed. */

import { LinkLostError, ProblemError, TimeoutError } from "@inkwire/client";

import { language } from "../i18n/index.svelte.ts";

export interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

const SHOWN_MS = 6000;

class Toasts {
  all = $state<Toast[]>([]);
  #next = 1;

  say(text: string): void {
    const id = this.#add(text, false);
    setTimeout(() => this.close(id), SHOWN_MS);
  }

  fail(error: unknown): void {
    this.#add(words(error), true);
  }

  close(id: number): void {
    this.all = this.all.filter((toast) => toast.id !== id);
  }

  #add(text: string, bad: boolean): number {
    const id = this.#next++;
    this.all = [...this.all.slice(-3), { id, text, bad }];
    return id;
  }
}

/** An error in words: the broker's own detail, or what the catalogue says of lost links. */
export function words(error: unknown): string {
  const { errors } = language.t;
  if (error instanceof ProblemError) return error.problem.detail;
  if (error instanceof LinkLostError) return errors.link;
  if (error instanceof TimeoutError) return errors.timeout;
  return error instanceof Error ? error.message : String(error);
}

export const toasts = new Toasts();

/** Does something, and shows what went wrong. Whether it went well. */
export async function attempt(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    toasts.fail(error);
    return false;
  }
}
