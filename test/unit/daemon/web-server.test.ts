// The API and the page over TCP as a browser uses them: a link, a session, the page's files.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { freePorts } from "../../../harness/processes.ts";
import { startDaemon, temporaryFolder } from "./fixture.ts";

/** A daemon that answers over TCP at some free port, and its page. */
async function startWeb(t: TestContext) {
  const pageFolder = temporaryFolder(t);
  const running = await startDaemon(t, temporaryFolder(t), {
    address: { host: "127.0.0.1", port: 0 },
    findPage: async () => pageFolder,
  });
  const linkOf = async () => new URL((await running.api.call("createLink", {})).url);
  const { origin } = await linkOf();
  const browser = new Browser(origin);
  return { ...running, pageFolder, linkOf, origin, browser };
}

/** Sends what a browser sends with the calls of a page. */
class Browser {
  readonly #origin: string;
  cookie = "";
  pageKey = "";

  constructor(origin: string) {
    this.#origin = origin;
  }

  fetch(
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return fetch(this.#origin + path, {
      method,
      headers: {
        "sec-fetch-site": "same-origin",
        ...(method === "GET" ? {} : { origin: this.#origin }),
        ...(this.cookie === "" ? {} : { cookie: this.cookie }),
        ...(this.pageKey === "" ? {} : { "x-minitorrent-page": this.pageKey }),
        ...(body && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
    });
  }

  async enter({ hash }: URL): Promise<Response> {
    const response = await this.fetch("POST", "/api/v1/enter", { link: hash.replace("#link=", "") });
    if (response.status !== 200) return response;
    this.cookie = response.headers.get("set-cookie")?.split(";")[0] ?? "";
    this.pageKey = ((await response.json()) as { pageKey: string }).pageKey;
    return response;
  }
}

test("a link opens the page once; its session calls the API until it is left", async (t) => {
  const { browser, linkOf, origin, api } = await startWeb(t);
  assert.equal((await browser.fetch("GET", "/api/v1/status")).status, 401);
  const link = await linkOf();
  const entered = await browser.enter(link);
  assert.equal(entered.status, 200);
  assert.match(
    entered.headers.get("set-cookie") ?? "",
    new RegExp(
      `^minitorrent-${new URL(origin).port}=[\\w-]{43}; HttpOnly; SameSite=Strict; Path=/; Max-Age=7776000$`,
    ),
  );
  assert.equal((await new Browser(origin).enter(link)).status, 401);
  assert.equal((await browser.fetch("GET", "/api/v1/status")).status, 200);
  const tokens = await api.call("tokens", {});
  assert.deepEqual(
    tokens.map(({ kind }) => kind),
    ["browser"],
  );
  const left = await browser.fetch("POST", "/api/v1/leave");
  assert.equal(left.status, 200);
  assert.match(left.headers.get("set-cookie") ?? "", /=; .*Max-Age=0$/);
  assert.equal((await browser.fetch("GET", "/api/v1/status")).status, 401);
  assert.deepEqual(await api.call("tokens", {}), []);
});

test("a daemon without TCP answers there once a link is asked for, at port 7411 or any other", async (t) => {
  const { api } = await startDaemon(t);
  const [first, second] = await Promise.all([api.call("createLink", {}), api.call("createLink", {})]);
  const [one, other] = [new URL(first.url), new URL(second.url)];
  assert.equal(one.origin, other.origin, "it listens once");
  assert.notEqual(one.hash, other.hash);
  assert.equal(one.hostname, "127.0.0.1");
  assert.equal((await new Browser(one.origin).enter(one)).status, 200);
  const next = await startDaemon(t);
  const { url } = await next.api.call("createLink", {});
  assert.notEqual(new URL(url).port, one.port, "the port is taken");
  assert.equal((await new Browser(new URL(url).origin).enter(new URL(url))).status, 200);
});

test("on the Unix socket there are no sessions of browsers", async (t) => {
  const { api } = await startDaemon(t);
  await assert.rejects(api.call("enter", { link: "x" }), { code: "INVALID_ARGUMENT" });
  await assert.rejects(api.call("leave", {}), { code: "INVALID_ARGUMENT" });
});

test("the page's files are served with a policy, compressed where the browser can, and known ones are not sent again", async (t) => {
  const { browser, pageFolder } = await startWeb(t);
  const unbuilt = await browser.fetch("GET", "/");
  assert.equal(unbuilt.status, 503);
  assert.match(await unbuilt.text(), /npm run build:web/);
  mkdirSync(join(pageFolder, "assets"));
  for (const [name, text] of [
    ["index.html", "<p>page"],
    ["assets/a-1.js", "plain"],
    ["assets/a-1.js.br", "brotli"],
    ["assets/a-1.js.gz", "gzip"],
    [".secret.js", "hidden"],
    ["notes.txt", "of no type of the page"],
  ] as const)
    writeFileSync(join(pageFolder, name), text);
  const index = await browser.fetch("GET", "/?x#y");
  assert.equal(await index.text(), "<p>page");
  assert.match(index.headers.get("content-security-policy") ?? "", /^default-src 'none'; script-src 'self';/);
  assert.match(index.headers.get("content-security-policy") ?? "", /frame-ancestors 'none'$/);
  assert.equal(index.headers.get("x-content-type-options"), "nosniff");
  assert.equal(index.headers.get("cache-control"), "no-cache");
  const etag = index.headers.get("etag") ?? "";
  assert.equal((await browser.fetch("GET", "/", undefined, { "if-none-match": etag })).status, 304);
  // The test's fetch decodes br and gzip by itself, so the coding's name alone is looked at.
  const codings = await Promise.all(
    ["gzip, br", "gzip;q=0.5", "br;q=0, gzip;q=0", ""].map(async (encodings) => {
      const { headers } = await browser.fetch("HEAD", "/assets/a-1.js", undefined, {
        "accept-encoding": encodings,
      });
      return [headers.get("content-encoding"), headers.get("cache-control"), headers.get("vary")];
    }),
  );
  const immutable = "public, max-age=31536000, immutable";
  assert.deepEqual(
    codings,
    ["br", "gzip", null, null].map((coding) => [coding, immutable, "accept-encoding"]),
  );
  for (const path of [
    "/assets/",
    "/assets/b.js",
    "/.secret.js",
    "/notes.txt",
    "/assets/a-1.js.br",
    "/index.html/",
  ]) {
    assert.equal((await browser.fetch("GET", path)).status, 404, path);
  }
  writeFileSync(join(pageFolder, "index.html"), "<p>built again");
  assert.equal(await (await browser.fetch("GET", "/")).text(), "<p>built again");
});

test("the page is looked for, and built, when it is opened or a link is made, not for callers of the API", async (t) => {
  let looks = 0;
  const folder = temporaryFolder(t);
  const [port = 0] = await freePorts(1);
  const { api } = await startDaemon(t, temporaryFolder(t), {
    address: { host: "127.0.0.1", port },
    findPage: async () => {
      looks++;
      return folder;
    },
  });
  const browser = new Browser(`http://127.0.0.1:${port}`);
  assert.equal((await browser.fetch("GET", "/api/v1/status")).status, 401);
  assert.equal(looks, 0);
  for (let loads = 0; loads < 2; loads++) assert.equal((await browser.fetch("GET", "/")).status, 503);
  assert.equal(looks, 1);
  await api.call("createLink", {});
  assert.equal(looks, 2, "sources may have changed since");
});

test("a browser may use the names of the settings, at the daemon's port or at the one that is named", async (t) => {
  const [port = 0] = await freePorts(1);
  await startDaemon(t, temporaryFolder(t), {
    address: { host: "127.0.0.1", port },
    hostNames: ["NAS.lan", "proxy.lan:443", "localhost:9000"],
  });
  const statusFor = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const asked = request(
        { host: "127.0.0.1", port, path: "/api/v1/status", headers: { host } },
        (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        },
      );
      asked.once("error", reject);
      asked.end();
    });
  const known = [`127.0.0.1:${port}`, `[::1]:${port}`, `nas.lan:${port}`, "proxy.lan", "localhost:9000"];
  for (const host of known) assert.equal(await statusFor(host), 401, host);
  const unknown = [
    "127.0.0.1",
    "nas.lan",
    `proxy.lan:${port}`,
    "proxy.lan:80",
    "localhost",
    "localhost:9001",
    "lan",
  ];
  for (const host of unknown) assert.equal(await statusFor(host), 421, host);
});
