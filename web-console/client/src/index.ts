/**
 * Client of the Inkwire app API, for browsers and Node.
 *
 * ```ts
 * const client = new Client({ url: "https://print.example:8631", token: key });
 * const { printers } = await client.call("printers.list", {});
 * const job = await client.upload(bytes, { printer: printers[0].id, format: "application/pdf" }).done;
 * ```
 */

export { backoffMs } from "./backoff.ts";
export { type CallOptions, Client, type ClientOptions, type Status } from "./client.ts";
export { crc32c } from "./crc32c.ts";
export { ClosedError, LinkLostError, ProblemError, TimeoutError, WrongDocumentError } from "./errors.ts";
export { isRead, type JobFilter, type MethodName, type Methods, type Params, type Result } from "./methods.ts";
export { encodePacket, Layout } from "./packet.ts";
export { Sender } from "./sender.ts";
export { APP_SUBPROTOCOL, type SocketConstructor, type SocketLike, socketUrl } from "./socket.ts";
export { Subscription, type SubscriptionHandlers, type SubscriptionOptions } from "./subscription.ts";
export * from "./types.ts";
export { type Hasher, type Source, sourceOf, Upload, type UploadOptions } from "./upload.ts";
