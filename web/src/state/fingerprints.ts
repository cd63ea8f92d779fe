// SHA-256 of a certificate, in hex, as people compare it.

const SHOWN_GROUPS = 4;
const GROUP_DIGITS = 4;

/** The beginning, in groups: `a1b2 c3d4 e5f6 0718 …` */
export function shortFingerprint(hex: string): string {
  const digits = hex.replaceAll(":", "").toLowerCase();
  const groups = digits.match(new RegExp(`.{1,${GROUP_DIGITS}}`, "g")) ?? [];
  const shown = groups.slice(0, SHOWN_GROUPS).join(" ");
  return groups.length > SHOWN_GROUPS ? `${shown} …` : shown;
}
