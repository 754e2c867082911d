/** How long to wait before the next attempt: full jitter. Pure; chance is an argument. */

export const BACKOFF_FIRST_MS = 500;
export const BACKOFF_MAX_MS = 30_000;

/** The wait before attempt `failures` (1 is the first repeat), by `chance` in [0, 1). */
export function backoffMs(failures: number, chance: number): number {
  const most = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(16, Math.max(0, failures - 1)));
  return Math.round(chance * most);
}
