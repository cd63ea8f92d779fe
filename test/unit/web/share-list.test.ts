import assert from "node:assert/strict";
import { test } from "node:test";
import {
  filterShares,
  guessMeant,
  type ListedShare,
  prepareShares,
  pressColumn,
  sortShares,
} from "../../../web/src/state/share-list.ts";

function share(fileName: string, facts: Partial<ListedShare> = {}): ListedShare {
  return { fileName, lengthBytes: 1, sharedBy: "bob", seedersOnline: 1, ...facts };
}

const namesOf = (prepared: readonly { readonly share: ListedShare }[]) =>
  prepared.map((one) => one.share.fileName);

test("shares stand in the natural order of their names", () => {
  assert.deepEqual(namesOf(prepareShares([share("build-10"), share("Build-9"), share("anna")])), [
    ...["anna", "Build-9", "build-10"],
  ]);
});

test("a filter finds all words, in the name or the sharer's, without case and accents", () => {
  const prepared = prepareShares([share("Résumé 2026.pdf"), share("resume-old.pdf", { sharedBy: "alice" })]);
  assert.deepEqual(namesOf(filterShares(prepared, "RESUME pdf")), ["Résumé 2026.pdf", "resume-old.pdf"]);
  assert.deepEqual(namesOf(filterShares(prepared, "resume ali")), ["resume-old.pdf"]);
  assert.equal(filterShares(prepared, " "), prepared);
});

test("figures sort with the largest first, and equal ones by name", () => {
  const prepared = prepareShares([
    share("b", { lengthBytes: 5 }),
    share("a", { lengthBytes: 5 }),
    share("c", { lengthBytes: 9 }),
  ]);
  const order = pressColumn({ column: "name", isDescending: false }, "size");
  assert.deepEqual(namesOf(sortShares(prepared, order)), ["c", "a", "b"]);
  assert.deepEqual(namesOf(sortShares(prepared, pressColumn(order, "size"))), ["a", "b", "c"]);
});

test("a folder sorts by its files, and a single file counts as one", () => {
  const prepared = prepareShares([share("folder", { fileCount: 3 }), share("file")]);
  assert.deepEqual(namesOf(sortShares(prepared, { column: "files", isDescending: false })), [
    "file",
    "folder",
  ]);
});

test("a mistyped filter is answered with the word that was meant", () => {
  const prepared = prepareShares([share("build-1"), share("build-2"), share("bold.ttf")]);
  assert.deepEqual(guessMeant(prepared, "bulid"), { word: "build", count: 2 });
  assert.deepEqual(guessMeant(prepared, "xyzzy"), undefined);
  assert.equal(guessMeant(prepared, "bu"), undefined);
});

test("10,000 shares are prepared, filtered and guessed in little time", () => {
  const shares = Array.from({ length: 10_000 }, (_, index) =>
    share(`build-${String(index).padStart(5, "0")}-linux-x64.tar.zst`, { lengthBytes: index % 977 }),
  );
  const begun = process.cpuUsage();
  const prepared = prepareShares(shares);
  filterShares(prepared, "linux 77");
  sortShares(prepared, { column: "size", isDescending: true });
  guessMeant(prepared, "lniux");
  const { user, system } = process.cpuUsage(begun);
  assert.ok(user + system < 1_500_000, `it took ${(user + system) / 1_000} ms`);
});
