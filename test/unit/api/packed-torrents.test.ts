import assert from "node:assert/strict";
import { test } from "node:test";
import {
  packedHashesSchema,
  packTorrents,
  unpackHashes,
  unpackTorrents,
} from "../../../src/api/packed-torrents.ts";

const hash = (digit: string): string => digit.repeat(40);

test("torrents come out as they went in, seeds first, as often as they are read", () => {
  const torrents = [
    { infoHash: hash("a"), isSeed: false },
    { infoHash: hash("b"), isSeed: true },
    { infoHash: hash("c"), isSeed: true },
  ];
  const packed = packTorrents(torrents);
  assert.deepEqual(packed, { seeding: hash("b") + hash("c"), downloading: hash("a") });
  const unpacked = unpackTorrents(packed);
  const expected = [torrents[1], torrents[2], torrents[0]];
  assert.deepEqual([...unpacked], expected);
  assert.deepEqual([...unpacked], expected);
  assert.deepEqual([...unpackHashes("")], []);
});

test("a packed list is whole info-hashes in lower case, as many as may be", () => {
  const schema = packedHashesSchema(3);
  const problemOf = (packed: unknown): string | undefined =>
    schema.safeParse(packed).error?.issues[0]?.message;
  for (const good of ["", hash("0"), hash("a") + hash("f") + hash("9")])
    assert.equal(problemOf(good), undefined);
  assert.match(problemOf(hash("a").repeat(4)) ?? "", /more than 3 info-hashes/);
  for (const odd of [
    hash("a").slice(1),
    `${hash("a")}a`,
    hash("A"),
    `${hash("a")}${hash("b").slice(1)}g`,
    `${hash("a").slice(1)} `,
  ]) {
    assert.match(problemOf(odd) ?? "", /40 hex digits/, odd);
  }
  assert.notEqual(problemOf([hash("a")]), undefined);
});
