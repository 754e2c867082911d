/** Something that a view reads once and again after its own changes. */

import { words } from "./toasts.svelte.ts";

export class Loaded<T> {
  value = $state.raw<T | undefined>();
  error = $state<string | undefined>();
  readonly #read: () => Promise<T>;

  constructor(read: () => Promise<T>) {
    this.#read = read;
    void this.again();
  }

  async again(): Promise<void> {
    try {
      this.value = await this.#read();
      this.error = undefined;
    } catch (error) {
      this.error = words(error);
    }
  }
}
