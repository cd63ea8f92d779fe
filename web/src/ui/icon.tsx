// Icons are decoration unless they have a label: what they mean stands beside them, or in the name of their button.
import { type IconName, iconPaths } from "./icon-paths.ts";

export type { IconName };

export interface IconProps {
  readonly name: IconName;
  /** For an icon that stands alone and is no part of a named control. */
  readonly label?: string;
  readonly size?: "normal" | "large";
}

export function Icon({ name, label, size = "normal" }: IconProps) {
  return (
    <svg
      class={size === "large" ? "icon icon-large" : "icon"}
      viewBox="0 0 24 24"
      role={label === undefined ? undefined : "img"}
      aria-label={label}
      aria-hidden={label === undefined ? "true" : undefined}
    >
      <path d={iconPaths[name]} />
    </svg>
  );
}

/** miniTorrent's mark: a share in pieces from several members. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
      <path class="m1" d="M3 3h8v8H3z" />
      <path class="m2" d="M13 3h8v8h-8z" />
      <path class="m3" d="M3 13h8v8H3z" />
      <path class="mark-missing" d="M14 14h6v6h-6z" />
    </svg>
  );
}
