// Words for transfers: states, amounts and reasons, as rows, details and screen readers have them.

import { formatBytes } from "../../../../src/api/byte-units.ts";
import { bytes, duration, list, number, percent, rate, time } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { type BarSegment, barSegments } from "../../state/bar-segments.ts";
import { endingOf, previewKind } from "../../state/preview-kind.ts";
import { isStuck, type TransferRow } from "../../state/transfer-rows.ts";
import type { IconName } from "../../ui/icon.tsx";
import { memberNames, orderIn } from "./members.ts";
import { leftOf } from "./model.ts";

/** A reason of the daemon, as a sentence of its own. A name that it begins with stays as it is. @param names of members */
export function sentence(reason: string, names: ReadonlySet<string> = NO_NAMES): string {
  const [first = ""] = reason.split(" ");
  const text = names.has(first) ? reason : reason.charAt(0).toLocaleUpperCase() + reason.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

const NO_NAMES: ReadonlySet<string> = new Set();

/** The members that a row's reason may name. */
export function namesIn(row: TransferRow): ReadonlySet<string> {
  return memberNames(row.groupId);
}

/** `1.14 of 1.84 TB`: the unit once where both have the same. */
export function amountText({ bytesVerified, lengthBytes }: TransferRow): string {
  const [here, whole] = [formatBytes(bytesVerified).split(" "), bytes(lengthBytes)];
  const isOneUnit = here[1] === formatBytes(lengthBytes).split(" ")[1];
  return t("transfers.row.amount", {
    here: isOneUnit ? number(Number(here[0])) : bytes(bytesVerified),
    whole,
  });
}

export function shareDone({ bytesVerified, lengthBytes }: TransferRow): number {
  return lengthBytes === 0 ? 1 : bytesVerified / lengthBytes;
}

/** In the place of the time left. */
export function stateText(row: TransferRow): string {
  const left = leftOf(row);
  if (left !== undefined) return duration(left);
  if (row.state === "paused" && isStuck(row)) return t("transfers.state.held");
  return t(`transfers.state.${row.state}`);
}

/** `to 2 members` */
export function receiversText({ peerCount }: TransferRow): string {
  return t("transfers.row.to", { count: peerCount });
}

export function finishedText({ download }: TransferRow): string | undefined {
  return download?.state === "complete" && download.finishedAtMs !== undefined
    ? time(download.finishedAtMs)
    : undefined;
}

/** The segments of its bar, in the colours of the group's members. @param goneShare what nobody online has */
export function segmentsOf(row: TransferRow, goneShare: number): readonly BarSegment[] {
  return barSegments({
    lengthBytes: row.lengthBytes,
    bytesVerified: row.bytesVerified,
    sources: row.download?.sources ?? [],
    goneShare,
    orderOf: orderIn(row.groupId),
  });
}

/** What a bar says without colours: `62 %: 31 % from alice, 19 % from bob`. */
export function barText(row: TransferRow, segments: readonly BarSegment[]): string {
  const members = segments.filter(({ kind }) => kind === "member").slice(0, 4);
  const from = members.map(({ userId, share }) =>
    t("transfers.bar.from", { part: percent(share), user: userId }),
  );
  const words = [percent(shareDone(row)), ...(from.length > 0 ? [list(from)] : [])].join(": ");
  const isGone = segments.some(({ kind }) => kind === "gone");
  return isGone ? `${words}; ${t("transfers.bar.gone")}` : words;
}

export function rowIcon({ isFolder, fileName }: Pick<TransferRow, "isFolder" | "fileName">): IconName {
  return isFolder ? "folder" : fileIcon(fileName);
}

const ARCHIVES = new Set("zip gz xz zst bz2 7z rar tar deb rpm jar".split(" "));
const IMAGES_OF_DISKS = new Set("iso img dmg qcow2 vmdk vdi".split(" "));

export function fileIcon(path: string): IconName {
  const ending = endingOf(path);
  if (ARCHIVES.has(ending)) return "archive";
  if (IMAGES_OF_DISKS.has(ending)) return "disk-image";
  const kind = previewKind(path);
  return kind === undefined ? "file" : kind === "pdf" ? "text" : kind;
}

/** Everything about a row in one sentence, for screen readers. */
export function rowText(row: TransferRow): string {
  const parts = [row.fileName, row.groupId, stateText(row)];
  if (row.state === "moving") parts.push(percent(shareDone(row)), rate(row.downRate));
  if (isStuck(row) && row.reason !== undefined) parts.push(sentence(row.reason, namesIn(row)));
  return parts.join(", ");
}
