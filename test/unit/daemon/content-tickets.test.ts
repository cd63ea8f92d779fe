// Addresses of files that need no token: each is good for one file, for a while, and as long as the token that asked for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ContentTickets } from "../../../src/daemon/content-tickets.ts";

const DUNE = { groupId: "films", fileName: "dune", path: undefined };
const ticketIn = (url: string): string => url.split("/")[4] ?? "";

function someTickets() {
  const time = { nowMs: 0 };
  const good = new Set(["phone"]);
  return {
    time,
    good,
    tickets: new ContentTickets({ isGood: (name) => good.has(name), nowMs: () => time.nowMs }),
  };
}

test("a ticket is a secret for one file, whose name ends its address", () => {
  const { tickets } = someTickets();
  const folder = { groupId: "films", fileName: "extras", path: "cut/a b?#\ud800.mp4" };
  const [url, other] = [tickets.create(folder, "phone"), tickets.create(DUNE, undefined)];
  assert.match(url, /^\/api\/v1\/content\/[\w-]{43}\/a%20b%3F%23%EF%BF%BD\.mp4$/);
  assert.deepEqual(tickets.fileOf(ticketIn(url)), folder);
  assert.deepEqual(tickets.fileOf(ticketIn(other)), DUNE);
  assert.equal(tickets.fileOf("guess"), undefined);
});

test("a ticket ends after twelve hours, with the token that asked for it, and when somebody logs out", () => {
  const { tickets, time, good } = someTickets();
  const ofPhone = ticketIn(tickets.create(DUNE, "phone"));
  const ofSocket = ticketIn(tickets.create(DUNE, undefined));
  time.nowMs = 12 * 3_600_000 - 1;
  assert.deepEqual([tickets.fileOf(ofPhone), tickets.fileOf(ofSocket)], [DUNE, DUNE]);
  good.clear();
  assert.deepEqual([tickets.fileOf(ofPhone), tickets.fileOf(ofSocket)], [undefined, DUNE]);
  time.nowMs++;
  assert.equal(tickets.fileOf(ofSocket), undefined);
  const late = ticketIn(tickets.create(DUNE, undefined));
  tickets.clear();
  assert.equal(tickets.fileOf(late), undefined);
});

test("a thousand tickets are kept", () => {
  const { tickets } = someTickets();
  const first = ticketIn(tickets.create(DUNE, undefined));
  const second = ticketIn(tickets.create(DUNE, undefined));
  for (let made = 2; made <= 1_000; made++) tickets.create(DUNE, undefined);
  assert.deepEqual([tickets.fileOf(first), tickets.fileOf(second)], [undefined, DUNE]);
});
