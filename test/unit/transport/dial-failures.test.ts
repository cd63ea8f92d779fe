// What a person reads about a member who could not be dialled: real sockets, and no word of OpenSSL's.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { createGroupAuthority } from "../../../src/identity/certificates.ts";
import { dial } from "../../../src/transport/dialer.ts";
import { Alice, INFO_HASH, member, newPeerId, silent } from "./members.ts";

async function portOf(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

async function refusal(dialled: Promise<unknown>): Promise<string> {
  const error = await dialled.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  assert.ok(error instanceof MiniTorrentError);
  assert.doesNotMatch(error.message, /openssl|SSL routines|--use-system-ca|alert number/i);
  return error.message;
}

test("each way in which a member cannot be dialled has its own sentence", async (t) => {
  await using alice = await Alice.listen();
  const bob = await member(alice.authority, "bob");
  const other = await member(await createGroupAuthority(), "x");
  const to = (port: number) =>
    dial({
      ...{ host: "127.0.0.1", port, infoHash: INFO_HASH, credentials: bob, peerId: newPeerId() },
      ...{ signal: new AbortController().signal, log: silent },
    });
  const http = createHttpServer();
  const stranger = createTlsServer({ cert: other.certificatePem, key: other.privateKeyPem });
  const old = createTlsServer({ maxVersion: "TLSv1.2", cert: bob.certificatePem, key: bob.privateKeyPem });
  const closing = createServer((socket) => socket.destroy());
  const nobody = createServer();
  const freePort = await portOf(nobody);
  nobody.close();
  for (const server of [http, stranger, old, closing]) {
    server.on("tlsClientError", () => undefined);
    t.after(() => server.close());
  }
  alice.revoked.add("m-carol");
  const said = [
    [await refusal(to(freePort)), /nothing listens there.*\(ECONNREFUSED\)/],
    [await refusal(to(await portOf(http))), /another program listens there/],
    [await refusal(to(await portOf(stranger))), /not a member of this group/],
    [await refusal(to(await portOf(old))), /another version of TLS/],
    [await refusal(alice.dial(bob, { infoHash: "cd".repeat(20) })), /does not have that file/],
    [await refusal(to(await portOf(closing))), /closed the connection during the handshake/],
    [
      await refusal(alice.dial(await member(alice.authority, "carol"))),
      /does not take this account for a member/,
    ],
  ] as const;
  for (const [sentence, pattern] of said) assert.match(sentence, pattern);
});
