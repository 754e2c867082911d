/** What a printer lets one choose, by what it tells of itself. Pure; words are the catalogue's. */

import type { Capabilities, JobOptions } from "@inkwire/client";

/** Options that are chosen from a list: asked first, and behind "more". */
export const MAIN = ["sides", "media", "print-color-mode", "orientation-requested"] as const;
export const MORE = ["media-source", "print-scaling", "number-up", "printer-resolution", "output-bin"] as const;
export type OptionName = (typeof MAIN)[number] | (typeof MORE)[number];
export type OptionValue = string | number;

/** What the printer offers; paper that is loaded comes first. */
export function choices(can: Capabilities, name: OptionName): OptionValue[] {
  const ready = name === "media" ? (can["media-ready"] ?? []) : [];
  return [...new Set<OptionValue>([...ready, ...(can[name] ?? [])])];
}

/** Those of `names` where there is something to choose, or something chosen that can be taken back. */
export function offered(can: Capabilities, names: readonly OptionName[], chosen: JobOptions): OptionName[] {
  return names.filter((name) => choices(can, name).length > 1 || chosen[name] !== undefined);
}

/** Options with one of them changed; undefined takes it out. */
export function chosen(options: JobOptions, name: OptionName, value: OptionValue | undefined): JobOptions {
  const { [name]: _, ...rest } = options;
  return value === undefined ? rest : ({ ...rest, [name]: value } as JobOptions);
}

/** Whether the printer, as it tells now, would refuse this. An empty list means that it did not tell. */
export function refused(can: Capabilities, name: OptionName, value: OptionValue): boolean {
  const all = choices(can, name);
  return all.length > 0 && !all.includes(value);
}

/** What is asked of this printer: what was chosen for another one and it does not offer is left out. */
export function asked(can: Capabilities, options: JobOptions): JobOptions {
  const names = [...MAIN, ...MORE].filter((name) => {
    const value = options[name];
    return value !== undefined && choices(can, name).includes(value);
  });
  return Object.fromEntries(names.map((name) => [name, options[name]]));
}
