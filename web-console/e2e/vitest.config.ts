import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { alias: { "@inkwire/client": new URL("../client/src/index.ts", import.meta.url).pathname } },
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["e2e/**/*.e2e.ts"],
    testTimeout: 90_000,
    hookTimeout: 90_000,
    // Two processors: one browser, one broker, one test at a time.
    fileParallelism: false,
    pool: "forks",
    execArgv: ["--experimental-websocket", "--no-warnings"],
  },
});
