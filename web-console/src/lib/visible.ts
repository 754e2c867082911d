/** Which rows of a long list stand in the window. Pure. */

export interface Span {
  first: number;
  /** One behind the last. */
  end: number;
}

/** Rows of equal height, and some more on both sides, so that fast scrolling shows no gap. */
export function visible(count: number, rowPx: number, scrolledPx: number, heightPx: number, extra = 8): Span {
  const first = Math.max(0, Math.floor(scrolledPx / rowPx) - extra);
  const end = Math.min(count, Math.ceil((scrolledPx + heightPx) / rowPx) + extra);
  return { first: Math.min(first, Math.max(0, count - 1)), end: Math.max(end, Math.min(count, first)) };
}
