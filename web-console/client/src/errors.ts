/** What can go wrong, and what the caller may do about it. */

import type { Problem } from "./types.ts";

/** The broker refused: a problem (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
  }

  /** The last part of the type: `not-found`, `conflict` ... */
  get kind(): string {
    return this.problem.type.replace("urn:inkwire:problem:", "");
  }
}

/** The connection was lost before the answer came: whether the call was done is not known. */
export class LinkLostError extends Error {
  override readonly name = "LinkLostError";

  constructor(method: string) {
    super(`the connection was lost before \`${method}\` was answered`);
  }
}

/** No answer within the time given; no connection stands, or the broker is slow. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";

  constructor(method: string, ms: number) {
    super(`\`${method}\` was not answered within ${Math.round(ms / 1000)} s`);
  }
}

/** The client was closed, or the broker wants nothing to do with it: see {@link Client.status}. */
export class ClosedError extends Error {
  override readonly name = "ClosedError";
}

/** The bytes at hand are not the document that the upload was begun with. */
export class WrongDocumentError extends Error {
  override readonly name = "WrongDocumentError";
}
