// Which member has which letter and colour, of what moves now.
import { computed } from "@preact/signals";
import { t } from "../../i18n/t.ts";
import { MemberChip } from "../../ui/member.tsx";
import { markOf } from "./members.ts";
import { shownRows } from "./model.ts";

/** More would take the place of the list. */
const MOST = 6;

interface Known {
  readonly userId: string;
  readonly colour: number;
  readonly letter: string;
}

const known = computed((): readonly Known[] => {
  const found = new Map<string, Known>();
  for (const { groupId, download } of shownRows.value) {
    if (download === undefined || download.state === "complete") continue;
    for (const { userId, bytes } of download.sources) {
      if (bytes === 0) continue;
      const { colour, letter } = markOf(groupId, userId);
      const name = `${userId} ${colour} ${letter}`;
      if (!found.has(name)) found.set(name, { userId, colour, letter });
      if (found.size === MOST) break;
    }
    if (found.size === MOST) break;
  }
  return [...found.values()].toSorted((a, b) => a.colour - b.colour || (a.userId < b.userId ? -1 : 1));
});

export function Legend() {
  if (known.value.length === 0) return null;
  return (
    <ul class="legend" aria-label={t("transfers.legend")}>
      {known.value.map(({ userId, colour, letter }) => (
        <li key={userId + colour}>
          <MemberChip userId={userId} colourIndex={colour - 1} letter={letter}>
            {userId}
          </MemberChip>
        </li>
      ))}
    </ul>
  );
}
