/**
 * Prints a file and follows it to its end, in Node 20 or later, with the client package of this repository.
 *
 *   INKWIRE_URL=https://localhost:7443 INKWIRE_KEY=ik_... NODE_EXTRA_CA_CERTS=broker/certs/ca.pem \
 *     node --experimental-websocket print.js invoice.pdf labels application/pdf
 *
 * (Node 22 needs no flag.) Lost connections are healed by the client: the upload goes on at the packet where it was cut, the
 * events at their offset. Exit code: 0 printed, 1 not printed, 5 uncertain.
 */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { argv, env, exit } from "node:process";

import { Client } from "@inkwire/client";

const [file, printer, format] = argv.slice(2);
const { INKWIRE_URL: url, INKWIRE_KEY: token } = env;
if (!file || !printer || !format || !url || !token) throw new Error("usage: print.js FILE PRINTER FORMAT, with INKWIRE_URL and INKWIRE_KEY");

const ENDED = new Set(["completed", "canceled", "aborted", "expired", "uncertain"]);
const hasher = () => {
  const hash = createHash("sha256");
  return { update: (data: Uint8Array) => void hash.update(data), hex: () => hash.digest("hex") };
};

const client = new Client({ url, token });
const document = new Uint8Array(await readFile(file));
const accepted = await client.upload(document, { printer, format, title: "from TypeScript" }, { hasher }).done;
console.log(`accepted as job ${accepted.number}`);

const ended = new Promise<void>((resolve) => {
  // Looks at the job itself whenever something happened to it, and once at the beginning.
  const look = async () => {
    const { job } = await client.call("jobs.get", { job: accepted.id });
    if (ENDED.has(job.state)) resolve();
  };
  client.subscribe(
    { kinds: ["job."], job: accepted.id },
    {
      onReset: () => void look(),
      onEvents: (events) => {
        for (const event of events) console.log(`  ${event.kind}`);
        void look();
      },
    },
  );
});
await ended;

const { job } = await client.call("jobs.get", { job: accepted.id });
console.log(`job ${job.number}: ${job.state}, witness ${job.witness}`);
client.close();
exit(job.state === "completed" ? 0 : job.state === "uncertain" ? 5 : 1);
