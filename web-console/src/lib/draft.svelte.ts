/** What somebody is about to print: kept while they look elsewhere, and over the end of a session. */

import type { JobOptions } from "@inkwire/client";

const RECENT = "inkwire.recent";
const RECENT_AT_MOST = 5;

class Draft {
  printer = $state<string | undefined>();
  files = $state.raw<readonly File[]>([]);
  options = $state<JobOptions>({});
  pages = $state("");
  qty = $state(1);
  hold = $state(false);
  recent = $state<string[]>(readRecent());

  add(files: readonly File[]): void {
    this.files = [...this.files, ...files];
  }

  remove(file: File): void {
    this.files = this.files.filter((other) => other !== file);
  }

  /** Printed: the files are done with, the choices stay for the next ones. */
  sent(): void {
    if (this.printer) {
      this.recent = [this.printer, ...this.recent.filter((id) => id !== this.printer)].slice(0, RECENT_AT_MOST);
      localStorage.setItem(RECENT, JSON.stringify(this.recent));
    }
    this.files = [];
    this.hold = false;
    this.qty = 1;
  }
}

function readRecent(): string[] {
  try {
    return JSON.parse(localStorage.getItem(RECENT) ?? "[]") as string[];
  } catch {
    return [];
  }
}

export const draft = new Draft();
