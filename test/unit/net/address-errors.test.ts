import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { dialProblem, listenError, tellingError } from "../../../src/net/address-errors.ts";

const REMEDIES = { taken: "stop it", notOwn: "give one that it has" };
const failed = (code: string): Error => Object.assign(new Error(code), { code });

test("an address that cannot be listened on is in use only if another program has it", () => {
  const codeOf = (code: string) => listenError(failed(code), { host: "192.0.2.1", port: 9 }, REMEDIES).code;
  assert.equal(codeOf("EADDRINUSE"), "ADDRESS_IN_USE");
  for (const code of [
    "EADDRNOTAVAIL",
    "ENOTFOUND",
    "EAI_AGAIN",
    "EACCES",
    "EAFNOSUPPORT",
    "EINVAL",
    "EMFILE",
    "EIO",
  ]) {
    assert.equal(codeOf(code), "ADDRESS_UNUSABLE", code);
  }
});

test("each sentence names the address, the system's word, and what to do", () => {
  for (const code of ["EADDRNOTAVAIL", "ENOTFOUND", "EAI_AGAIN", "EACCES", "EAFNOSUPPORT", "EINVAL"]) {
    const { message } = listenError(failed(code), { host: "2001:db8::1", port: 9 }, REMEDIES);
    assert.match(
      message,
      new RegExp(`2001:db8::1.*\\(${code}\\).*; .*\\.$|2001:db8::1.*\\(${code}\\).*, .*\\.$`),
      message,
    );
  }
});

test("a lack of this machine is not blamed on the other end", () => {
  for (const code of [
    "ENETUNREACH",
    "EADDRNOTAVAIL",
    "EAFNOSUPPORT",
    "EINVAL",
    "ENOTFOUND",
    "EAI_AGAIN",
    "EMFILE",
  ]) {
    assert.equal(dialProblem(failed(code))?.isLocal, true, code);
  }
  for (const code of ["ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ECONNRESET"]) {
    assert.equal(dialProblem(failed(code))?.isLocal, false, code);
  }
  assert.equal(dialProblem(new Error("no code")), undefined);
  assert.equal(dialProblem(undefined), undefined);
});

test("when several addresses fail, the failure that another machine gave is told", () => {
  const both = new AggregateError([failed("ENETUNREACH"), failed("ECONNREFUSED")]);
  assert.equal(dialProblem(both)?.isLocal, false);
  assert.equal(tellingError(both).message, "ECONNREFUSED");
  assert.equal(
    dialProblem(new AggregateError([failed("ENETUNREACH"), failed("EAFNOSUPPORT")]))?.isLocal,
    true,
  );
  assert.equal(tellingError(new AggregateError([])).name, "AggregateError");
});

test("the system's own refusals have their sentences", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const second = createServer().listen(address.port, "127.0.0.1");
  const [taken] = await once(second, "error");
  assert.equal(
    listenError(taken, { host: "127.0.0.1", port: address.port }, REMEDIES).code,
    "ADDRESS_IN_USE",
  );
  const [foreign] = await once(createServer().listen(0, "192.0.2.77"), "error");
  assert.equal(listenError(foreign, { host: "192.0.2.77", port: 0 }, REMEDIES).code, "ADDRESS_UNUSABLE");
  const [mixed] = await once(connect({ host: "::1", port: 9, localAddress: "127.0.0.1" }), "error");
  assert.equal(dialProblem(mixed)?.isLocal, true);
});

test("each refusal to dial has its sentence, and says whose fault it is", () => {
  const told: readonly (readonly [codes: readonly string[], isLocal: boolean, words: RegExp])[] = [
    [["ECONNREFUSED"], false, /nothing listens there/],
    [["ECONNRESET", "EPIPE"], false, /it closed the connection/],
    [["ETIMEDOUT"], false, /did not answer in time/],
    [["EHOSTUNREACH", "EHOSTDOWN"], false, /no machine answers/],
    [["ENETUNREACH"], true, /no route/],
    [["ENETDOWN"], true, /network is down/],
    [["EAFNOSUPPORT", "EPROTONOSUPPORT"], true, /does not support addresses/],
    [["EADDRNOTAVAIL"], true, /no free port/],
    [["EINVAL"], true, /listens on/],
    [["EACCES", "EPERM"], true, /firewall/],
    [["ENOBUFS", "ENOMEM"], true, /out of memory/],
    [["ENOTFOUND", "ENODATA"], true, /no host of that name/],
    [["EAI_AGAIN", "ESERVFAIL"], true, /DNS/],
  ];
  for (const [codes, isLocal, words] of told) {
    for (const code of codes) {
      const problem = dialProblem(failed(code));
      assert.equal(problem?.isLocal, isLocal, code);
      assert.match(problem.reason, words);
      assert.ok(problem.reason.endsWith(`(${code})`), code);
    }
  }
  const full = dialProblem(failed("EMFILE"));
  assert.equal(full?.isLocal, true);
  assert.match(full.reason, /as many files and connections open/);
});

test("each refusal to listen has its sentence and its remedy", () => {
  const told: readonly (readonly [codes: readonly string[], host: string, words: RegExp])[] = [
    [["EADDRINUSE"], "192.0.2.1", /^Another program listens on 192\.0\.2\.1:9 already; stop it\.$/],
    [
      ["EADDRNOTAVAIL"],
      "192.0.2.1",
      /is not an address of this machine \(EADDRNOTAVAIL\); give one that it has\.$/,
    ],
    [["EINVAL", "ENODEV"], "fe80::1", /needs its zone/],
    [["EAFNOSUPPORT", "EPROTONOSUPPORT"], "::1", /does not support IPv6, as in \[::1\]:9/],
    [["EAFNOSUPPORT", "EPROTONOSUPPORT"], "192.0.2.1", /does not support addresses of that kind, as in/],
    [["ENOTFOUND", "ENODATA"], "nowhere", /There is no host named nowhere/],
    [["EAI_AGAIN", "ESERVFAIL"], "nowhere", /The name nowhere cannot be looked up now/],
    [["EACCES", "EPERM"], "192.0.2.1", /take a port from 1024 up/],
    [
      ["EMFILE"],
      "192.0.2.1",
      /cannot be listened on: this program has as many files .*start the program again\.$/,
    ],
    [["EIO"], "192.0.2.1", /cannot be listened on: EIO; try another address or port\.$/],
  ];
  for (const [codes, host, words] of told) {
    for (const code of codes) {
      const cause = failed(code);
      const error = listenError(cause, { host, port: 9 }, REMEDIES);
      assert.match(error.message, words, code);
      assert.equal(error.cause, cause);
    }
  }
  assert.match(listenError("odd", { host: "::1", port: 9 }, REMEDIES).message, /: odd; try another/);
  const own = new MiniTorrentError("LIMIT_REACHED", "Too many.");
  assert.equal(listenError(own, { host: "::1", port: 9 }, REMEDIES), own);
});

test("when all failures are this machine's own, the first is told", () => {
  const local = new AggregateError(["text", failed("ENETUNREACH"), failed("EAFNOSUPPORT")]);
  assert.equal(tellingError(local).message, "ENETUNREACH");
  const remoteFirst = new AggregateError([failed("ECONNREFUSED"), failed("ENETUNREACH")]);
  assert.equal(tellingError(remoteFirst).message, "ECONNREFUSED");
  const single = failed("EIO");
  assert.equal(tellingError(single), single);
});
