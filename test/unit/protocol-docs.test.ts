// docs/protocol.md and the code say the same: procedures, events, messages, kinds of records, and figures. Also the figures
// of docs/operations.md that are not in its tables.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { trackerEventSchema } from "../../src/api/schemas.ts";
import { recordKinds } from "../../src/tracker/registry/registry.ts";
import { proceduresOf } from "../../src/tracker/server/procedure-builder.ts";
import { appRouter } from "../../src/tracker/server/router.ts";

const ROOT = join(import.meta.dirname, "../..");
const SOURCES = globSync("src/**/*.ts", { cwd: ROOT }).map((path) => readFileSync(join(ROOT, path), "utf8"));
const docs = readFileSync(join(ROOT, "docs/protocol.md"), "utf8");
/** On one line, without marks of code and emphasis, so that line breaks do not matter. */
const proseOf = (text: string): string => text.replaceAll(/[`_]/g, "").replaceAll(/\s+/g, " ");
const prose = proseOf(docs);
const operations = proseOf(readFileSync(join(ROOT, "docs/operations.md"), "utf8"));

/** Names in the first column of the table whose heading row begins so. */
function namesIn(heading: string): string[] {
  const lines = docs.split("\n");
  const from = lines.findIndex((line) => line.startsWith("|") && line.slice(1).trim().startsWith(heading));
  assert.notEqual(from, -1, `docs/protocol.md has no table headed ${heading}`);
  const rest = lines.slice(from + 2);
  const rows = rest.slice(
    0,
    rest.findIndex((line) => !line.startsWith("|")),
  );
  return rows.flatMap((row) =>
    [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name),
  );
}

/** The value of a constant: a number, or a product or sum of numbers and further constants. */
function constant(name: string): number {
  const values = new Set(
    SOURCES.flatMap((text) => [
      ...text.matchAll(new RegExp(`^(?:export )?const ${name} = ([^;]+);`, "gm")),
    ]).map(([, expression = ""]) => computed(expression)),
  );
  assert.equal(values.size, 1, `src has one value of ${name}`);
  const [value = Number.NaN] = values;
  return value;
}

function computed(expression: string): number {
  const sum = expression.split(" + ").map((term) =>
    term
      .split(/ \*\*? /)
      .map((factor) => (/^[\d_.]+$/.test(factor) ? Number(factor.replaceAll("_", "")) : constant(factor)))
      .reduce((product, factor) => product * factor, 1),
  );
  return sum.reduce((total, term) => total + term, 0);
}

test("the table of procedures has every procedure of the router, and no other", () => {
  assert.deepEqual(namesIn("procedure").sort(), [...proceduresOf(appRouter).keys()].sort());
});

test("the table of a tracker's events has every event, and no other", () => {
  const types = trackerEventSchema.options.map(({ shape }) => shape.type.value);
  assert.deepEqual([...new Set(namesIn("event"))].sort(), [...new Set(types)].sort());
});

test("the table of messages between trackers has every message, and no other", () => {
  const source = SOURCES.find((text) => text.includes("export const REPLICA_PROTOCOL_VERSION")) ?? "";
  const types = [...source.matchAll(/type: z\.literal\("([^"]+)"\)/g)].map(([, type]) => type);
  assert.ok(types.length > 5);
  assert.deepEqual(namesIn("message  |").sort(), types.sort());
});

test("the table of records has every kind with its shape, and no other", () => {
  const rows = [...docs.matchAll(/^\| `(\w+)` +\| (claim|latest) +\|/gm)].map(([, kind, shape]) => [
    kind,
    shape,
  ]);
  assert.deepEqual(Object.fromEntries(rows), recordKinds);
});

const MIB = 1024 * 1024;
const FIGURES: readonly (readonly [name: string, unit: number, sentence: RegExp])[] = [
  ["REPLICA_PROTOCOL_VERSION", 1, /\| version \((\d+)\), origin/],
  ["CHUNK_ROWS", 1, /a chunk \(at most ([\d,]+) rows/],
  ["MAX_SINCE_BYTES", MIB, /a chunk \(at most [\d,]+ rows or about (\d+) MiB\)/],
  ["MAX_REPLICA_MESSAGE_BYTES", MIB, /Messages are JSON text, at most (\d+) MiB each/],
  ["FIRST_REDIAL_MS", 1_000, /dials again after ([\d.]+) to [\d.]+ s/],
  ["MAX_REDIAL_MS", 1_000, /dials again after [\d.]+ to ([\d.]+) s/],
  ["STORED_TIMEOUT_MS", 1_000, /has not answered after (\d+) s is disconnected/],
  ["LOST_LINK_GRACE_MS", 1_000, /its clients are believed for (\d+) s more/],
  ["MAX_API_MESSAGE_BYTES", MIB, /A message to the tracker has at most (\d+) MiB/],
  ["MAX_READ_BYTES", MIB, /more than (\d+) MiB closes the connection/],
  ["LONGEST_TOLD_WAIT_MS", 1_000, /waits for that time, up to (\d+) s/],
  ["LONGEST_WAIT_IN_ALL_MS", 60_000, /again, for (\d+) minutes in total/],
  ["ALLOWED_CLOCK_SKEW_MS", 60_000, /A client whose clock is more than (\d+) minutes off/],
  ["SUSPENDED_MS", 1_000, /A tracker that stood still for ([\d.]+) s/],
  ["MAX_GROUPS_TOGETHER", 1, /up to ([\d,]+) groupIds/],
  ["MAX_SHARES_CHECKED", 1, /up to ([\d,]+) files \(name, info-hash\)/],
  ["MAX_STANDING_USERS", 1, /up to ([\d,]+) userIds/],
  ["MAX_OTHER_HOSTS", 1, /up to ([\d,]+) otherHosts/],
  ["MAX_PRESENCE_CHANGES", 1, /over: up to ([\d,]+) info-hashes each/],
  ["MAX_ANSWERED_TORRENTS", 1, /of those that it is downloading, (\d+) at most/],
  ["MOST_NAMED_PEERS", 1, /or of more than ([\d,]+) a random sample/],
  ["PAGE_ENTRIES", 1, /A page examines at most ([\d,]+) entries/],
  ["MAX_HOLDERS", 1, /At most (\d+) holders of an account share a file/],
  ["INFO_PART_BYTES", 1_024, /cut into parts of at most (\d+) KiB/],
  ["UPLOAD_LASTS_MS", 3_600_000, /files.share with infoHash and uploadId, within (\d+) hour/],
  ["UPLOADS_AT_ONCE", 1, /An account has at most (\d+) uploads at a time/],
  ["SEEMS_ABANDONED_MS", 60_000, /if that began more than (\d+) minutes ago/],
  ["VERSIONS_KEPT", 1, /Beside the first version (\d+) are kept/],
  ["MOST_TOLD", 1, /a random (\d+) if there are more/],
  ["FILES_TOLD_SINGLY", 1, /fileNames \(the first (\d+)\)/],
  ["ENDS_TOLD_SINGLY", 1, /If more than (\d+) memberships of a group end within a second/],
  ["MAX_TOLD_IN_TURN", 1, /A client with more than ([\d,]+) events in one turn/],
  ["LOOK_AGAIN_WITHIN_MS", 1_000, /It acts on it within (\d+) s/],
  ["HEARTBEAT_IDLE_MS", 1_000, /The client pings after ([\d.]+) s of silence/],
  ["HEARTBEAT_ASKED_MS", 1_000, /of silence, after ([\d.]+) s if it waits for an answer/],
  ["HEARTBEAT_TIMEOUT_MS", 1_000, /stays silent for another ([\d.]+) s/],
  ["PING_AFTER_MS", 1_000, /The tracker pings after (\d+) s of silence/],
  ["PONG_WAIT_MS", 1_000, /and waits (\d+) s/],
  ["MAX_PENDING", 1, /A listener has at most (\d+) handshakes in progress/],
  ["MAX_PENDING_OF_NETWORK", 1, /in progress, (\d+) from one address/],
  ["DIALLED_AT_ONCE_MS", 1_000, /opened within (\d+) s of each other/],
  ["MUTE_MS", 1_000, /has brought no byte for (\d+) s/],
  ["MAX_UNKNOWN_BYTES", 1_024, /Unknown messages up to (\d+) KiB are skipped/],
  ["MAX_PIECE_LENGTH_BYTES", MIB, /at most 4,096 pieces, and no more than (\d+) MiB/],
  ["MIN_PIECE_LENGTH_BYTES", 1_024, /the power of two from (\d+) KiB up/],
  ["MOST_PIECES", 1, /above 1 MiB at most ([\d,]+) pieces/],
  ["PADDED_BYTES", 1, /a nonce of 12 bytes, (\d+) bytes of AES-256-GCM/],
];

for (const [name, unit, sentence] of FIGURES) {
  test(`docs/protocol.md has the value of ${name}`, () => {
    const written = sentence.exec(prose)?.[1];
    assert.ok(written !== undefined, `docs/protocol.md has no sentence like ${sentence}`);
    assert.equal(Number(written.replaceAll(",", "")), constant(name) / unit, `docs/protocol.md: ${sentence}`);
  });
}

const OPERATIONS: readonly (readonly [name: string, unit: number, sentence: RegExp])[] = [
  ["MAX_API_MESSAGE_BYTES", MIB, /Messages\*\*: (\d+) MiB for a client's message/],
  ["MAX_READ_BYTES", MIB, /one of more than (\d+) MiB closes the connection with 1009/],
  ["MAX_HELD", 1, /([\d,]+) connections whose TLS handshake has not begun/],
  ["MAX_HELD_OF_NETWORK", 1, /has not begun, ([\d,]+) of them from one address/],
  ["MAX_ADMITTED", 1, /and accepts further ones up to (\d+)/],
  ["MAX_CONNECTIONS_OF_MEMBER", 1, /at most (\d+) of them are of one member/],
  ["LEAST_ROUND_MS", 1_000, /each at most every (\d+) s/],
  ["USELESS_AFTER_MS", 1_000, /those over which nothing has flowed for (\d+) s are closed/],
  ["LEAST_DESCRIPTORS", 1, /A client needs at least (\d+), and refuses to start/],
  ["SESSION_IDLE_MS", 24 * 3_600_000, /sessions of devices that have not been connected for (\d+) days/],
  ["LONGEST_APART_MS", 24 * 3_600_000, /A? ?partitioned for more than (\d+) days/],
  ["LISTEN_BACKLOG", 1, /listen backlog is ([\d,]+) connections/],
];

for (const [name, unit, sentence] of OPERATIONS) {
  test(`docs/operations.md has the value of ${name}`, () => {
    const written = sentence.exec(operations)?.[1];
    assert.ok(written !== undefined, `docs/operations.md has no sentence like ${sentence}`);
    assert.equal(
      Number(written.replaceAll(",", "")),
      constant(name) / unit,
      `docs/operations.md: ${sentence}`,
    );
  });
}
