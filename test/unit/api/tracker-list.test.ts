// The lines of tracker_info.txt: every form that is taken, and what each wrong one is answered with.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { canonicalHost, type TrackerAddress } from "../../../src/api/addresses.ts";
import { formatTrackerInfo, parseTrackerInfo, parseTrackerNumber } from "../../../src/api/tracker-list.ts";

const PIN = "0123456789abcdef".repeat(4);
const isOneMachines = (host: string) =>
  !/^(0\.0\.0\.0$|22[4-9]\.|2[345]\d\.|::$|ff)/.test(canonicalHost(host));
const parse = (text: string) => parseTrackerInfo(text, "t.txt");
const wrong = (message: RegExp) => ({ code: "INVALID_TRACKER_INFO", message });

describe("parseTrackerInfo", () => {
  const forms: [string, TrackerAddress][] = [
    ["127.0.0.1:9001", { host: "127.0.0.1", port: 9001 }],
    ["127.0.0.1 9001", { host: "127.0.0.1", port: 9001 }],
    ["\t127.0.0.1 \t 9001  ", { host: "127.0.0.1", port: 9001 }],
    ["[::1]:9001", { host: "::1", port: 9001 }],
    ["[::1] 9001", { host: "::1", port: 9001 }],
    ["::1 9001", { host: "::1", port: 9001 }],
    ["tracker-1.example.org:80", { host: "tracker-1.example.org", port: 80 }],
    ["localhost 65535", { host: "localhost", port: 65535 }],
    ["223.255.255.255:1", { host: "223.255.255.255", port: 1 }],
    ["240.0.0.1:1", { host: "240.0.0.1", port: 1 }],
    ["127.0.0.1:9001 # the first", { host: "127.0.0.1", port: 9001 }],
    [`127.0.0.1:9001 sha256:${PIN}`, { host: "127.0.0.1", port: 9001, fingerprint: PIN }],
    [`127.0.0.1 9001 SHA256:${PIN.toUpperCase()}`, { host: "127.0.0.1", port: 9001, fingerprint: PIN }],
  ];
  for (const [line, tracker] of forms) {
    it(`takes '${line.replace(PIN, "…")}'`, () => assert.deepEqual(parse(line), [tracker]));
  }

  it("ignores blank lines, comments, a byte order mark, and how lines end", () => {
    const text = "\uFEFF# ours\r\n\r\n127.0.0.1:9001\r\n  \n127.0.0.1:9002\r# end";
    assert.deepEqual(
      parse(text).map(({ port }) => port),
      [9001, 9002],
    );
  });

  it("takes the port in the line below its host, as other programs write it", () => {
    const two = [
      { host: "127.0.0.1", port: 9001 },
      { host: "tracker.example", port: 9002 },
    ];
    for (const text of [
      "127.0.0.1\n9001\ntracker.example\n9002\n",
      "127.0.0.1\r\n9001\r\n\r\ntracker.example\r\n9002",
      "127.0.0.1 # the first\n# its port\n  9001\ntracker.example:9002",
      "127.0.0.1 9001\ntracker.example\n9002",
    ]) {
      assert.deepEqual(parse(text), two, JSON.stringify(text));
    }
    assert.deepEqual(parse("::1\n9001\n[::2]\n9002"), [
      { host: "::1", port: 9001 },
      { host: "::2", port: 9002 },
    ]);
    assert.deepEqual(parse(`localhost\n9001 sha256:${PIN}`), [
      { host: "localhost", port: 9001, fingerprint: PIN },
    ]);
  });

  const errors: [string, RegExp][] = [
    ["127.0.0.1\n127.0.0.2\n9001", /line 1: the port is missing; write 127\.0\.0\.1:9000\.$/],
    ["127.0.0.1\n9001\n9002", /line 3: '9002' is not understood/],
    ["127.0.0.1\n0", /line 1: .*'0' is not a port/],
    ["127.0.0.1\n9001\n127.0.0.1\n9001", /line 3: 127\.0\.0\.1:9001 stands in line 1 already/],
    ["0.0.0.0:9001", /line 1: .*0\.0\.0\.0 stands for all addresses of a machine.*192\.168\.1\.5:9001/],
    ["0.0.0.0 9001", /stands for all addresses/],
    ["0.0.0.0\n9001", /stands for all addresses/],
    ["[::]:9001", /:: stands for all addresses/],
    ["[0:0:0:0:0:0:0:0]:9001", /stands for all addresses/],
    ["[::ffff:0.0.0.0]:9001", /stands for all addresses/],
    ["224.0.0.1:9001", /multicast or broadcast/],
    ["255.255.255.255:9001", /multicast or broadcast/],
    ["[ff02::1]:9001", /multicast or broadcast/],
    ["127.0.0.1", /t\.txt, line 1: the port is missing; write 127\.0\.0\.1:9000\.$/],
    ["\n\n127.0.0.1:", /t\.txt, line 3: /],
    ["127.0.0.1:0", /'0' is not a port: 1 to 65535/],
    ["127.0.0.1 65536", /'65536' is not a port/],
    ["127.0.0.1:http", /'127\.0\.0\.1:http' is not an address/],
    ["127.0.0.1 http", /'http' is not a port/],
    ["300.0.0.1:9001", /'300\.0\.0\.1' is neither an IP address nor a host name/],
    ["ex ample 9001", /'ample' is not a port/],
    ["-bad-:9001", /'-bad-' is neither/],
    ["::1:9001", /expected is IP:PORT/],
    ["[::1:9001", /is not understood/],
    ["[127.0.0.1]:9001", /'127\.0\.0\.1' is neither/],
    ["127.0.0.1:9001 9002", /'9002' is not a fingerprint/],
    ["127.0.0.1:9001 sha256:abc", /'sha256:abc' is not a fingerprint: sha256: and 64 hex digits/],
    [`127.0.0.1:9001 sha1:${PIN}`, /is not a fingerprint/],
    [`127.0.0.1:9001 sha256:${PIN} again`, /nothing may follow the fingerprint, but 'again' does/],
    ["127.0.0.1:9001\n127.0.0.1 9001", /line 2: 127\.0\.0\.1:9001 stands in line 1 already/],
    ["Host:1\nhost:1", /line 2: host:1 stands in line 1 already/],
    ["host.example:1\nHOST.example.:01", /line 2: host\.example:1 stands in line 1 already/],
    ["[::1]:1\n[0:0:0:0:0:0:0:1]:1", /line 2: \[::1\]:1 stands in line 1 already/],
    ["[2001:DB8::a]:1\n[2001:db8:0::A]:1", /line 2: \[2001:db8::a\]:1 stands in line 1 already/],
    ["127.0.0.1:1\n[::ffff:127.0.0.1]:1", /line 2: 127\.0\.0\.1:1 stands in line 1 already/],
    ["[::ffff:7f00:1]:1\n127.0.0.1 1", /line 2: 127\.0\.0\.1:1 stands in line 1 already/],
    ["239.255.255.255:9001", /multicast or broadcast/],
    ["[::1]", /is not understood/],
    ["9001", /line 1: '9001' is not understood/],
    ["", /t\.txt lists no tracker; expected is IP:PORT/],
    ["# nothing\n\n", /lists no tracker/],
    ["x".repeat(5000), /line 1: 'x{60}…' is not understood/],
  ];
  for (const [text, message] of errors) {
    it(`refuses ${JSON.stringify(text.replace(PIN, "…").slice(0, 50))}`, () => {
      assert.throws(() => parse(text), wrong(message));
    });
  }

  it("reads back every list that can be written, in whatever form", () => {
    const host = fc.oneof(
      fc.ipV4().filter(isOneMachines),
      fc.ipV6().filter(isOneMachines),
      fc.stringMatching(/^[a-z][a-z0-9]{0,20}(\.[a-z][a-z0-9]{0,5}){0,2}$/),
    );
    const fingerprint = fc.option(fc.stringMatching(/^[0-9a-f]{64}$/), { nil: undefined });
    const tracker = fc.record({
      host,
      port: fc.integer({ min: 1, max: 65535 }),
      fingerprint,
      apart: fc.boolean(),
    });
    const list = fc.uniqueArray(tracker, {
      minLength: 1,
      maxLength: 5,
      selector: (t) => `${t.host} ${t.port}`,
    });
    const ending = fc.constantFrom("\n", "\r\n", "\n# comment\n", "\n\n");
    fc.assert(
      fc.property(list, ending, (trackers, end) => {
        const lines = trackers.map(({ host, port, fingerprint, apart }) => {
          const shown = host.includes(":") ? `[${host}]` : host;
          return `${shown}${apart ? " " : ":"}${port}${fingerprint === undefined ? "" : ` sha256:${fingerprint}`}`;
        });
        const expected = trackers.map(({ host, port, fingerprint }) =>
          fingerprint === undefined ? { host, port } : { host, port, fingerprint },
        );
        assert.deepEqual(parse(lines.join(end) + end), expected);
        assert.deepEqual(parse(formatTrackerInfo(expected)), expected);
      }),
    );
  });

  it("never fails in another way", () => {
    const character = fc.constantFrom(..."19.:[] #\n\tazsh256-", "\u0000", "ü");
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 40 }), (text) => {
        try {
          assert.notEqual(parse(text).length, 0);
        } catch (error) {
          assert.ok(
            error instanceof Error && "code" in error && error.code === "INVALID_TRACKER_INFO",
            String(error),
          );
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("parseTrackerNumber", () => {
  const two = parse("a:1\nb:2");

  it("counts from 1", () => {
    assert.equal(parseTrackerNumber("1", two, "t.txt"), 1);
    assert.equal(parseTrackerNumber("2", two, "t.txt"), 2);
  });

  it("says that there is one alone", () => {
    assert.throws(
      () => parseTrackerNumber("2", parse("a:1"), "t.txt"),
      wrong(/one tracker, so tracker_no is 1\.$/),
    );
    assert.throws(
      () => parseTrackerNumber("x".repeat(70), two, "t.txt"),
      wrong(new RegExp(`^'${"x".repeat(60)}…' is not the number`)),
    );
  });

  for (const text of ["0", "3", "-1", "1.5", "one", "", "1e0", "99999999"]) {
    it(`refuses '${text}'`, () => {
      assert.throws(
        () => parseTrackerNumber(text, two, "t.txt"),
        wrong(/is not the number of a tracker: t\.txt lists 2 trackers, so tracker_no is 1 to 2/),
      );
    });
  }
});

it("ten thousand lines are said to be too many, with the line", () => {
  const lines = Array.from({ length: 10_000 }, (_, at) => `10.0.${at >> 8}.${at & 255}:9000`);
  assert.equal(parseTrackerInfo(lines.slice(0, 100).join("\n"), "f").length, 100);
  const isTooMany = { code: "INVALID_TRACKER_INFO", message: /^f, line 101: .*more than 100 trackers/ };
  assert.throws(() => parseTrackerInfo(lines.join("\n"), "f"), isTooMany);
});
