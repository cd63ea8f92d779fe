// Build of the page: `npm run build:web`. `npm --prefix web run dev` serves it while one works on it, with calls passed to the daemon
// at MINITORRENT_DEV_API, which must let the token MINITORRENT_DEV_TOKEN in.
import { join } from "node:path";
import { defineConfig } from "vite";
import { compressPlugin, endpointsPlugin, firstLoadPlugin } from "./build/plugins.ts";

const { MINITORRENT_DEV_API = "http://127.0.0.1:7411", MINITORRENT_DEV_TOKEN } = process.env;

export default defineConfig({
  root: import.meta.dirname,
  plugins: [endpointsPlugin(), firstLoadPlugin(), compressPlugin()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "baseline-widely-available",
    outDir: join(import.meta.dirname, "dist"),
    emptyOutDir: true,
    // Data URLs of scripts and styles are against the page's Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    host: "127.0.0.1",
    proxy: {
      "/api": {
        target: MINITORRENT_DEV_API,
        // The daemon answers only to its own name, and pages of other origins not at all.
        changeOrigin: true,
        configure: (proxy) =>
          proxy.on("proxyReq", (request) => {
            request.removeHeader("origin");
            request.removeHeader("cookie");
            if (MINITORRENT_DEV_TOKEN !== undefined) {
              request.setHeader("authorization", `Bearer ${MINITORRENT_DEV_TOKEN}`);
            }
          }),
      },
    },
  },
});
