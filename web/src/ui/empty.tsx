// What stands where a list would be: nothing there, not there yet, or something about the whole page.
import type { ComponentChildren } from "preact";
import { t } from "../i18n/t.ts";
import { Icon, type IconName } from "./icon.tsx";

export interface EmptyProps {
  readonly icon: IconName;
  /** What is so. */
  readonly title: string;
  /** What to do. */
  readonly children?: ComponentChildren;
  readonly actions?: ComponentChildren;
  /** It is the only thing on the page. */
  readonly isPage?: boolean;
}

export function Empty({ icon, title, children, actions, isPage }: EmptyProps) {
  return (
    <div class="empty">
      <Icon name={icon} size="large" />
      {isPage ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children !== undefined && <p>{children}</p>}
      {actions !== undefined && <div class="actions">{actions}</div>}
    </div>
  );
}

const WIDTHS = ["58%", "82%", "42%", "69%"];

/** Appears after 300 ms, in the shape of a list. */
export function Skeleton({ rows = 4 }: { readonly rows?: number }) {
  return (
    <div class="skeleton" role="status">
      <span class="unseen">{t("shell.loading")}</span>
      {Array.from({ length: rows }, (_, index) => (
        <i key={index} style={{ width: WIDTHS[index % WIDTHS.length] }} />
      ))}
    </div>
  );
}

export interface BannerProps {
  readonly kind?: "danger" | "warn" | "ok" | "plain";
  readonly icon?: IconName;
  readonly children: ComponentChildren;
  readonly actions?: ComponentChildren;
  /** Read out when it appears. */
  readonly isAlert?: boolean;
}

/** A sentence about the page, or a part of it, that stays as long as it is so. */
export function Banner({ kind = "plain", icon, children, actions, isAlert }: BannerProps) {
  return (
    <div class={`banner banner-${kind}`} role={isAlert ? "alert" : undefined}>
      {icon !== undefined && <Icon name={icon} />}
      <div class="grow">{children}</div>
      {actions !== undefined && <div class="actions">{actions}</div>}
    </div>
  );
}
