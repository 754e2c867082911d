/** Runs something soon after it was asked for, once for many askings, and again where it was asked for meanwhile. */
export class Debounced {
  readonly #afterMs: number;
  readonly #atMostMs: number;
  readonly #act: () => Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firstAsked = 0;
  #running = false;
  #again = false;

  constructor(afterMs: number, atMostMs: number, act: () => Promise<void>) {
    this.#afterMs = afterMs;
    this.#atMostMs = atMostMs;
    this.#act = act;
  }

  /** After a pause in the asking, but not later than the limit. */
  soon(): void {
    const now = performance.now();
    if (this.#timer === undefined) this.#firstAsked = now;
    clearTimeout(this.#timer);
    const left = this.#firstAsked + this.#atMostMs - now;
    this.#timer = setTimeout(() => this.now(), Math.max(0, Math.min(this.#afterMs, left)));
  }

  now(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    void this.#act().finally(() => {
      this.#running = false;
      if (this.#again) {
        this.#again = false;
        this.now();
      }
    });
  }
}
