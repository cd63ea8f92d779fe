// Where a download goes: a path that can be typed, with suggestions and the room that each has.
import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { AnswerOf } from "../../api/call.ts";
import { bytes } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { Icon } from "../../ui/icon.tsx";

export type Destinations = AnswerOf<"destinations">;

export interface DestinationFieldProps {
  readonly value: string;
  readonly onChange: (path: string) => void;
  readonly suggestions: Destinations;
  /** What is to be written there. */
  readonly neededBytes: number;
  /** What the daemon said against it. */
  readonly problem?: string | undefined;
}

export function DestinationField(props: DestinationFieldProps) {
  const { value, onChange, suggestions, neededBytes, problem } = props;
  const id = useId();
  const isOpen = useSignal(false);
  const at = useSignal(-1);
  const input = useRef<HTMLInputElement>(null);
  // The end of a path says most.
  useEffect(() => {
    const field = input.current;
    if (field !== null && document.activeElement !== field) field.scrollLeft = field.scrollWidth;
  }, [value]);
  const isTyped = suggestions.every(({ path }) => path !== value);
  const shown = isTyped ? suggestions.filter(({ path }) => path.startsWith(value)) : suggestions;
  const choose = (path: string): void => {
    onChange(path);
    isOpen.value = false;
    at.value = -1;
    input.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && shown.length > 0) {
      event.preventDefault();
      at.value = isOpen.value ? (at.value + step + shown.length) % shown.length : Math.max(0, at.value);
      isOpen.value = true;
    } else if (event.key === "Enter" && isOpen.value && at.value >= 0) {
      event.preventDefault();
      const path = shown[at.value]?.path;
      if (path !== undefined) choose(path);
    } else if (event.key === "Escape" && isOpen.value) {
      event.preventDefault();
      event.stopPropagation();
      isOpen.value = false;
    }
  };
  const isListed = isOpen.value && shown.length > 0;
  return (
    <div class="field destination">
      <label for={id}>{t("groups.choose.into")}</label>
      <div class={problem === undefined ? "box" : "box box-bad"}>
        <Icon name="drive" />
        <input
          id={id}
          ref={input}
          role="combobox"
          aria-expanded={isListed}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={isListed && at.value >= 0 ? `${id}-${at.value}` : undefined}
          aria-invalid={problem === undefined ? undefined : "true"}
          aria-describedby={problem === undefined ? undefined : `${id}-problem`}
          value={value}
          title={value}
          autoComplete="off"
          autoCapitalize="none"
          spellcheck={false}
          onInput={(event) => {
            onChange(event.currentTarget.value);
            isOpen.value = true;
            at.value = -1;
          }}
          onKeyDown={onKeyDown}
          onClick={() => {
            isOpen.value = true;
          }}
          onBlur={() => {
            isOpen.value = false;
          }}
        />
        <Icon name="down" />
      </div>
      <div
        class="options"
        id={`${id}-list`}
        role="listbox"
        aria-label={t("groups.choose.suggestions")}
        hidden={!isListed}
      >
        {shown.map(({ path, freeBytes, usedBefore, fits }, index) => (
          // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the field.
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the keys.
          <div
            key={path}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at.value}
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => choose(path)}
          >
            <span class="block breaks">{path}</span>
            <span class="line">
              {fits ? (
                <small class="grow quiet">{usedBefore && t("groups.choose.usedBefore")}</small>
              ) : (
                <small class="grow text-danger">
                  {neededBytes > freeBytes
                    ? t("groups.choose.tooSmall", { size: bytes(neededBytes - freeBytes) })
                    : t("groups.choose.promised")}
                </small>
              )}
              <small class={fits ? undefined : "text-danger"}>
                {t("groups.choose.free", { size: bytes(freeBytes) })}
              </small>
            </span>
          </div>
        ))}
      </div>
      {problem !== undefined && (
        <p class="hint hint-bad" id={`${id}-problem`}>
          {problem}
        </p>
      )}
    </div>
  );
}

export interface RoomBarProps {
  readonly freeBytes: number;
  readonly neededBytes: number;
}

/** What this takes of the room that is free. */
export function RoomBar({ freeBytes, neededBytes }: RoomBarProps) {
  const isEnough = neededBytes <= freeBytes;
  const share = freeBytes === 0 ? 1 : Math.min(1, neededBytes / freeBytes);
  const left = isEnough
    ? t("groups.choose.stayFree", { size: bytes(freeBytes - neededBytes) })
    : t("groups.choose.tooSmall", { size: bytes(neededBytes - freeBytes) });
  return (
    <div class="room">
      <div class="line">
        <span class="grow label">{t("groups.choose.room")}</span>
        <small class={isEnough ? undefined : "text-danger"}>{left}</small>
      </div>
      <div
        class="room-bar"
        role="img"
        aria-label={t("groups.choose.roomLabel", { needed: bytes(neededBytes), free: bytes(freeBytes) })}
      >
        <i class={isEnough ? "room-needed" : "room-needed room-short"} style={{ width: `${share * 100}%` }} />
      </div>
      <div class="room-key" aria-hidden="true">
        <span>
          <i class="room-needed" />
          {t("groups.choose.this", { size: bytes(neededBytes) })}
        </span>
        <span>
          <i />
          {t("groups.choose.freeKey")}
        </span>
      </div>
    </div>
  );
}
