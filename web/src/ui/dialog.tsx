// One dialog at a time, over the page. The browser keeps the focus inside and gives it back to what opened it.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { t } from "../i18n/t.ts";
import { Button } from "./button.tsx";

export interface DialogProps {
  readonly title: string;
  /** Below the title. */
  readonly subtitle?: ComponentChildren;
  /** Escape, the cross, or a click beside it. */
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  /** Buttons; the main one last. */
  readonly footer?: ComponentChildren;
  readonly width?: "narrow" | "normal" | "wide";
  /** The form in it: Enter in a field submits. */
  readonly onSubmit?: () => void;
}

const FIRST_FOCUS =
  ":is(input, select, textarea, [role=tree], [role=listbox]):not([disabled], [type=hidden])";

export function Dialog(props: DialogProps) {
  const { title, subtitle, onClose, children, footer, width = "normal", onSubmit } = props;
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    if (dialog === null) return;
    const opener = document.activeElement;
    // A body of text alone can be scrolled from the keyboard, too.
    const body = dialog.querySelector<HTMLElement>(".dialog-body");
    if (body !== null && body.querySelector("a, button, input, select, textarea, [tabindex]") === null) {
      body.tabIndex = 0;
    }
    dialog.showModal();
    const first =
      dialog.querySelector<HTMLElement>("[data-first-focus]") ??
      dialog.querySelector<HTMLElement>(FIRST_FOCUS);
    (first ?? dialog.querySelector<HTMLElement>(".dialog-foot .button-main"))?.focus();
    return () => {
      dialog.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  const inside = (
    <>
      <header class="dialog-head">
        <div class="grow">
          <h2 id={id}>{title}</h2>
          {subtitle !== undefined && <p class="sub">{subtitle}</p>}
        </div>
        <Button kind="bare" icon="x" label={t("shell.action.close")} onClick={onClose} />
      </header>
      <div class="dialog-body">{children}</div>
      {footer !== undefined && <footer class="dialog-foot">{footer}</footer>}
    </>
  );
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a click beside it closes; on the keyboard Escape does.
    <dialog
      ref={element}
      class={`dialog dialog-${width}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === element.current) onClose();
      }}
    >
      {onSubmit === undefined ? (
        <div class="dialog-inside">{inside}</div>
      ) : (
        <form
          class="dialog-inside"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            onSubmit();
          }}
        >
          {inside}
        </form>
      )}
    </dialog>
  );
}
