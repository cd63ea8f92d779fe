// What a person reads about a member who could not be dialled: real sockets, and no word of OpenSSL's.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { createGroupAuthority } from "../../../src/identity/certificates.ts";
import { dialFailureOf } from "../../../src/transport/dial-failures.ts";
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
      /does not accept this account as a member/,
    ],
  ] as const;
  for (const [sentence, pattern] of said) assert.match(sentence, pattern);
});

const failed = (code: string, message = code): Error => Object.assign(new Error(message), { code });

test("each code of the system or of TLS has its reason, and the system's name after it", () => {
  const told: readonly (readonly [codes: readonly string[], reason: RegExp, code?: string])[] = [
    [["ECONNREFUSED"], /^nothing listens there: .* \(ECONNREFUSED\)\.$/],
    [["EHOSTUNREACH"], /^no machine answers at that address \(EHOSTUNREACH\)\.$/],
    [["ENETUNREACH"], /^this machine has no route .* \(ENETUNREACH\)\.$/],
    [["EADDRNOTAVAIL"], /^this machine has no address, or no free port, .* \(EADDRNOTAVAIL\)\.$/],
    [["EAFNOSUPPORT"], /^this machine does not support addresses of that kind \(EAFNOSUPPORT\)\.$/],
    [["EACCES", "EPERM"], /^this machine does not allow it; look at its firewall \(E[A-Z]+\)\.$/],
    [["ETIMEDOUT"], /^it did not answer in time: .* \(ETIMEDOUT\)\.$/],
    [["ECONNRESET", "EPIPE"], /^the connection was reset: .* \(E[A-Z]+\)\.$/],
    [
      ["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG", "ERR_SSL_HTTP_REQUEST"],
      /^another program listens there: the address is old\.$/,
    ],
    [
      [
        "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
        "ERR_SSL_UNSUPPORTED_PROTOCOL",
        "ERR_SSL_NO_PROTOCOLS_AVAILABLE",
      ],
      /another version of TLS: .*not a miniTorrent client\.$/,
    ],
    [
      ["ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE", "ERR_SSL_TLSV1_UNRECOGNIZED_NAME"],
      /^it does not have that file/,
    ],
    [
      [
        "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        "SELF_SIGNED_CERT_IN_CHAIN",
        "DEPTH_ZERO_SELF_SIGNED_CERT",
        "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
        "ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE",
        "CERT_SIGNATURE_FAILURE",
      ],
      /^the program that answers there is not a member of this group/,
    ],
    [["CERT_NOT_YET_VALID"], /^by this machine's clock .* not valid yet/, "CLOCK_WRONG"],
    [["CERT_HAS_EXPIRED"], /^by this machine's clock .* has expired/, "CLOCK_WRONG"],
    [["ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED"], /^by the peer's clock/, "CLOCK_WRONG"],
    [["EMFILE"], /^this program has as many files and connections open .* start the program again\.$/],
    [["ENFILE"], /^the machine has as many files .* try again\.$/],
  ];
  for (const [codes, reason, code = "PEER_REFUSED"] of told) {
    for (const name of codes) {
      const failure = dialFailureOf(failed(name));
      assert.match(failure.reason, reason, name);
      assert.equal(failure.code, code, name);
    }
  }
});

test("an error that is not known is told as it is, and of several that of the other machine", () => {
  assert.deepEqual(dialFailureOf(new Error(" odd \n")), { code: "PEER_REFUSED", reason: "odd" });
  const both = new AggregateError([failed("ENETUNREACH"), failed("ECONNREFUSED")]);
  assert.match(dialFailureOf(both).reason, /ECONNREFUSED/);
});
