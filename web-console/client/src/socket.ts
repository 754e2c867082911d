/** What this package needs of a WebSocket: the browser's, Node's, `ws`, or a test's. */

export interface SocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
}

export type SocketConstructor = new (url: string, protocols: string) => SocketLike;

export const APP_SUBPROTOCOL = "inkwire.app.v1";

/** `https://host:port[/...][#...]` (or `wss://`, or `http://` of a loopback console) as the URL of the app WebSocket. */
export function socketUrl(url: string | URL): string {
  const parsed = new URL(url);
  const secure = parsed.protocol === "https:" || parsed.protocol === "wss:";
  return `${secure ? "wss" : "ws"}://${parsed.host}/v1/app`;
}
