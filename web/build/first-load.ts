// What a browser fetches before it shows the page, compressed: the document, the entry, what the entry imports, and their styles.
import { gzipSync } from "node:zlib";

/** Issue of the page: under 120 kB compressed. gzip, the larger of the two that the daemon serves. */
export const MOST_FIRST_LOAD_BYTES = 120_000;

export interface BuiltChunk {
  readonly name: string;
  readonly content: string | Uint8Array;
  readonly isEntry: boolean;
  /** Names of chunks that it needs before it runs. */
  readonly imports: readonly string[];
  /** Names of its style sheets. */
  readonly styles: readonly string[];
}

/**
 * @param document index.html
 * @returns bytes, each file compressed with gzip
 */
export function firstLoadBytes(
  document: string,
  chunks: ReadonlyMap<string, BuiltChunk>,
  assets: ReadonlyMap<string, string | Uint8Array>,
): number {
  const needed = new Set<string>();
  const visit = (name: string): void => {
    const chunk = chunks.get(name);
    if (chunk === undefined || needed.has(name)) return;
    needed.add(name);
    for (const style of chunk.styles) needed.add(style);
    for (const imported of chunk.imports) visit(imported);
  };
  for (const { name, isEntry } of chunks.values()) if (isEntry) visit(name);
  const contents = [
    document,
    ...[...needed].map((name) => chunks.get(name)?.content ?? assets.get(name) ?? ""),
  ];
  return contents.reduce((sum, content) => sum + gzipSync(content, { level: 9 }).length, 0);
}
