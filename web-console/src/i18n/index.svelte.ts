/** The language: the viewer's choice, else the browser's, else English. */

import { en, type Catalogue } from "./en.ts";
import { ja } from "./ja.ts";

const CATALOGUES: Record<string, Catalogue> = { en, ja };
const STORED = "inkwire.language";

function fromBrowser(): string {
  const known = navigator.languages.map((tag) => tag.split("-")[0] as string).find((tag) => tag in CATALOGUES);
  return known ?? "en";
}

class Language {
  /** Empty: as the browser says. */
  chosen = $state(localStorage.getItem(STORED) ?? "");
  readonly tag = $derived(this.chosen in CATALOGUES ? this.chosen : fromBrowser());
  readonly t = $derived(CATALOGUES[this.tag] ?? en);
  /** For numbers and times: the browser's own variant of the language, such as en-GB. */
  readonly locale = $derived(navigator.languages.find((tag) => tag.split("-")[0] === this.tag) ?? this.tag);
  readonly all = Object.values(CATALOGUES).map(({ tag, name }) => ({ tag, name }));

  choose(tag: string): void {
    this.chosen = tag;
    if (tag) localStorage.setItem(STORED, tag);
    else localStorage.removeItem(STORED);
  }
}

export const language = new Language();
