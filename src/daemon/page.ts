// The page for browsers: the built files of web/, which are few. A request names one of them exactly, or gets nothing. Files beside
// one with the ending .br or .gz are its compressed forms (RFC 9110, 12.5.3).
import { createHash } from "node:crypto";
import { type Dirent, readdirSync, readFileSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";

/** Scripts and styles of this page alone; it cannot be framed, and sends nothing elsewhere (Content Security Policy Level 3). */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self'",
  "frame-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
const FIXED_HEADERS = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};
/** Names in this folder have a hash of the content in them. */
const HASHED_FOLDER = "/assets/";
const INDEX = "/index.html";
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".webp": "image/webp",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};
/** In the order of preference: the ending of the file, and the name of its coding. */
const CODINGS = [
  [".br", "br"],
  [".gz", "gzip"],
] as const;

interface PageFile {
  readonly path: string;
  readonly type: string;
  readonly etag: string;
  /** Endings of the compressed forms that are there. */
  readonly endings: ReadonlySet<string>;
}

export interface PageAnswer {
  readonly status: 200 | 304 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export class Page {
  readonly #findFolder: () => Promise<string>;
  #folder: Promise<string> | undefined;
  #files: { readonly ofIndex: string; readonly byUrl: ReadonlyMap<string, PageFile> } | undefined;

  /**
   * @param findFolder finds the folder with index.html and assets/, and builds it if it must; called when the page is first asked
   * for, since callers of the API alone need none
   */
  constructor(findFolder: () => Promise<string>) {
    this.#findFolder = findFolder;
  }

  /** Somebody is about to open the page: it is built again if its sources have changed. */
  prepare(): void {
    this.#folder = this.#findFolder();
  }

  /**
   * @param urlPath without its query
   * @param asked the headers Accept-Encoding, and If-None-Match
   * @returns undefined for what is not part of the page
   */
  async answer(
    urlPath: string,
    { encodings = "", known = "" }: { encodings?: string | undefined; known?: string | undefined },
  ): Promise<PageAnswer | undefined> {
    this.#folder ??= this.#findFolder();
    const files = this.#read(await this.#folder);
    const isIndex = urlPath === "/" || urlPath === INDEX;
    if (files === undefined) return isIndex ? NOT_BUILT : undefined;
    const file = files.get(isIndex ? INDEX : urlPath);
    if (file === undefined) return undefined;
    const [ending, coding] = CODINGS.find(
      ([ending, coding]) => file.endings.has(ending) && accepts(encodings, coding),
    ) ?? ["", undefined];
    const etag = `"${file.etag}${ending}"`;
    const answered = {
      ...FIXED_HEADERS,
      "content-type": file.type,
      "cache-control": urlPath.startsWith(HASHED_FOLDER) ? "public, max-age=31536000, immutable" : "no-cache",
      etag,
      ...(file.endings.size === 0 ? {} : { vary: "accept-encoding" }),
      ...(coding === undefined ? {} : { "content-encoding": coding }),
    };
    if (known.includes(etag)) return { status: 304, headers: answered, body: "" };
    return { status: 200, headers: answered, body: await readFile(file.path + ending) };
  }

  /** The files there are; read again after a build. */
  #read(folder: string): ReadonlyMap<string, PageFile> | undefined {
    const ofIndex = statSync(join(folder, INDEX), { throwIfNoEntry: false });
    if (ofIndex === undefined) return undefined;
    const identity = `${folder} ${ofIndex.ino} ${ofIndex.mtimeMs} ${ofIndex.size}`;
    if (this.#files?.ofIndex !== identity) this.#files = { ofIndex: identity, byUrl: filesIn(folder) };
    return this.#files.byUrl;
  }
}

const NOT_BUILT: PageAnswer = {
  status: 503,
  headers: { ...FIXED_HEADERS, "content-type": "text/html; charset=utf-8", "cache-control": "no-store" },
  body: `<!doctype html><html lang="en"><meta charset="utf-8"><title>miniTorrent</title>
<h1>The page is not built yet</h1><p>Run <code>npm run build:web</code> in miniTorrent's folder, then load this again.</p></html>`,
};

function filesIn(folder: string): ReadonlyMap<string, PageFile> {
  const isFile = (entry: Dirent): boolean => entry.isFile() && !entry.name.startsWith(".");
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(isFile)
    .map(({ parentPath, name }) => join(parentPath, name));
  const there = new Set(paths);
  const endings = CODINGS.map(([ending]) => ending);
  const files = new Map<string, PageFile>();
  for (const path of paths) {
    const type = TYPES[extname(path)];
    if (type === undefined) continue;
    files.set(`/${relative(folder, path).split(sep).map(encodeURIComponent).join("/")}`, {
      path,
      type,
      etag: createHash("sha256").update(readFileSync(path)).digest("base64url").slice(0, 22),
      endings: new Set(endings.filter((ending) => there.has(path + ending))),
    });
  }
  return files;
}

/** Whether an Accept-Encoding header has the coding, and not with a weight of 0. */
function accepts(header: string, coding: string): boolean {
  return header
    .toLowerCase()
    .split(",")
    .map((part) => part.split(";").map((word) => word.trim()))
    .some(([name, weight = ""]) => name === coding && !/^q=0(\.0*)?$/.test(weight));
}
