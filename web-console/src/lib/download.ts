/** A job's document, given to the browser to keep. */

import type { Job, Problem } from "@inkwire/client";

import { language } from "../i18n/index.svelte.ts";
import { session } from "./session.svelte.ts";
import { nameOf } from "./words.ts";

/** Begins the download; `gone` where the broker does not keep the document any more. */
export async function download(job: Job): Promise<"begun" | "gone"> {
  const path = `/v1/jobs/${encodeURIComponent(job.id)}/document`;
  const headers = session.bearer;
  // One byte says whether it is kept: a link that the browser follows would show a refusal as a page, or save it.
  const probe = await ask(path, { ...headers, range: "bytes=0-0" });
  if (probe.status === 404) return "gone";
  if (!probe.ok && probe.status !== 416) throw new Error(await detail(probe));
  if (headers === undefined) {
    save(path, "");
    return "begun";
  }
  // A link carries no key: the document goes through the page.
  const answer = await ask(path, headers);
  if (!answer.ok) throw new Error(await detail(answer));
  const url = URL.createObjectURL(await answer.blob());
  save(url, nameOf(answer.headers.get("content-disposition") ?? "") ?? `job-${job.number}`);
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return "begun";
}

async function ask(path: string, headers: Record<string, string>): Promise<Response> {
  return fetch(path, { headers }).catch(() => {
    throw new Error(language.t.errors.network);
  });
}

async function detail(answer: Response): Promise<string> {
  const problem = (await answer.json().catch(() => undefined)) as Problem | undefined;
  return problem?.detail ?? `${answer.status} ${answer.statusText}`;
}

function save(href: string, name: string): void {
  const link = document.createElement("a");
  link.href = href;
  link.download = name;
  link.click();
}
