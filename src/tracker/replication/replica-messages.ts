// The messages between trackers, as JSON: zod schemas, so that every message is checked before it is used.
import { z } from "zod";
import { MiniTorrentError } from "../../api/errors.ts";
import { type RecordKind, type RegistryRecord, recordKinds } from "../registry/registry.ts";
import { isStamp } from "../registry/stamp.ts";

export const REPLICA_PROTOCOL_VERSION = 10;
/** Longest message, for the transport; a chunk of rows has 1 MiB of values and one row more. */
export const MAX_REPLICA_MESSAGE_BYTES = 16 * 1024 * 1024;
const MAX_KEY_LENGTH = 4096;

const originSchema = z.string().regex(/^[0-9a-z]{1,32}$/);
const stampSchema = z.string().refine(isStamp);
const seqSchema = z.number().int().min(0);
const vectorSchema = z.record(originSchema, seqSchema);
const textSchema = z
  .string()
  .max(MAX_KEY_LENGTH)
  .refine((text) => text.isWellFormed() && !text.includes("\0"));

const recordFieldsSchema = z.object({
  kind: z.string().refine((kind): kind is RecordKind => Object.hasOwn(recordKinds, kind)),
  key: textSchema,
  claimId: z.union([z.literal(""), stampSchema]),
  value: z.unknown().optional(),
  stamp: stampSchema,
  origin: originSchema,
  seq: z.number().int().min(1),
  writeId: textSchema,
  isRetry: z.literal(true).optional(),
  paidBy: textSchema.optional(),
});
const recordSchema: z.ZodType<RegistryRecord> = recordFieldsSchema
  .refine(({ kind, claimId }) => (recordKinds[kind] === "claim") === (claimId !== ""))
  .transform((record) => ({ ...record, value: record.value }));
const recordsSchema = z.array(recordSchema);
/** State of the sender's wall clock (see clock-guard.ts). */
const clockSchema = z.object({
  nowMs: z.number(),
  isDoubted: z.boolean(),
  steadyForMs: z.number().min(0),
});

const messageSchema = z.discriminatedUnion("type", [
  /** The first message of either side: who, and what it has. */
  z.object({
    type: z.literal("hello"),
    version: z.literal(REPLICA_PROTOCOL_VERSION),
    origin: originSchema,
    vector: vectorSchema,
    stamp: stampSchema,
    clock: clockSchema,
    /** Claims that are in doubt there (see Registry.isDoubtful). */
    doubtful: z.array(stampSchema).optional(),
    /** True if it lost its registry and has not caught up. */
    isIncomplete: z.literal(true).optional(),
  }),
  /** A chunk of what the other lacks; the last has `upTo`. Answered by `got`, and only then the next one follows. */
  z.object({
    type: z.literal("rows"),
    records: recordsSchema,
    upTo: vectorSchema.optional(),
    /** The claims among them that are in doubt (see Registry.isDoubtful). */
    doubtful: z.array(stampSchema).optional(),
  }),
  z.object({ type: z.literal("got") }),
  /** One write, as it happens: rows `after` + 1 to `upTo` of that origin. Answered by `stored`. */
  z.object({
    type: z.literal("push"),
    id: seqSchema,
    origin: originSchema,
    after: seqSchema,
    upTo: seqSchema,
    records: recordsSchema,
  }),
  /** The pushed rows are on disk here. `earlier`: claims that stand here before pushed ones. */
  z.object({ type: z.literal("stored"), id: seqSchema, earlier: recordsSchema }),
  /** Rows are missing here: send all that a replica with that vector lacks. */
  z.object({ type: z.literal("want"), vector: vectorSchema }),
  /** The sender can store nothing, so no write should wait for it. Holds until the next link. */
  z.object({ type: z.literal("cannot-store") }),
  /** Every second: still here, and this is what I have. */
  z.object({
    type: z.literal("beat"),
    vector: vectorSchema,
    digest: z.string().max(64),
    stamp: stampSchema,
    clock: clockSchema,
  }),
  /** Presence: all of it, or a change. Opaque here. */
  z.object({ type: z.literal("soft"), data: z.unknown().optional(), isWhole: z.boolean() }),
]);

export type ReplicaMessage = z.infer<typeof messageSchema>;

/** @throws MiniTorrentError MALFORMED_MESSAGE, with what is wrong */
export function readReplicaMessage(text: string): ReplicaMessage {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new MiniTorrentError("MALFORMED_MESSAGE", "A tracker sent something that is not JSON.", {
      cause: error,
    });
  }
  const parsed = messageSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new MiniTorrentError(
    "MALFORMED_MESSAGE",
    `A tracker sent a message that is not understood (${issue?.path.join(".")}: ${issue?.message}).`,
    { cause: parsed.error },
  );
}
