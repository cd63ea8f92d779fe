// The local API: what goes in is checked, errors have their code and status, and the table is its own documentation.
import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { freePorts } from "../../../harness/processes.ts";
import { until } from "../../../harness/within.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { ApiClient } from "../../../src/daemon/api-client.ts";
import { API_PREFIX, endpoints } from "../../../src/daemon/endpoints.ts";
import { startDaemon, temporaryFolder } from "./fixture.ts";

interface Raw {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: string,
  type = "application/json",
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": type };
    const asked = request({ socketPath, method, path: API_PREFIX + path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    asked.once("error", reject);
    asked.end(body);
  });
}

test("names of any characters reach the client as they are", async (t) => {
  const { api, client } = await startDaemon(t);
  const odd = "a/b?c#d %41 ünï&=+";
  await api.call("listFiles", { groupId: odd });
  await api.call("stopShare", { groupId: odd, fileName: "../..", everywhere: true });
  assert.deepEqual(client.calls, [
    ["listFiles", odd],
    ["stopShare", odd, "../..", true],
  ]);
});

test("an error keeps its code and sentence, has its HTTP status, and says when to try again", async (t) => {
  const { api, daemon } = await startDaemon(t);
  await assert.rejects(api.call("login", { userId: "ann", password: "wrong" }), {
    code: "BAD_CREDENTIALS",
    message: "Wrong.",
  });
  const body = JSON.stringify({ userId: "ann", password: "wrong" });
  const { status, headers, text } = await ask(daemon.socketPath, "POST", "/session", body);
  assert.deepEqual([status, headers["retry-after"]], [403, "2"]);
  assert.deepEqual(JSON.parse(text), { code: "BAD_CREDENTIALS", error: "Wrong." });
});

test("a request of the wrong form is refused in one sentence, and reaches nothing", async (t) => {
  const { daemon, client } = await startDaemon(t);
  const { socketPath } = daemon;
  const refusals: [Promise<Raw>, number, RegExp][] = [
    [ask(socketPath, "POST", "/session", "{"), 400, /MALFORMED_MESSAGE/],
    [ask(socketPath, "POST", "/session", '{"userId":"ann"}'), 400, /INVALID_ARGUMENT.*password/],
    [ask(socketPath, "POST", "/session", "x".repeat(65 * 1024)), 413, /MALFORMED_MESSAGE/],
    [ask(socketPath, "POST", "/session", "a=b", "text/plain"), 415, /MALFORMED_MESSAGE/],
    [ask(socketPath, "PUT", "/limits", '{"direction":"up","bytesPerSecond":-1}'), 400, /INVALID_ARGUMENT/],
    [
      ask(socketPath, "PUT", "/limits", '{"direction":"up","bytesPerSecond":9,"groupId":"x"}'),
      400,
      /needs groupId and fileName/,
    ],
    [ask(socketPath, "GET", "/nothing"), 404, /openapi\.json lists the calls/],
    [ask(socketPath, "GET", `/groups/${"x".repeat(1_025)}/shares`), 400, /INVALID_ARGUMENT/],
  ];
  for (const [asked, status, text] of refusals) {
    const answer = await asked;
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.text, text);
  }
  assert.deepEqual(client.calls, []);
});

test("the OpenAPI document has every call, with its path, input and answer", async (t) => {
  const { daemon } = await startDaemon(t);
  const { text } = await ask(daemon.socketPath, "GET", "/openapi.json");
  const { openapi, paths } = JSON.parse(text);
  assert.equal(openapi, "3.1.0");
  for (const [name, { method, path, summary }] of Object.entries(endpoints)) {
    const operation = paths[API_PREFIX + path.replaceAll(/:(\w+)/g, "{$1}")]?.[method.toLowerCase()];
    assert.deepEqual([operation?.operationId, operation?.summary], [name, summary]);
    assert.ok(operation.responses["200"].content["application/json"].schema, name);
  }
});

test("a limit is set and removed, and the answer has the limits as they are", async (t) => {
  const { api, client } = await startDaemon(t);
  const limits = await api.call("limit", { direction: "down", bytesPerSecond: null });
  assert.deepEqual(limits, { all: { down: 7 }, files: [] });
  await api.call("limit", { direction: "up", bytesPerSecond: 20_000, groupId: "films", fileName: "dune" });
  assert.deepEqual(client.calls, [
    ["limit", "down", undefined, undefined],
    ["limit", "up", 20_000, { groupId: "films", fileName: "dune" }],
  ]);
});

test("sharing is given up when its caller goes", async (t) => {
  const { api, client } = await startDaemon(t);
  const gone = new AbortController();
  const shared = api.call("uploadFile", { groupId: "films", path: "/dune" }, { signal: gone.signal });
  await until(() => client.calls.length === 1, "the client is asked");
  gone.abort(new Error("gone"));
  await assert.rejects(shared, /gone/);
  await until(() => client.calls.some(([name]) => name === "abandoned"), "the client's work is aborted");
});

test("without a daemon every call says how to start one", async () => {
  const api = new ApiClient({ socketPath: "/nowhere/daemon.sock" });
  await assert.rejects(api.call("status", {}), {
    code: "DAEMON_UNREACHABLE",
    message: "No daemon runs; start it: minitorrent daemon.",
  });
});

test("a stop is answered before it happens", async (t) => {
  const { api, stops } = await startDaemon(t);
  await api.call("stop", {});
  assert.equal(stops.length, 1);
});

test("over TCP every call needs a token, names its host, and names paths below the roots alone", async (t) => {
  const root = temporaryFolder(t);
  const [port = 0] = await freePorts(1);
  const web = { address: { host: "127.0.0.1", port }, hostNames: ["NAS.lan"], roots: [root] };
  const { api, client } = await startDaemon(t, temporaryFolder(t), web);
  const { token } = await api.call("createToken", { name: "script", scope: "control" });
  const over = (secret: string) => new ApiClient({ host: "127.0.0.1", port, token: secret });
  await assert.rejects(over("guess").call("status", {}), { code: "TOKEN_NEEDED" });
  await assert.rejects(over("guess").call("stop", {}), { code: "TOKEN_NEEDED" });
  assert.equal((await over(token).call("status", {})).daemon.pid, process.pid);
  await assert.rejects(over(token).call("uploadFile", { groupId: "films", path: "/etc/passwd" }), {
    code: "PATH_REFUSED",
  });
  const named = await fetch(`http://127.0.0.1:${port}/api/v1/health`);
  assert.deepEqual(await named.json(), { ok: true });
  await assert.rejects(
    async () => {
      for await (const _event of over("guess").events(AbortSignal.timeout(5_000))) break;
    },
    { code: "TOKEN_NEEDED" },
  );
  await api.call("revokeToken", { name: "script" });
  await assert.rejects(over(token).call("status", {}), { code: "TOKEN_NEEDED" });
  assert.deepEqual(client.calls, []);
});

test("over TCP nothing hidden is shared with a folder, and no share with a hidden name is written", async (t) => {
  const root = temporaryFolder(t);
  const [port = 0] = await freePorts(1);
  const web = { address: { host: "127.0.0.1", port }, hostNames: [], roots: [root] };
  const { api, client } = await startDaemon(t, temporaryFolder(t), web);
  const { token } = await api.call("createToken", { name: "page", scope: "control" });
  const remote = new ApiClient({ host: "127.0.0.1", port, token });
  const given: unknown[] = [];
  client.uploadFile = async (_path, _groupId, { leavesOutHidden }) => {
    given.push(leavesOutHidden);
    throw new MiniTorrentError("FILE_NOT_FOUND", "Gone.");
  };
  const input = { groupId: "films", path: root };
  for (const caller of [remote, api]) {
    await assert.rejects(caller.call("uploadFile", input), { code: "FILE_NOT_FOUND" });
  }
  assert.deepEqual(given, [true, false]);
  for (const fileName of [".ssh", ".."]) {
    const hidden = { groupId: "films", fileName, destinationPath: root };
    await assert.rejects(remote.call("downloadFile", hidden), { code: "PATH_REFUSED" }, fileName);
  }
});

test("the API is not served where other machines could reach it unencrypted", async (t) => {
  const web = { address: { host: "0.0.0.0", port: 0 }, hostNames: [], roots: [] };
  await assert.rejects(startDaemon(t, temporaryFolder(t), web), {
    code: "INVALID_ARGUMENT",
    message: /through SSH/,
  });
});
