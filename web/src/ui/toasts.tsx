// Short messages at the foot: what was done, perhaps with a way to undo it. Held while the pointer or the focus is on them.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { sentenceOf } from "../api/call.ts";
import { t } from "../i18n/t.ts";
import { Button } from "./button.tsx";
import { Icon, type IconName } from "./icon.tsx";
import { announce } from "./live-region.tsx";

export interface Toast {
  /** What screen readers say. */
  readonly text: string;
  /** What is shown in its place, with emphasis. */
  readonly content?: ComponentChildren;
  readonly icon?: IconName;
  readonly kind?: "plain" | "ok" | "warn" | "danger";
  readonly action?: { readonly label: string; readonly onClick: () => void };
}

const SHOWN_MS = 6_000;
const MOST = 3;

interface Shown extends Toast {
  readonly id: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

const toasts = signal<readonly Shown[]>([]);
let lastId = 0;

/** Shows a message for 6 s, of at most three. @returns ends it */
export function toast(what: Toast | string): () => void {
  const one: Shown = {
    ...(typeof what === "string" ? { text: what } : what),
    id: ++lastId,
    timer: undefined,
  };
  const end = (): void => remove(one);
  one.timer = setTimeout(end, SHOWN_MS);
  const kept = toasts.peek().slice(-(MOST - 1));
  for (const gone of toasts.peek().slice(0, -(MOST - 1))) clearTimeout(gone.timer);
  toasts.value = [...kept, one];
  announce(one.text, one.kind === "danger" ? "assertive" : "polite");
  return end;
}

/** What the daemon refused, in its words. */
export function toastError(error: unknown): void {
  toast({ text: sentenceOf(error), kind: "danger", icon: "warn" });
}

function remove(one: Shown): void {
  clearTimeout(one.timer);
  toasts.value = toasts.peek().filter((other) => other.id !== one.id);
}

export function Toasts() {
  return (
    <section class="toasts" aria-label={t("shell.toasts")}>
      {toasts.value.map((one) => (
        <div
          key={one.id}
          class={`toast toast-${one.kind ?? "plain"}`}
          onPointerEnter={() => clearTimeout(one.timer)}
          onFocusIn={() => clearTimeout(one.timer)}
          onPointerLeave={() => {
            one.timer = setTimeout(() => remove(one), SHOWN_MS);
          }}
          onFocusOut={() => {
            one.timer = setTimeout(() => remove(one), SHOWN_MS);
          }}
        >
          {one.icon !== undefined && <Icon name={one.icon} />}
          <span class="grow">{one.content ?? one.text}</span>
          {one.action !== undefined && (
            <Button
              size="small"
              onClick={() => {
                remove(one);
                one.action?.onClick();
              }}
            >
              {one.action.label}
            </Button>
          )}
          <Button
            kind="bare"
            size="small"
            icon="x"
            label={t("shell.action.dismiss")}
            onClick={() => remove(one)}
          />
        </div>
      ))}
    </section>
  );
}
