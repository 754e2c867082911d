import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["browser"], alias: { "@inkwire/client": new URL("./client/src/index.ts", import.meta.url).pathname } },
  test: { include: ["client/test/**/*.test.ts", "test/**/*.test.ts"] },
});
