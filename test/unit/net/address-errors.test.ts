import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
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

test("what this machine lacks is not blamed on the other end", () => {
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

test("of several addresses' failures the one that another machine gave is told", () => {
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
