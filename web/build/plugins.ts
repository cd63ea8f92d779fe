// Plugins of the page's build: the table of API calls, compressed copies beside the files, and a limit on the first load.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { Plugin } from "vite";
import { endpoints } from "../../src/daemon/endpoints.ts";
import { endpointTable } from "./endpoint-table.ts";
import { type BuiltChunk, firstLoadBytes, MOST_FIRST_LOAD_BYTES } from "./first-load.ts";

const TABLE = "virtual:endpoints";
/** Smaller files are sent as they are. */
const LEAST_COMPRESSED_BYTES = 512;

export function endpointsPlugin(): Plugin {
  return {
    name: "endpoints",
    resolveId: (id) => (id === TABLE ? `\0${TABLE}` : undefined),
    load: (id) =>
      id === `\0${TABLE}`
        ? `export const endpoints = ${JSON.stringify(endpointTable(endpoints))};`
        : undefined,
  };
}

/** Fails the build if what a browser loads first is larger than the limit. */
export function firstLoadPlugin(): Plugin {
  return {
    name: "first-load",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const chunks = new Map<string, BuiltChunk>();
        const assets = new Map<string, string | Uint8Array>();
        for (const [name, output] of Object.entries(bundle)) {
          if (output.type === "asset") assets.set(name, output.source);
          else {
            const styles = [...(output.viteMetadata?.importedCss ?? [])];
            const { code: content, isEntry, imports } = output;
            chunks.set(name, { name, content, isEntry, imports, styles });
          }
        }
        const document = String(assets.get("index.html") ?? "");
        const bytes = firstLoadBytes(document, chunks, assets);
        if (bytes > MOST_FIRST_LOAD_BYTES) {
          this.error(
            `The first load has ${bytes} bytes compressed, more than ${MOST_FIRST_LOAD_BYTES}: import views and libraries that are not needed at once with import().`,
          );
        }
        this.info(`first load: ${bytes} of ${MOST_FIRST_LOAD_BYTES} bytes`);
      },
    },
  };
}

/** Writes `name.br` and `name.gz` beside each file of text. */
export function compressPlugin(): Plugin {
  return {
    name: "compress",
    apply: "build",
    async writeBundle({ dir = "" }, bundle) {
      await Promise.all(
        Object.keys(bundle)
          .filter((name) => /\.(html|js|css|svg|webmanifest)$/.test(name))
          .map((name) => compress(join(dir, name))),
      );
    },
  };
}

async function compress(path: string): Promise<void> {
  const content = await readFile(path);
  if (content.length < LEAST_COMPRESSED_BYTES) return;
  const brotli = { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } };
  await writeFile(`${path}.gz`, await promisify(gzip)(content, { level: 9 }));
  await writeFile(`${path}.br`, await promisify(brotliCompress)(content, brotli));
}
