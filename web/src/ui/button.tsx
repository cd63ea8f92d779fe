import type { ComponentChildren, Ref } from "preact";
import { Icon, type IconName } from "./icon.tsx";

export interface ButtonProps {
  readonly children?: ComponentChildren;
  /** main: the one dark button of a view. bare: without an edge. */
  readonly kind?: "normal" | "main" | "bare" | "danger";
  readonly size?: "normal" | "small";
  readonly icon?: IconName;
  /** The name of a button that shows an icon only. */
  readonly label?: string;
  readonly onClick?: ((event: MouseEvent) => void) | undefined;
  /** A link that looks like a button. */
  readonly href?: string | undefined;
  readonly type?: "button" | "submit";
  readonly disabled?: boolean;
  /** Keeps its width while it works, and takes no second click. */
  readonly isBusy?: boolean;
  readonly isPressed?: boolean;
  readonly class?: string;
  /** The id of a form that it submits from outside. */
  readonly form?: string;
  readonly buttonRef?: Ref<HTMLButtonElement>;
  readonly id?: string;
  readonly describedBy?: string | undefined;
  readonly hasMenu?: boolean;
  readonly isExpanded?: boolean | undefined;
}

export function Button(props: ButtonProps) {
  const { children, kind = "normal", size = "normal", icon, label, href, isBusy = false } = props;
  const classes = ["button", `button-${kind}`];
  if (size === "small") classes.push("button-small");
  if (children === undefined) classes.push("button-icon");
  if (props.class !== undefined) classes.push(props.class);
  const content = (
    <>
      {icon !== undefined && <Icon name={icon} />}
      {children}
    </>
  );
  if (href !== undefined) {
    return (
      <a class={classes.join(" ")} href={href} aria-label={label} title={label} id={props.id}>
        {content}
      </a>
    );
  }
  return (
    <button
      class={classes.join(" ")}
      type={props.type ?? "button"}
      id={props.id}
      ref={props.buttonRef}
      form={props.form}
      aria-label={label}
      title={children === undefined ? label : undefined}
      aria-busy={isBusy ? "true" : undefined}
      aria-pressed={props.isPressed}
      aria-describedby={props.describedBy}
      aria-haspopup={props.hasMenu ? "menu" : undefined}
      aria-expanded={props.isExpanded}
      disabled={props.disabled}
      onClick={(event) => {
        if (!isBusy) props.onClick?.(event);
        else event.preventDefault();
      }}
    >
      {content}
    </button>
  );
}
