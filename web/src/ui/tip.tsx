// A few words beside what the pointer or the focus is on. They only repeat what has a name for screen readers already.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { place } from "./place.ts";

export interface TipProps {
  readonly text: string;
  readonly side?: "above" | "right" | "below";
  readonly children: ComponentChildren;
  readonly class?: string;
}

const DELAY_MS = 350;

export function Tip({ text, side = "above", children, class: className }: TipProps) {
  const [isShown, setShown] = useState(false);
  const around = useRef<HTMLSpanElement>(null);
  const box = useRef<HTMLSpanElement>(null);
  const timer = useRef(0);
  const hide = (): void => {
    clearTimeout(timer.current);
    setShown(false);
  };
  useEffect(() => {
    if (!isShown || box.current === null || around.current === null) return;
    box.current.showPopover();
    place(box.current, around.current.firstElementChild ?? around.current, side);
  }, [isShown, side]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <span
      class={className === undefined ? "tip-around" : `tip-around ${className}`}
      ref={around}
      onPointerEnter={(event) => {
        if (event.pointerType === "mouse") timer.current = window.setTimeout(() => setShown(true), DELAY_MS);
      }}
      onPointerLeave={hide}
      onPointerDown={hide}
      onFocusIn={(event) => {
        if ((event.target as Element).matches(":focus-visible")) setShown(true);
      }}
      onFocusOut={hide}
      onKeyDown={(event) => {
        if (event.key === "Escape") hide();
      }}
    >
      {children}
      {isShown && (
        <span class="tip" popover="manual" aria-hidden="true" ref={box}>
          {text}
        </span>
      )}
    </span>
  );
}
