// Accounts and the devices that are logged in to them. A session is a row: the device's key, proved in the TLS
// handshake, stands for the account at every tracker until it logs out. Passwords are hashed before a transaction begins.
import { MiniTorrentError } from "../../api/errors.ts";
import type { Account } from "../../api/schemas.ts";
import type { CredentialValue, DeviceValue, UserValue } from "../registry/record-values.ts";
import type { RegistryReader, RegistryWriter } from "../registry/registry.ts";
import { takenSentence } from "./look-alikes.ts";
import { type Payer, paidBy } from "./quota-payers.ts";

/** The functions of identity/passwords.ts, run in worker threads. */
export interface Passwords {
  /** @throws MiniTorrentError TRACKER_BUSY */
  hash(password: string): Promise<string>;
  /** @throws MiniTorrentError TRACKER_BUSY, INTERNAL */
  verify(hash: string, password: string): Promise<boolean>;
  /** @throws MiniTorrentError TRACKER_BUSY */
  verifyNoOne(password: string): Promise<boolean>;
}

/** @throws MiniTorrentError USER_EXISTS, TRACKER_BUSY */
export async function prepareUser(
  reader: RegistryReader,
  passwords: Passwords,
  writeId: string,
  userId: string,
  password: string,
): Promise<CredentialValue> {
  if (!reader.hasWrite(writeId)) requireFreeUserId(reader, userId);
  return { passwordHash: await passwords.hash(password) };
}

/** @throws MiniTorrentError USER_EXISTS */
export function createUser(
  writer: RegistryWriter,
  writeId: string,
  userId: string,
  credential: CredentialValue,
  nowMs: number,
  networkId = "",
): void {
  // The write may have been applied and its claim lost since: then the name belongs to another account.
  if (writer.hasWrite(writeId) && writer.claim("user", userId)?.writeId === writeId) return;
  requireFreeUserId(writer, userId);
  const user: UserValue = { createdAtMs: nowMs };
  writer.chargeTo(paidBy({ accountId: "", networkId }));
  const accountId = writer.makeClaim("user", userId, user);
  writer.chargeTo(paidBy({ accountId, networkId }));
  writer.put("credential", accountId, credential);
}

/**
 * The account with that user id and password. Takes the same time whether or not the user exists.
 *
 * @throws MiniTorrentError BAD_CREDENTIALS, TRACKER_BUSY
 */
export async function authenticate(
  reader: RegistryReader,
  passwords: Passwords,
  userId: string,
  password: string,
): Promise<Account> {
  const accountId = reader.claim("user", userId)?.claimId;
  const credential = accountId === undefined ? undefined : reader.get("credential", accountId);
  const matches =
    credential === undefined
      ? await passwords.verifyNoOne(password)
      : await passwords.verify(credential.passwordHash, password);
  if (accountId === undefined || !matches) {
    throw new MiniTorrentError(
      "BAD_CREDENTIALS",
      "User id and password do not match; check both, or make an account with create_user.",
    );
  }
  return { userId, accountId };
}

/** Logs the account in on the device, in place of any other account. */
export function logIn(
  writer: RegistryWriter,
  deviceId: string,
  account: Account,
  nowMs: number,
  networkId = "",
): void {
  const payer: Payer = { accountId: account.accountId, networkId };
  const device: DeviceValue = { accountId: account.accountId, seenAtMs: nowMs };
  if (writer.get("device", deviceId)?.accountId === device.accountId) return;
  writer.put("device", deviceId, device, paidBy(payer));
}

export function logOut(writer: RegistryWriter, deviceId: string): void {
  if (writer.get("device", deviceId) !== undefined) writer.remove("device", deviceId);
}

/** The account that is logged in on the device. */
export function accountOfDevice(reader: RegistryReader, deviceId: string): Account | undefined {
  const accountId = reader.get("device", deviceId)?.accountId;
  if (accountId === undefined) return undefined;
  const userId = reader.claimById("user", accountId)?.name;
  return userId === undefined ? undefined : { userId, accountId };
}

function requireFreeUserId(reader: RegistryReader, userId: string): void {
  const holder = reader.rival("user", userId);
  if (holder === undefined) return;
  throw new MiniTorrentError("USER_EXISTS", takenSentence("user id", userId, holder.name));
}
