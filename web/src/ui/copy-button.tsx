import { useState } from "preact/hooks";
import { t } from "../i18n/t.ts";
import { Button, type ButtonProps } from "./button.tsx";
import { announce } from "./live-region.tsx";
import { toastError } from "./toasts.tsx";

export interface CopyButtonProps extends Pick<ButtonProps, "kind" | "size"> {
  readonly text: string;
  /** Says what is copied, where several are near; the button then shows an icon only. */
  readonly label?: string;
}

const DONE_MS = 2_000;

export function CopyButton({ text, label, kind, size }: CopyButtonProps) {
  const [isDone, setDone] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
    } catch (error) {
      toastError(error);
      return;
    }
    setDone(true);
    announce(t("shell.action.copied"));
    setTimeout(() => setDone(false), DONE_MS);
  };
  const look = { icon: isDone ? "check" : "copy", ...(kind && { kind }), ...(size && { size }) } as const;
  if (label !== undefined) return <Button {...look} label={label} onClick={copy} />;
  return (
    <Button {...look} onClick={copy}>
      {t(isDone ? "shell.action.copied" : "shell.action.copy")}
    </Button>
  );
}
