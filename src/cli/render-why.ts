// What a person reads as the answer to `why`. Pure; every name in it may come from somebody else and is made harmless.
import type { NextStep, PieceRanges, WhyReport } from "../client/downloads/why.ts";
import { countOf, formatDuration, formatTime, harmless, type View } from "./display-text.ts";
import { formatTable } from "./table.ts";

/** Ranges of pieces that a line names; the rest is in `--json`. */
const MAX_RANGES_NAMED = 8;

export function renderWhy(report: WhyReport, view: View): readonly string[] {
  const { missing, nobodyHas, pieceCount, holders, next } = report;
  const lines = [`[${report.groupId}] ${report.fileName}: ${report.reason}`];
  if (missing.pieces > 0)
    lines.push(`Missing: ${missing.pieces} of ${countOf(pieceCount, "piece")}: ${named(missing)}.`);
  if (report.state === "downloading" && nobodyHas.pieces > 0 && nobodyHas.pieces < missing.pieces)
    lines.push(`No connected peer has ${nobodyHas.pieces} of them: ${named(nobodyHas)}.`);
  if (report.state === "downloading" && holders.length === 0 && missing.pieces > 0)
    lines.push("No peer that has them was seen since the download was started here.");
  const unused = report.notUsed.map(({ userId, address, words }) => {
    const place = address === null ? "" : ` (${address})`;
    return `Not used: ${userId}${place} ${words}.`;
  });
  const table =
    holders.length === 0
      ? []
      : formatTable(
          [
            { title: "WHO" },
            { title: "MISSING PIECES IT HAS", isNumber: true },
            { title: "LAST SEEN" },
            { title: "REMARKS" },
          ],
          holders.map((holder) => [
            holder.userId,
            String(holder.missingPiecesHad),
            holder.isConnected ? "now" : formatTime(holder.lastSeenMs, view),
            holder.remarks.join(", "),
          ]),
          view,
        );
  return [
    ...[...lines, ...unused].map(harmless),
    ...table,
    ...next.map((step) => harmless(`Next: ${stepText(step)}.`)),
  ];
}

function stepText({ what, inMs }: NextStep): string {
  if (inMs === undefined) return what;
  return inMs === 0 ? `${what}, now` : `${what}, in ${formatDuration(Math.ceil(inMs / 1000))}`;
}

/** `17, 200-201 and 12 more ranges` */
function named({ ranges, rangeCount }: PieceRanges): string {
  const shown = ranges
    .slice(0, MAX_RANGES_NAMED)
    .map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
  const others = rangeCount - shown.length;
  return shown.join(", ") + (others > 0 ? ` and ${countOf(others, "more range")}` : "");
}
