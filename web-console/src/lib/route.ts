/** Addresses of the page's views: `#/jobs/ID?state=held`. Pure. */

export const VIEWS = ["overview", "print", "jobs", "agents", "printers", "settings"] as const;
export type ViewName = (typeof VIEWS)[number];

export interface Route {
  view: ViewName;
  id: string | undefined;
  query: Record<string, string>;
}

export function parse(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view = "", id] = path.split("/").map((part) => decode(part));
  const known = VIEWS.find((name) => name === view);
  return { view: known ?? "overview", id: known && id ? id : undefined, query: Object.fromEntries(new URLSearchParams(search)) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function href(view: ViewName, id?: string, query: Record<string, string | undefined> = {}): string {
  const set = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const search = set.length > 0 ? `?${new URLSearchParams(set)}` : "";
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}${search}`;
}
