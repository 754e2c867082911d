/** Numbers and times as people read them, in the viewer's language and zone. Pure; the time now is an argument. */

export function bytes(value: number, locale: string): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let scaled = value;
  while (scaled >= 1000 && at < units.length - 1) {
    scaled /= 1000;
    at += 1;
  }
  const digits = at === 0 || scaled >= 100 ? 0 : 1;
  return `${number(scaled, locale, { maximumFractionDigits: digits })}\u00a0${units[at]}`;
}

const formats = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat>();

function cached<T extends Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat>(key: string, make: () => T): T {
  let format = formats.get(key) as T | undefined;
  if (!format) formats.set(key, (format = make()));
  return format;
}

export function number(value: number, locale: string, options: Intl.NumberFormatOptions = {}): string {
  return cached(`n${locale}${JSON.stringify(options)}`, () => new Intl.NumberFormat(locale, options)).format(value);
}

/** Date and time, short. */
export function dateTime(ms: number, locale: string): string {
  return cached(`d${locale}`, () => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" })).format(ms);
}

/** The time of day where it was today, else the date too. */
export function moment(ms: number, now: number, locale: string): string {
  const sameDay = new Date(ms).toDateString() === new Date(now).toDateString();
  const options: Intl.DateTimeFormatOptions = sameDay
    ? { hour: "2-digit", minute: "2-digit", second: "2-digit" }
    : { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
  return cached(`m${locale}${sameDay}`, () => new Intl.DateTimeFormat(locale, options)).format(ms);
}

export function clock(ms: number, locale: string): string {
  const options: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1 };
  return cached(`c${locale}`, () => new Intl.DateTimeFormat(locale, options)).format(ms);
}

export function ago(ms: number, now: number, locale: string): string {
  const seconds = Math.round((ms - now) / 1000);
  const size = Math.abs(seconds);
  const relative = cached(`r${locale}`, () => new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" }));
  if (size < 5) return relative.format(0, "second");
  if (size < 100) return relative.format(seconds, "second");
  if (size < 5400) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 129_600) return relative.format(Math.round(seconds / 3600), "hour");
  return relative.format(Math.round(seconds / 86_400), "day");
}

/** How long something took. */
export function duration(ms: number, locale: string): string {
  const unit = (value: number, name: string, digits = 0) =>
    number(value, locale, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: digits });
  if (ms < 1000) return unit(Math.max(0, Math.round(ms)), "millisecond");
  if (ms < 60_000) return unit(ms / 1000, "second", ms < 10_000 ? 1 : 0);
  if (ms < 3_600_000) return `${unit(Math.floor(ms / 60_000), "minute")} ${unit(Math.round((ms % 60_000) / 1000), "second")}`;
  if (ms < 172_800_000) return `${unit(Math.floor(ms / 3_600_000), "hour")} ${unit(Math.round((ms % 3_600_000) / 60_000), "minute")}`;
  return unit(Math.round(ms / 86_400_000), "day");
}

/** PWG 5101.1 media size names in plain words: `iso_a4_210x297mm` is A4. */
export function media(name: string): string {
  const match = /^([a-z]+)_(.+)_([0-9.]+)x([0-9.]+)(mm|in)$/.exec(name);
  if (!match) return keyword(name);
  const [, family, size, width, height, unit] = match as unknown as [string, string, string, string, string, string];
  const short = size.replace(/^(jis-)?([abc]\d+)$/i, (_, jis: string | undefined, letter: string) => (jis ? "JIS " : "") + letter.toUpperCase());
  const title = short === size ? (family === "custom" ? "" : keyword(size)) : family === "jis" ? `JIS ${short}` : short;
  return `${title} ${width} × ${height} ${unit}`.trim();
}

/** A keyword of IPP that the catalogue does not know, as words. */
export function keyword(word: string): string {
  const spaced = word.replace(/[-_]+/g, " ");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

const BY_EXTENSION: Record<string, string> = {
  pdf: "application/pdf",
  ps: "application/postscript",
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  tif: "image/tiff",
  tiff: "image/tiff",
  pwg: "image/pwg-raster",
  urf: "image/urf",
  txt: "text/plain",
  zpl: "application/vnd.zebra-zpl",
  pcl: "application/vnd.hp-pcl",
};

/** The MIME type of a file: by its name, else what the browser says. */
export function formatOf(name: string, type: string): string {
  const extension = /\.([^.]+)$/.exec(name.toLowerCase())?.[1] ?? "";
  return BY_EXTENSION[extension] ?? (type || "application/octet-stream");
}

/** Whether a printer takes a format; parameters do not count. */
export function takes(formats: readonly string[], format: string): boolean {
  const essence = (mime: string) => (mime.split(";")[0] ?? "").trim().toLowerCase();
  const wanted = essence(format);
  return formats.some((have) => [wanted, "application/octet-stream", "*/*"].includes(essence(have)));
}

/** `1-3, 5` as ranges; undefined where it is not understood. */
export function pageRanges(text: string): [number, number][] | undefined {
  const ranges: [number, number][] = [];
  for (const part of text.split(",").map((part) => part.trim()).filter(Boolean)) {
    const match = /^(\d+)(?:\s*[-–]\s*(\d+))?$/.exec(part);
    if (!match) return undefined;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (first < 1 || last < first) return undefined;
    ranges.push([first, last]);
  }
  return ranges;
}

/** The file's name in a `Content-Disposition` (RFC 6266, RFC 8187), where it has one. */
export function nameOf(disposition: string): string | undefined {
  const encoded = /filename\*=UTF-8''([^;\s]+)/i.exec(disposition)?.[1];
  try {
    if (encoded) return decodeURIComponent(encoded);
  } catch {
    // Not encoded as it should be: the plain name is left.
  }
  return /filename="([^"]*)"/i.exec(disposition)?.[1];
}

/** Somebody's data as names and words: times are told as times, what is not set is left out. */
export function facts(data: unknown, locale: string): [name: string, words: string][] {
  if (typeof data !== "object" || data === null) return [];
  const set = Object.entries(data).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return set.map(([name, value]) => {
    if (name.endsWith("_ms") && typeof value === "number") return [name.slice(0, -3), dateTime(value, locale)];
    return [name, typeof value === "string" ? value : JSON.stringify(value)];
  });
}
