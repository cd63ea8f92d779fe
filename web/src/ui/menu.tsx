import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n/t.ts";
import { Button, type ButtonProps } from "./button.tsx";
import { Icon, type IconName } from "./icon.tsx";
import { place } from "./place.ts";

export interface MenuItem {
  readonly label: string;
  readonly icon?: IconName;
  readonly onClick?: () => void;
  readonly href?: string;
  readonly isDangerous?: boolean;
  /** Why it cannot be chosen now. */
  readonly disabledBecause?: string | undefined;
  /** It is the chosen one of several. */
  readonly isChecked?: boolean;
}

export interface MenuProps {
  /** The name of its button. */
  readonly label?: string;
  readonly items: readonly MenuItem[];
  /** How its button looks; three dots unless said otherwise. */
  readonly button?: Pick<ButtonProps, "kind" | "size" | "icon" | "children" | "class">;
}

/** A button that opens a list of actions. */
export function Menu({ label = t("shell.action.more"), items, button = {} }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const close = (): void => {
    setOpen(false);
    opener.current?.focus();
  };
  useEffect(() => {
    const menu = list.current;
    if (!isOpen || menu === null || opener.current === null) return;
    menu.showPopover();
    place(menu, opener.current, "below");
    menu.querySelector<HTMLElement>("[role^=menuitem]")?.focus();
    const away = (event: Event): void => {
      const target = event.target as Node;
      if (!menu.contains(target) && opener.current?.contains(target) !== true) setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("scroll", away, true);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("scroll", away, true);
    };
  }, [isOpen]);
  const move = (event: KeyboardEvent): void => {
    const all = [...(list.current?.querySelectorAll<HTMLElement>("[role^=menuitem]") ?? [])];
    const index = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) all.at(to % all.length)?.focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") setOpen(false);
    else return;
    event.stopPropagation();
    if (event.key !== "Tab") event.preventDefault();
  };
  return (
    <>
      <Button
        kind="bare"
        {...(button.children === undefined && { icon: "more" as const, label })}
        {...button}
        hasMenu
        isExpanded={isOpen}
        buttonRef={opener}
        onClick={() => setOpen(!isOpen)}
      />
      {isOpen && (
        <div class="menu" role="menu" aria-label={label} popover="manual" ref={list} onKeyDown={move}>
          {items.map((item) => (
            <MenuEntry key={item.label} item={item} onChosen={close} />
          ))}
        </div>
      )}
    </>
  );
}

function MenuEntry({ item, onChosen }: { readonly item: MenuItem; readonly onChosen: () => void }) {
  const { label, icon, href, isDangerous, disabledBecause, isChecked } = item;
  const content = (
    <>
      {isChecked === undefined ? (
        icon && <Icon name={icon} />
      ) : isChecked ? (
        <Icon name="check" />
      ) : (
        <i class="icon" />
      )}
      <span class="grow">
        {label}
        {disabledBecause !== undefined && <small>{disabledBecause}</small>}
      </span>
    </>
  );
  const common = {
    role: isChecked === undefined ? "menuitem" : "menuitemradio",
    "aria-checked": isChecked,
    tabIndex: -1,
    class: isDangerous ? "menu-item menu-danger" : "menu-item",
  } as const;
  if (href !== undefined) {
    return (
      <a {...common} href={href} onClick={onChosen}>
        {content}
      </a>
    );
  }
  return (
    <button
      {...common}
      type="button"
      aria-disabled={disabledBecause === undefined ? undefined : "true"}
      onClick={() => {
        if (disabledBecause !== undefined) return;
        onChosen();
        item.onClick?.();
      }}
    >
      {content}
    </button>
  );
}
