import { cpSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What pdf.js loads while it reads a document: character maps and the standard fonts. Nothing comes from elsewhere. */
function pdfData(): Plugin {
  return {
    name: "pdf-data",
    apply: "build",
    closeBundle() {
      for (const folder of ["cmaps", "standard_fonts"]) {
        cpSync(here(`./node_modules/pdfjs-dist/${folder}`), here(`./dist/pdf/${folder}`), { recursive: true });
      }
    },
  };
}

export default defineConfig({
  plugins: [svelte(), pdfData()],
  resolve: { alias: { "@inkwire/client": here("./client/src/index.ts") } },
  build: {
    target: "es2022",
    // The content security policy allows no data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500,
  },
});
