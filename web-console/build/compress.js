// Writes a Brotli copy beside every file of dist/ that gains by it; the broker serves it to browsers that take it.

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const dist = new URL("../dist/", import.meta.url).pathname;
const GAINS = /\.(html|js|mjs|css|svg|json|bcmap)$/;

for (const entry of readdirSync(dist, { recursive: true })) {
  const path = join(dist, String(entry));
  if (!statSync(path).isFile() || !GAINS.test(path)) continue;
  const text = readFileSync(path);
  const small = brotliCompressSync(text, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: text.length },
  });
  if (small.length < text.length * 0.9) writeFileSync(`${path}.br`, small);
}
