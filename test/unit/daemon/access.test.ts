// Who may call over TCP: each danger of a local web interface, and that it is refused before anything is done.
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { Access } from "../../../src/daemon/access.ts";
import { DaemonStore } from "../../../src/daemon/daemon-store.ts";
import { Roots } from "../../../src/daemon/roots.ts";
import { temporaryFolder } from "./fixture.ts";

const HOST = "127.0.0.1:7411";

function accessFor(t: Parameters<typeof temporaryFolder>[0]) {
  const store = new DaemonStore(temporaryFolder(t));
  t.after(() => store.close());
  store.addToken("reader", "read-secret", "read", 0);
  store.addToken("script", "control-secret", "control", 0);
  const time = { nowMs: 1_000_000 };
  return {
    store,
    time,
    access: new Access({ store, hosts: () => new Set([HOST]), port: () => 7411, nowMs: () => time.nowMs }),
  };
}

const request = (headers: Record<string, string>, method = "GET"): IncomingMessage =>
  ({ method, headers: { host: HOST, ...headers } }) as unknown as IncomingMessage;
const OWN = { "sec-fetch-site": "same-origin", origin: `http://${HOST}` };
/** What a browser sends with each call of the page, once it has opened a link. */
function entered(access: Access, link = access.link()): { cookie: string; "x-minitorrent-page": string } {
  const { cookie, pageKey } = access.enter(request(OWN, "POST"), link);
  return { cookie: `minitorrent-7411=${cookie}`, "x-minitorrent-page": pageKey };
}
const bearer = (secret: string) => request({ authorization: `Bearer ${secret}` });
const refusal = (status: number) => ({ status });

test("a call without a token, with a wrong one or in another form is refused", (t) => {
  const { access } = accessFor(t);
  for (const headers of [
    {},
    { authorization: "Basic eDp5" },
    { authorization: "Bearer" },
    { cookie: "other=x" },
  ]) {
    assert.throws(() => access.check(request(headers), "read"), refusal(401));
  }
  assert.throws(() => access.check(bearer("guess"), "read"), refusal(401));
});

test("a token for looking may look, and change nothing; one for control may do both", (t) => {
  const { access } = accessFor(t);
  access.check(bearer("read-secret"), "read");
  assert.throws(() => access.check(bearer("read-secret"), "control"), refusal(403));
  access.check(bearer("control-secret"), "read");
  access.check(bearer("control-secret"), "control");
});

test("a name that was made to point here is refused, also with a right token", (t) => {
  const { access } = accessFor(t);
  for (const host of ["evil.example:7411", "127.0.0.1", "127.0.0.1:80", ""]) {
    const rebound = request({ host, authorization: "Bearer control-secret" });
    assert.throws(() => access.check(rebound, "read"), { status: 421, message: /--web-hosts/ });
    assert.throws(() => access.enter(rebound, access.link()), refusal(421));
  }
});

test("a browser's cookie counts only for calls of the daemon's own page", (t) => {
  const { access } = accessFor(t);
  const session = entered(access);
  const allowed: [Record<string, string>, string][] = [
    [OWN, "POST"],
    [{ "sec-fetch-site": "same-origin" }, "GET"],
    [{ "sec-fetch-site": "none" }, "GET"],
    [{}, "GET"],
    [{ origin: `http://${HOST}` }, "POST"],
    // A proxy that speaks HTTPS.
    [{ "sec-fetch-site": "same-origin", origin: `https://${HOST}` }, "POST"],
  ];
  for (const [headers, method] of allowed)
    access.check(request({ ...headers, ...session }, method), "control");
  const refused: [Record<string, string>, string][] = [
    [{ "sec-fetch-site": "cross-site", origin: "https://evil.example" }, "POST"],
    [{ "sec-fetch-site": "cross-site" }, "GET"],
    // Another page on this machine: for cookies a port is no border.
    [{ "sec-fetch-site": "same-site", origin: "http://127.0.0.1:3000" }, "POST"],
    [{ "sec-fetch-site": "same-site" }, "GET"],
    [{ "sec-fetch-site": "none" }, "POST"],
    [{ origin: "null" }, "POST"],
    [{ origin: "http://127.0.0.1:3000" }, "GET"],
    [{}, "POST"],
  ];
  for (const [headers, method] of refused) {
    const foreign = request({ ...headers, ...session }, method);
    assert.throws(() => access.check(foreign, "read"), refusal(403), JSON.stringify([headers, method]));
    const enters = request(headers, method);
    assert.throws(() => access.enter(enters, access.link()), refusal(403), JSON.stringify([headers, method]));
    assert.throws(() => access.checkOwnPage(enters), refusal(403), JSON.stringify([headers, method]));
  }
});

test("a cookie that a page on another port was sent is worth nothing without the page key", (t) => {
  const { access } = accessFor(t);
  const { cookie, "x-minitorrent-page": pageKey } = entered(access);
  const others = entered(access);
  for (const headers of [
    { cookie },
    { cookie, "x-minitorrent-page": "" },
    { cookie, "x-minitorrent-page": others["x-minitorrent-page"] },
    { "x-minitorrent-page": pageKey },
    { cookie: cookie.replace("7411", "3000"), "x-minitorrent-page": pageKey },
    { authorization: `Bearer ${cookie.split("=")[1]}` },
    { authorization: `Bearer ${pageKey}` },
  ]) {
    const replayed = request({ ...OWN, ...(headers as Record<string, string>) });
    assert.throws(() => access.check(replayed, "read"), refusal(401), JSON.stringify(headers));
  }
});

test("a browser that enters again has one session, and leaves it for good", (t) => {
  const { access, store, time } = accessFor(t);
  const first = entered(access);
  const other = entered(access);
  const { cookie, pageKey } = access.enter(request({ ...OWN, ...first }, "POST"), access.link());
  const second = { cookie: `minitorrent-7411=${cookie}`, "x-minitorrent-page": pageKey };
  assert.throws(() => access.check(request({ ...OWN, ...first }), "read"), refusal(401));
  assert.equal(store.tokens(time.nowMs).filter(({ kind }) => kind === "browser").length, 2);
  access.leave(access.check(request({ ...OWN, ...second }), "read"));
  assert.throws(() => access.check(request({ ...OWN, ...second }), "read"), refusal(401));
  access.check(request({ ...OWN, ...other }), "control");
  assert.throws(() => access.leave(access.check(bearer("control-secret"), "read")), {
    status: 400,
    message: /token revoke/,
  });
});

test("the cookie is for its port, for this site and for no script", (t) => {
  const { access } = accessFor(t);
  assert.equal(
    access.cookieWith({ cookie: "secret" }, 90_000),
    "minitorrent-7411=secret; HttpOnly; SameSite=Strict; Path=/; Max-Age=90",
  );
  assert.match(access.endedCookie, /^minitorrent-7411=; .*Max-Age=0$/);
});

test("a link opens the page once, within two minutes", (t) => {
  const { access, time, store } = accessFor(t);
  const link = access.link();
  const session = entered(access, link);
  access.check(request({ ...session, cookie: `a=b; ${session.cookie}; c=d` }), "control");
  assert.throws(() => entered(access, link), { status: 401, message: /opened before/ });
  assert.throws(() => entered(access, "guess"), refusal(401));
  const late = access.link();
  time.nowMs += 120_001;
  assert.throws(() => entered(access, late), refusal(401));
  // The session is a token like others: it is listed, and can be revoked.
  const name = store.tokens(time.nowMs).at(-1)?.name ?? "";
  assert.match(name, /^browser 19/);
  store.revokeToken(name);
  assert.throws(() => access.check(request(session), "read"), refusal(401));
});

test("ten thousand wrong tokens are refused, most of them as too many, and right ones go on", (t) => {
  const { access, time } = accessFor(t);
  const statuses = new Map<number, number>();
  for (let guess = 0; guess < 10_000; guess++) {
    try {
      access.check(bearer(`guess-${guess}`), "read");
      assert.fail("a guess was let in");
    } catch (error) {
      const { status } = error as { status: number };
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  }
  assert.deepEqual(
    [...statuses],
    [
      [401, 30],
      [429, 9_970],
    ],
  );
  access.check(bearer("control-secret"), "control");
  time.nowMs += 60_001;
  assert.throws(() => access.check(bearer("guess"), "read"), refusal(401));
});

test("paths are confined to the roots: no way up, no link that leads out, nothing hidden", (t) => {
  const folder = temporaryFolder(t);
  const [root, outside] = [join(folder, "root"), join(folder, "root-2")];
  for (const path of [join(root, "films", "new"), join(root, ".ssh"), outside])
    mkdirSync(path, { recursive: true });
  writeFileSync(join(root, "film"), "");
  symlinkSync(outside, join(root, "out"));
  symlinkSync(join(root, "films"), join(root, "in"));
  symlinkSync(join(outside, "not-there"), join(root, "nowhere"));
  symlinkSync("loop", join(root, "loop"));
  const roots = new Roots([root, join(folder, "absent")]);
  for (const path of ["", "film", "films/new/", "films/not-there/yet", "in/new", "films/../film", "a..b"]) {
    roots.check(path === "" ? root : `${root}/${path}`);
  }
  for (const path of [
    "..",
    "../root-2/x",
    "out/x",
    "out",
    ".ssh",
    ".ssh/id",
    "films/.hidden",
    "..hidden",
    "nowhere",
    "nowhere/x",
    "loop",
    "film/x",
    "\0",
    "new/../../x",
  ]) {
    assert.throws(() => roots.check(`${root}/${path}`), { code: "PATH_REFUSED" }, path);
  }
  for (const path of ["/etc/passwd", "root/film", "film", outside]) {
    assert.throws(() => roots.check(path), { code: "PATH_REFUSED" }, path);
  }
});
