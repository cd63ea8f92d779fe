// What trackers tell each other of who is online: the form of it, checked when it comes. What it means is presence.ts's.
import { z } from "zod";
import { MiniTorrentError } from "../api/errors.ts";
import { type AnnouncedTorrent, announcedTorrentSchema, portSchema } from "../api/schemas.ts";

/** Torrents in one message to another tracker: at about 60 bytes each it stays far under a message's limit. */
const TORRENTS_PER_MESSAGE = 5_000;

const messageSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("client"),
    connectionId: z.string().max(64),
    accountId: z.string().max(128),
    deviceId: z.string().regex(/^[0-9a-f]{64}$/),
    host: z.string().max(64),
    port: portSchema.optional(),
    /** True: torrents that are not in `add` are over. */
    isWhole: z.boolean(),
    add: z.array(announcedTorrentSchema).max(TORRENTS_PER_MESSAGE),
    remove: z.array(z.string()).max(TORRENTS_PER_MESSAGE),
  }),
  z.object({ type: z.literal("gone"), connectionId: z.string().max(64) }),
]);
const messagesSchema = z.array(messageSchema);
export type PresenceMessage = z.infer<typeof messageSchema>;
export type ClientMessage = Extract<PresenceMessage, { type: "client" }>;

type ClientFacts = Pick<ClientMessage, "connectionId" | "accountId" | "deviceId" | "host"> & {
  readonly port: number | undefined;
};

/** @throws MiniTorrentError MALFORMED_MESSAGE */
export function parsePresence(data: unknown): readonly PresenceMessage[] {
  const parsed = messagesSchema.safeParse(data);
  if (!parsed.success) {
    throw new MiniTorrentError("MALFORMED_MESSAGE", "A tracker sent presence of a wrong form.", {
      cause: parsed.error,
    });
  }
  return parsed.data;
}

/** One client as messages that each stay small; only the first may say that the list is whole. */
export function clientMessages(
  client: ClientFacts,
  add: readonly AnnouncedTorrent[],
  remove: readonly string[],
  isWhole: boolean,
): ClientMessage[] {
  const { connectionId, accountId, deviceId, host, port } = client;
  const messages: ClientMessage[] = [];
  for (let at = 0; at === 0 || at < Math.max(add.length, remove.length); at += TORRENTS_PER_MESSAGE) {
    messages.push({
      type: "client",
      connectionId,
      accountId,
      deviceId,
      host,
      ...(port === undefined ? {} : { port }),
      isWhole: isWhole && at === 0,
      add: add.slice(at, at + TORRENTS_PER_MESSAGE),
      remove: remove.slice(at, at + TORRENTS_PER_MESSAGE),
    });
  }
  return messages;
}
