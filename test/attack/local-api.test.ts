// The local API over TCP under attack: callers without a token, pages of other websites and ports, names that are made to point here,
// paths outside the roots, floods, and requests that do not end. The daemon is a real process, and whoever has a token is served meanwhile.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { Agent, type OutgoingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { DaemonScene } from "../../harness/daemon-scene.ts";
import type { DaemonUser } from "../../harness/daemons.ts";
import { freePorts } from "../../harness/processes.ts";
import { until, within } from "../../harness/within.ts";
import { ApiClient } from "../../src/daemon/api-client.ts";
import { API_PREFIX, type Endpoint, endpoints } from "../../src/daemon/endpoints.ts";

/** Connections at a time. */
const FLOOD = Number(process.env.ATTACK_CONNECTIONS ?? 3_000);
const FUZZED = Math.ceil(Number(process.env.FUZZ_RUNS ?? 20_000) / 400);
const WRONG_TOKENS = 10_000;
/** On a machine that does other things as well. */
const CALL_WITHIN_MS = 5_000;
/** Headers may take 10 s and bodies 30 s, looked at every 5 s; the rest is for a slow machine. */
const CLOSED_WITHIN_MS = 60_000;
const MIB = 1024 * 1024;
const MOST_GROWTH_BYTES = 96 * MIB;

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

let scene: DaemonScene;
let ann: DaemonUser;
let port: number;
let control: string;
let look: string;
/** What the page of a browser that has entered sends. */
let page: OutgoingHttpHeaders;
let cookie: string;

function ask(
  method: string,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body?: string,
  agent: Agent | false = false,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, method, path, agent, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        if (text.length < 10_000) text += chunk;
      });
      response.once("error", reject);
      response.once("end", () => {
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers });
      });
    });
    asked.once("error", reject);
    asked.end(body);
  });
}

const bearer = (token: string): OutgoingHttpHeaders => ({ authorization: `Bearer ${token}` });
const JSON_BODY = { "content-type": "application/json" };
const own = () => ({ "sec-fetch-site": "same-origin", origin: `http://127.0.0.1:${port}` });

/** Each call of the table: its path with something for each parameter, and a body of any form. */
const calls = Object.entries(endpoints as Record<string, Endpoint>).map(([name, endpoint]) => ({
  name,
  endpoint,
  method: endpoint.method,
  path: API_PREFIX + endpoint.path.replaceAll(/:\w+/g, "x"),
}));

async function annIsServed(): Promise<void> {
  const startedMs = performance.now();
  const { status } = await ask("GET", `${API_PREFIX}/status`, bearer(control));
  const tookMs = performance.now() - startedMs;
  assert.equal(status, 200);
  assert.ok(tookMs < CALL_WITHIN_MS, `a call with a token took ${tookMs} ms`);
}

async function residentBytes(): Promise<number> {
  const { daemon } = await ann.api.call("status", {});
  const status = readFileSync(`/proc/${daemon.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

async function dial(): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await within(once(socket, "connect"), "a connection to the daemon");
  return socket;
}

/** Resolves when it is closed, to what came. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    if (text.length < 10_000) text += chunk.toString("latin1");
  });
  if (!socket.closed) await within(once(socket, "close"), "the end of a connection", CLOSED_WITHIN_MS);
  return text;
}

describe("the local API over TCP", { skip: process.platform === "linux" ? false : "needs /proc" }, () => {
  before(async () => {
    scene = await DaemonScene.open(1);
    [port = 0] = await freePorts(1);
    ann = await scene.member("ann", "--web", `127.0.0.1:${port}`);
    await scene.group("films", "ann");
    writeFileSync(join(ann.home, "dune.txt"), "spice");
    await ann.api.call("uploadFile", { groupId: "films", path: join(ann.home, "dune.txt") });
    control = (await ann.api.call("createToken", { name: "script", scope: "control" })).token;
    look = (await ann.api.call("createToken", { name: "monitor", scope: "read" })).token;
    const { url } = await ann.api.call("createLink", {});
    const link = new URL(url).hash.replace("#link=", "");
    const entered = await ask(
      "POST",
      `${API_PREFIX}/enter`,
      { ...own(), ...JSON_BODY },
      JSON.stringify({ link }),
    );
    cookie = String(entered.headers["set-cookie"]).split(";")[0] ?? "";
    page = { ...own(), cookie, "x-minitorrent-page": JSON.parse(entered.text).pageKey };
    assert.equal((await ask("GET", `${API_PREFIX}/status`, page)).status, 200);
  });
  after(async () => {
    await scene[Symbol.asyncDispose]();
  });

  /** Each call with those headers is refused with that status, before its body is looked at. */
  async function allAreRefused(
    headers: OutgoingHttpHeaders,
    status: number,
    isConcerned: (endpoint: Endpoint) => boolean = ({ scope }) => scope !== "none",
  ): Promise<void> {
    for (const { name, endpoint, method, path } of calls) {
      if (!isConcerned(endpoint)) continue;
      const body = endpoint.body === undefined ? undefined : "{";
      const answer = await ask(method, path, { ...(body && JSON_BODY), ...headers }, body);
      assert.equal(answer.status, status, `${name}: ${answer.text}`);
      assert.equal(JSON.parse(answer.text).code, "TOKEN_NEEDED", name);
    }
    for (const path of ["/events", "/openapi.json"])
      if (isConcerned({ scope: "read" } as Endpoint))
        assert.equal((await ask("GET", API_PREFIX + path, headers)).status, status, path);
    const octets = { "content-type": "application/octet-stream", ...headers };
    const put = await ask("PUT", `${API_PREFIX}/uploads/x/content`, octets, "bytes");
    assert.equal(put.status, status, "an upload's content");
  }

  it("without a token no call is answered, nor its body looked at", () => allAreRefused({}, 401));

  it("a token that may look changes nothing", () =>
    allAreRefused(bearer(look), 403, ({ scope }) => scope === "control"));

  it("a name that is made to point here gets nothing, with a token and with a session too", async () => {
    for (const host of [
      `evil.example:${port}`,
      "evil.example",
      `127.0.0.1:${port + 1}`,
      `localhost.:${port}`,
    ]) {
      await allAreRefused({ ...bearer(control), host }, 421);
      await allAreRefused({ ...page, origin: `http://${host}`, host }, 421, ({ scope }) => scope === "read");
      for (const path of ["/", "/index.html", `${API_PREFIX}/content/x/y`])
        assert.equal((await ask("GET", path, { host })).status, 421, path);
    }
  });

  it("a page of another website, or on another port of this machine, calls nothing", async () => {
    const others = ["https://evil.example", "http://127.0.0.1:3000", "http://localhost:3000", "null"];
    for (const origin of others) {
      const site = origin.includes("evil") ? "cross-site" : "same-site";
      // The browser sends the cookie to any port, and a page that knew the key could not hide where it comes from.
      await allAreRefused({ ...page, origin, "sec-fetch-site": site }, 403, ({ scope }) => scope !== "none");
      const answer = await ask("POST", `${API_PREFIX}/enter`, { ...JSON_BODY, origin }, '{"link":"x"}');
      assert.equal(answer.status, 403, answer.text);
    }
    await allAreRefused({ ...own(), cookie }, 401);
    await allAreRefused({ cookie }, 401);
    const preflight = await ask("OPTIONS", `${API_PREFIX}/status`, {
      origin: "https://evil.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "x-minitorrent-page",
    });
    assert.notEqual(preflight.status, 200);
    for (const { headers } of [preflight, await ask("GET", `${API_PREFIX}/status`, page)])
      assert.equal(headers["access-control-allow-origin"], undefined, "no other page may read an answer");
    const form = { ...page, "content-type": "text/plain" };
    assert.equal((await ask("POST", `${API_PREFIX}/groups`, form, '{"groupId":"x"}')).status, 415);
  });

  it("a link lets one browser in, whoever is the first of many at once", async () => {
    const { url } = await ann.api.call("createLink", {});
    const body = JSON.stringify({ link: new URL(url).hash.replace("#link=", "") });
    const tries = await Promise.all(
      Array.from({ length: 20 }, () => ask("POST", `${API_PREFIX}/enter`, { ...own(), ...JSON_BODY }, body)),
    );
    const statuses = tries.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, ...Array<number>(19).fill(401)]);
  });

  it("no call takes a path outside the roots", async () => {
    mkdirSync(join(ann.home, "films"), { recursive: true });
    symlinkSync("/etc", join(ann.home, "films", "out"));
    const ofPaths = calls.filter(({ endpoint }) => {
      const fields = { ...endpoint.body?.shape, ...endpoint.query?.shape };
      return endpoint.isPathInside !== true && ("path" in fields || "destinationPath" in fields);
    });
    assert.ok(ofPaths.length >= 5, "there are such calls");
    for (const { name, endpoint, method, path } of ofPaths) {
      for (const given of [
        "/etc/passwd",
        `${ann.home}/../x`,
        `${ann.home}/films/out/passwd`,
        `${ann.home}/.ssh/id_ed25519`,
        ann.socket,
        "relative",
      ]) {
        const values: Record<string, unknown> = {
          ...{ path: given, destinationPath: given, groupId: "films", fileName: "x", name: "x" },
          ...{ kind: "file", lengthBytes: 1 },
        };
        const search = new URLSearchParams();
        for (const key of Object.keys(endpoint.query?.shape ?? {}))
          if (key in values) search.set(key, String(values[key]));
        const body = Object.fromEntries(
          Object.keys(endpoint.body?.shape ?? {})
            .filter((key) => key in values)
            .map((key) => [key, values[key]]),
        );
        const answer = await ask(
          method,
          `${path}?${search}`,
          { ...bearer(control), ...(endpoint.body && JSON_BODY) },
          endpoint.body && JSON.stringify(body),
        );
        assert.equal(JSON.parse(answer.text).code, "PATH_REFUSED", `${name} ${given}: ${answer.text}`);
      }
    }
  });

  it("an address of content gives that file alone, and ends with its session", async () => {
    const inputs = JSON.stringify({ groupId: "films", fileName: "dune.txt" });
    const asked = await ask(
      "POST",
      `${API_PREFIX}/content-tickets`,
      { ...bearer(look), ...JSON_BODY },
      inputs,
    );
    const { url } = JSON.parse(asked.text);
    const { status, text } = await ask("GET", url, { range: "bytes=1-3" });
    assert.deepEqual([status, text], [206, "pic"]);
    const ticket = String(url).split("/")[4];
    for (const path of ["/..%2f..%2fstatus", "/", "/../status", "/%00", "/../../../etc/passwd"]) {
      const answer = await ask("GET", `${API_PREFIX}/content/${ticket}${path}`);
      assert.ok([200, 400, 401, 404].includes(answer.status), `${path}: ${answer.status}`);
      if (answer.status === 200) assert.equal(answer.text, "spice", "no other file");
    }
    const embedded = { "sec-fetch-site": "cross-site" };
    assert.equal((await ask("GET", url, embedded)).status, 403, "not in another website");
    assert.equal((await ask("GET", url.replace(ticket, randomBytes(32).toString("base64url")))).status, 404);
    await ann.api.call("revokeToken", { name: "monitor" });
    assert.equal((await ask("GET", url)).status, 404);
  });

  it("the files of the page are the page's alone", async () => {
    for (const path of [
      "/../daemon.sqlite",
      "/assets/../../../package.json",
      "/assets/%2e%2e/%2e%2e/package.json",
      "/assets/..%2f..%2fpackage.json",
      "/%2e%2e/package.json",
      "/..\\package.json",
      "//etc/passwd",
      "/assets/%00",
      "/%",
      "/.sources",
    ]) {
      const { status, text } = await ask("GET", path);
      assert.ok(status === 404 || status === 400, `${path}: ${status} ${text.slice(0, 100)}`);
    }
  });

  it("ten thousand wrong tokens cost little, and right ones are served meanwhile", async () => {
    const before = await residentBytes();
    const agent = new Agent({ keepAlive: true });
    const statuses = new Map<number, number>();
    const guess = async (): Promise<void> => {
      for (let at = 0; at < WRONG_TOKENS / 10; at++) {
        const { status } = await ask(
          "GET",
          `${API_PREFIX}/status`,
          bearer(randomBytes(32).toString("hex")),
          undefined,
          agent,
        );
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (at % 100 === 0) await annIsServed();
      }
    };
    await Promise.all(Array.from({ length: 10 }, guess));
    agent.destroy();
    assert.equal((statuses.get(401) ?? 0) + (statuses.get(429) ?? 0), WRONG_TOKENS);
    assert.ok((statuses.get(429) ?? 0) > WRONG_TOKENS / 2, JSON.stringify([...statuses]));
    assert.ok((await residentBytes()) - before < MOST_GROWTH_BYTES);
    await annIsServed();
  });

  it("bodies, headers and addresses that are too long are refused", async () => {
    const json = { ...bearer(control), ...JSON_BODY };
    const statusOf = (asked: Promise<Answer>): Promise<unknown> =>
      asked.then(
        ({ status }) => status,
        // The daemon may have closed the connection before all was written.
        ({ code }: NodeJS.ErrnoException) => code,
      );
    const isRefused = (status: unknown): boolean =>
      [413, 431, "EPIPE", "ECONNRESET"].some((refused) => refused === status);
    const large = ask("POST", `${API_PREFIX}/groups`, json, `{"groupId":"${"x".repeat(MIB)}"}`);
    assert.ok(isRefused(await statusOf(large)));
    const socket = await dial();
    socket.write(
      `POST ${API_PREFIX}/groups HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${control}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${10 ** 12}\r\n\r\n{`,
    );
    assert.match(await untilClosed(socket), /^HTTP\/1\.1 413 /);
    for (const [path, headers] of [
      [`/${"x".repeat(64 * 1024)}`, {}],
      ["/", { cookie: "x".repeat(64 * 1024) }],
      ["/", Object.fromEntries(Array.from({ length: 3_000 }, (_, at) => [`x-${at}`, "y"]))],
    ] as const) {
      const status = await statusOf(ask("GET", path, headers));
      assert.ok(isRefused(status), String(status));
    }
    const deep = `${'{"groupId":'.repeat(8_000)}1${"}".repeat(8_000)}`;
    const nested = await ask("POST", `${API_PREFIX}/groups`, json, deep.slice(0, 60_000));
    assert.equal(nested.status, 400);
    const proto = await ask(
      "POST",
      `${API_PREFIX}/groups`,
      json,
      '{"__proto__":{"scope":"control"},"groupId":"p"}',
    );
    assert.equal(proto.status, 400, "no object is changed by a body");
    await annIsServed();
  });

  it("requests that do not end are closed, and hold nobody up", async () => {
    const host = `Host: 127.0.0.1:${port}\r\n`;
    const json = `${host}Authorization: Bearer ${control}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n`;
    const begun = [
      "",
      "G",
      "GET / HTTP/1.1\r\n",
      `GET / HTTP/1.1\r\n${host}X-Slow: `,
      `POST ${API_PREFIX}/groups HTTP/1.1\r\n${json}{`,
      `POST ${API_PREFIX}/groups HTTP/1.1\r\n${json.replace("Content-Length: 100", "Transfer-Encoding: chunked")}5\r\n{"`,
      `PUT ${API_PREFIX}/limits HTTP/1.1\r\n${json}`,
    ];
    const sockets = await Promise.all(begun.map(dial));
    const trickling = setInterval(() => {
      for (const [at, socket] of sockets.entries()) if (at > 2 && socket.writable) socket.write(" ");
    }, 1_000);
    for (const [at, socket] of sockets.entries()) socket.write(begun[at] ?? "");
    await annIsServed();
    const ends = await Promise.all(sockets.slice(1).map(untilClosed));
    clearInterval(trickling);
    assert.ok(
      ends.every((text) => text === "" || /^HTTP\/1\.1 (400|408|413)/.test(text)),
      JSON.stringify(ends),
    );
    sockets[0]?.destroy();
    await annIsServed();
  });

  it("thousands of connections that show no token do not keep out one that does", async () => {
    const sockets: Socket[] = [];
    try {
      for (let opened = 0; opened < FLOOD; opened += 100) {
        sockets.push(...(await Promise.all(Array.from({ length: 100 }, dial))));
        await annIsServed();
      }
      const { daemon } = await ann.api.call("status", {});
      const openFiles = readdirSync(`/proc/${daemon.pid}/fd`).length;
      assert.ok(openFiles < 500, `${openFiles} files are open`);
      await until(() => sockets.filter(({ closed }) => !closed).length <= 256, "most of them are closed");
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    await annIsServed();
  });

  it("streams of events are 32 at a time, and end when the token is revoked", async () => {
    const { token } = await ann.api.call("createToken", { name: "watcher", scope: "read" });
    const watching = new AbortController();
    const ended: Promise<unknown>[] = [];
    for (let opened = 0; opened < 32; opened++) {
      const started = Promise.withResolvers<void>();
      const follow = async (): Promise<void> => {
        const api = new ApiClient({ host: "127.0.0.1", port, token });
        for await (const _event of api.events(watching.signal)) started.resolve();
      };
      ended.push(follow().catch(() => started.resolve()));
      await started.promise;
    }
    const refused = await ask("GET", `${API_PREFIX}/events`, bearer(control));
    assert.equal(refused.status, 503);
    await ann.api.call("revokeToken", { name: "watcher" });
    await within(Promise.all(ended), "the streams to end");
    watching.abort();
  });

  it("whatever is put into a call, it answers in order", { timeout: 300_000 }, async () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "films",
        "dune.txt",
        "ann",
        ".",
        "..",
        "../..",
        "/",
        "\0",
        "a/b",
        "__proto__",
        "constructor",
      ),
      fc.nat(2_000).map((length) => "x".repeat(length)),
    );
    const value = fc.oneof(
      text,
      fc.json(),
      fc.jsonValue(),
      fc.constantFrom(null, -1, 1e308, 0, true, [], {}),
    );
    const isFuzzed = ({ name }: (typeof calls)[number]): boolean =>
      !["stop", "logout", "enter"].includes(name);
    for (const { name, endpoint, method } of calls.filter(isFuzzed)) {
      const keys = (part: Endpoint["body"]) => Object.keys(part?.shape ?? {});
      const fields = (part: Endpoint["body"]) =>
        fc.record(Object.fromEntries(keys(part).map((key) => [key, value])), { requiredKeys: [] });
      const path = fc.array(text, { minLength: 4, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(path, fields(endpoint.query), fields(endpoint.body), async (parts, query, body) => {
          let at = 0;
          const filled = endpoint.path.replaceAll(/:\w+/g, () =>
            encodeURIComponent((parts[at++] ?? "").toWellFormed()),
          );
          const search = new URLSearchParams(
            Object.entries(query).map(([key, one]) => [
              key,
              typeof one === "string" ? one : JSON.stringify(one),
            ]),
          );
          const answer = await ask(
            method,
            `${API_PREFIX}${filled}?${search}`.slice(0, 12_000),
            { ...bearer(control), ...(endpoint.body && JSON_BODY) },
            endpoint.body && JSON.stringify(body),
          );
          assert.ok(
            answer.status < 500 || answer.status === 503 || answer.status === 507,
            `${name}: ${answer.status} ${answer.text}`,
          );
          if (answer.status !== 200) {
            const { code, error } = JSON.parse(answer.text);
            assert.deepEqual([typeof code, typeof error], ["string", "string"]);
          }
        }),
        { numRuns: FUZZED },
      );
    }
    await annIsServed();
  });
});
