/** An IPP printer that tells what a test says, prints what it is given, and remembers with which options. */

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Tags of RFC 8010 section 3.5. */
const [OPERATION, JOB, END, PRINTER] = [0x01, 0x02, 0x03, 0x04];
const [INTEGER, BOOLEAN, ENUM, RANGE, TEXT, NAME, KEYWORD, URI, CHARSET, LANGUAGE, MIME] = [0x21, 0x22, 0x23, 0x33, 0x41, 0x42, 0x44, 0x45, 0x47, 0x48, 0x49];
const [PRINT_JOB, CREATE_JOB, SEND_DOCUMENT, CANCEL_JOB, GET_JOB, GET_JOBS, GET_PRINTER] = [0x0002, 0x0005, 0x0006, 0x0008, 0x0009, 0x000a, 0x000b];
const [IDLE, STOPPED, COMPLETED] = [3, 5, 9];

type Value = string | number | boolean | [number, number];

function attribute(tag: number, name: string, ...values: Value[]): Buffer {
  const parts = values.map((value, index) => {
    const label = Buffer.from(index === 0 ? name : "");
    const data = encode(tag, value);
    const head = Buffer.alloc(3);
    head.writeUInt8(tag);
    head.writeUInt16BE(label.length, 1);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(data.length);
    return Buffer.concat([head, label, length, data]);
  });
  return Buffer.concat(parts);
}

function encode(tag: number, value: Value): Buffer {
  if (typeof value === "string") return Buffer.from(value);
  if (typeof value === "boolean") return Buffer.from([value ? 1 : 0]);
  const numbers = tag === RANGE ? (value as [number, number]) : [value as number];
  const data = Buffer.alloc(4 * numbers.length);
  numbers.forEach((number, at) => data.writeInt32BE(number, at * 4));
  return data;
}

/** Operation, request id, attributes by name as text or number, and the document behind them. */
function decode(message: Buffer) {
  const found: Record<string, string | number> = {};
  let at = 8;
  let name = "";
  while (message[at] !== END) {
    const tag = message.readUInt8(at);
    if (tag < 0x10) {
      at += 1;
      continue;
    }
    const nameLength = message.readUInt16BE(at + 1);
    if (nameLength > 0) name = message.toString("utf8", at + 3, at + 3 + nameLength);
    const length = message.readUInt16BE(at + 3 + nameLength);
    const begin = at + 5 + nameLength;
    found[name] ??= tag === INTEGER || tag === ENUM ? message.readInt32BE(begin) : message.toString("utf8", begin, begin + length);
    at = begin + length;
  }
  return { operation: message.readUInt16BE(2), request: message.readUInt32BE(4), found, document: message.subarray(at + 1) };
}

interface Printed {
  id: number;
  name: string;
  options: Record<string, string | number>;
  sha256: string | undefined;
}

async function whole(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

export class IppPrinter {
  readonly jobs: Printed[] = [];
  /** Why it does not print now, such as `media-empty-error`; none: it is ready. */
  reasons: string[] = [];
  message = "";
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void whole(request).then((body) => {
        response.writeHead(200, { "content-type": "application/ipp" });
        response.end(this.#answer(body));
      });
    });
  }

  static async open(): Promise<IppPrinter> {
    const printer = new IppPrinter();
    await new Promise<void>((resolve) => printer.#server.listen(0, "127.0.0.1", resolve));
    return printer;
  }

  get uri(): string {
    return `ipp://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ipp/print`;
  }

  #answer(body: Buffer): Buffer {
    const { operation, request, found, document } = decode(body);
    const groups: Buffer[] = [];
    if (operation === GET_PRINTER) {
      groups.push(Buffer.from([PRINTER]), this.#itself());
    } else if (operation === CREATE_JOB || operation === PRINT_JOB) {
      const { "job-name": name = "", ...options } = found;
      const job: Printed = { id: this.jobs.length + 1, name: String(name), options, sha256: undefined };
      if (operation === PRINT_JOB) job.sha256 = digest(document);
      this.jobs.push(job);
      groups.push(Buffer.from([JOB]), this.#job(job));
    } else if (operation === SEND_DOCUMENT || operation === GET_JOB || operation === CANCEL_JOB) {
      const job = this.jobs[Number(found["job-id"]) - 1];
      if (job && operation === SEND_DOCUMENT) job.sha256 = digest(document);
      if (job) groups.push(Buffer.from([JOB]), this.#job(job));
    } else if (operation === GET_JOBS) {
      for (const job of this.jobs) groups.push(Buffer.from([JOB]), this.#job(job));
    }
    const head = Buffer.alloc(8);
    head.writeUInt16BE(0x0200);
    head.writeUInt32BE(request, 4);
    const words = [attribute(CHARSET, "attributes-charset", "utf-8"), attribute(LANGUAGE, "attributes-natural-language", "en")];
    return Buffer.concat([head, Buffer.from([OPERATION]), ...words, ...groups, Buffer.from([END])]);
  }

  #job({ id, name, sha256 }: Printed): Buffer {
    const done = sha256 !== undefined;
    const state = [attribute(INTEGER, "job-id", id), attribute(NAME, "job-name", name), attribute(ENUM, "job-state", done ? COMPLETED : IDLE)];
    return Buffer.concat([...state, attribute(KEYWORD, "job-state-reasons", done ? "job-completed-successfully" : "none"), attribute(INTEGER, "job-impressions-completed", done ? 1 : 0)]);
  }

  #itself(): Buffer {
    return Buffer.concat([
      attribute(URI, "printer-uri-supported", this.uri),
      attribute(NAME, "printer-name", "atrium"),
      attribute(TEXT, "printer-location", "Atrium, 2nd floor"),
      attribute(TEXT, "printer-make-and-model", "Test Colour 400"),
      attribute(ENUM, "printer-state", this.reasons.length > 0 ? STOPPED : IDLE),
      attribute(KEYWORD, "printer-state-reasons", ...(this.reasons.length > 0 ? this.reasons : ["none"])),
      attribute(TEXT, "printer-state-message", this.message),
      attribute(BOOLEAN, "printer-is-accepting-jobs", true),
      attribute(ENUM, "operations-supported", PRINT_JOB, CREATE_JOB, SEND_DOCUMENT, CANCEL_JOB, GET_JOB, GET_JOBS, GET_PRINTER),
      attribute(MIME, "document-format-supported", "application/pdf", "image/jpeg"),
      attribute(RANGE, "copies-supported", [1, 99]),
      attribute(KEYWORD, "sides-supported", "one-sided", "two-sided-long-edge", "two-sided-short-edge"),
      attribute(KEYWORD, "media-supported", "iso_a4_210x297mm", "iso_a3_297x420mm", "iso_a5_148x210mm", "na_letter_8.5x11in"),
      attribute(KEYWORD, "media-ready", "iso_a4_210x297mm"),
      attribute(KEYWORD, "media-source-supported", "auto", "main", "manual"),
      attribute(KEYWORD, "print-color-mode-supported", "auto", "color", "monochrome"),
      attribute(KEYWORD, "print-scaling-supported", "auto", "auto-fit", "fill", "fit", "none"),
      attribute(ENUM, "orientation-requested-supported", 3, 4, 5, 6),
      attribute(INTEGER, "number-up-supported", 1, 2, 4),
      attribute(BOOLEAN, "page-ranges-supported", true),
      attribute(NAME, "marker-names", "Black", "Cyan", "Magenta", "Yellow"),
      attribute(INTEGER, "marker-levels", 72, 41, 9, -3),
    ]);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function digest(document: Buffer): string {
  return createHash("sha256").update(document).digest("hex");
}
