// Inputs for fuzzing that look like the real thing: a proper message, with a few things about it wrong, or bytes of no
// sense at all. And the corpus: inputs that are tried at every run, each a file below corpus/<target>/.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";

const CORPUS = join(import.meta.dirname, "corpus");
/** Where lengths and counts turn over. */
const BOUNDARIES = [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 16_384, 16_385, 65_536];
const MAX_REPEATED_BYTES = 200;
const MAX_SENSELESS_BYTES = 300;

type Bytes = Buffer<ArrayBuffer>;
type Mutation = (bytes: Bytes) => Bytes;

/** A place in the bytes, as a share of their length. */
const place = fc.integer({ min: 0, max: 9999 }).map((share) => (bytes: Bytes) => {
  return Math.floor((share * bytes.length) / 10_000);
});

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(([at, bits]) => (bytes: Bytes) => {
    const changed = Buffer.from(bytes);
    if (changed.length > 0) changed[at(bytes)] = (changed[at(bytes)] ?? 0) ^ bits;
    return changed;
  }),
  fc.tuple(place, fc.constantFrom(...BOUNDARIES)).map(([at, value]) => (bytes: Bytes) => {
    const changed = Buffer.from(bytes);
    if (at(bytes) + 4 <= changed.length) changed.writeUInt32BE(value, at(bytes));
    return changed;
  }),
  place.map((at) => (bytes: Bytes) => bytes.subarray(0, at(bytes))),
  fc.tuple(place, place).map(([from, to]) => (bytes: Bytes) => {
    return Buffer.concat([bytes.subarray(0, from(bytes)), bytes.subarray(to(bytes))]);
  }),
  fc.tuple(place, place, fc.integer({ min: 2, max: 40 })).map(([one, other, times]) => (bytes: Bytes) => {
    const [from = 0, to = 0] = [one(bytes), other(bytes)].sort((a, b) => a - b);
    const part = bytes
      .subarray(from, Math.min(to, from + MAX_REPEATED_BYTES))
      .toString("latin1")
      .repeat(times);
    return Buffer.concat([bytes.subarray(0, to), Buffer.from(part, "latin1"), bytes.subarray(to)]);
  }),
  fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 12 })).map(([at, more]) => (bytes: Bytes) => {
    return Buffer.concat([bytes.subarray(0, at(bytes)), more, bytes.subarray(at(bytes))]);
  }),
  fc
    .tuple(place, fc.constantFrom("-", "9999999999", "\0", '"', "[", "{", "e", "d", "l", "i-1e", "__proto__"))
    .map(([at, text]) => (bytes: Bytes) => {
      return Buffer.concat([bytes.subarray(0, at(bytes)), Buffer.from(text), bytes.subarray(at(bytes))]);
    }),
);

/** Mostly the proper input with up to three things wrong; now and then bytes of no sense. */
export function hostile(proper: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Bytes> {
  const mutated = fc
    .tuple(proper, fc.array(mutation, { maxLength: 3 }))
    .map(([bytes, mutations]) =>
      mutations.reduce<Bytes>((changed, change) => change(changed), Buffer.from(bytes)),
    );
  const senseless = fc.uint8Array({ maxLength: MAX_SENSELESS_BYTES }).map((bytes) => Buffer.from(bytes));
  return fc.oneof({ weight: 9, arbitrary: mutated }, { weight: 1, arbitrary: senseless });
}

/** What the corpus has for that target. */
export function corpusOf(target: string): Buffer[] {
  try {
    const folder = join(CORPUS, target);
    return readdirSync(folder)
      .sort()
      .map((name) => readFileSync(join(folder, name)));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** Keeps an input that failed, to be tried from now on. Returns its path. */
export function keep(target: string, bytes: Uint8Array): string {
  const name = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  mkdirSync(join(CORPUS, target), { recursive: true });
  const path = join(CORPUS, target, name);
  writeFileSync(path, bytes);
  return path;
}
