// Plays video and sound that may still be on its way. The line of time shows what was played, what is here, and what is not.
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../i18n/t.ts";
import { registerKeys } from "../../keys.ts";
import { hereRanges, runsWithin } from "../../state/pieces-map.ts";
import { clockText } from "../../state/preview-kind.ts";
import type { TransferRow } from "../../state/transfer-rows.ts";
import { Button } from "../../ui/button.tsx";
import { Banner } from "../../ui/empty.tsx";
import { Menu } from "../../ui/menu.tsx";
import type { SeenFile } from "../transfers/file-pages.ts";
import { usePolled } from "../transfers/use-polled.ts";

export interface PlayerProps {
  readonly kind: "video" | "audio";
  readonly url: string;
  readonly row: TransferRow;
  readonly file: SeenFile;
  /** In a folder. */
  readonly path: string | undefined;
}

interface Range {
  readonly from: number;
  readonly to: number;
}

interface State {
  readonly time: number;
  readonly length: number;
  readonly isPaused: boolean;
  readonly isMuted: boolean;
  readonly isWaiting: boolean;
  readonly speed: number;
  readonly hasFailed: boolean;
}

const STEP_S = 5;
const PIECES_PERIOD_MS = 2_000;
const SPEEDS = [0.5, 1, 1.25, 1.5, 2] as const;
/** Without the pointer for so long, a playing picture is shown alone. */
const QUIET_MS = 2_500;
const ALL: readonly Range[] = [{ from: 0, to: 1 }];
const EVENTS = [
  ...["timeupdate", "durationchange", "play", "pause", "volumechange", "ratechange"],
  ...["waiting", "playing", "seeked", "error", "canplay"],
];

export function Player({ kind, url, row, file, path }: PlayerProps) {
  const media = useRef<HTMLVideoElement & HTMLAudioElement>(null);
  const stage = useRef<HTMLDivElement>(null);
  const [state, setState] = useState<State>({
    ...{ time: 0, length: 0, isPaused: true, isMuted: false, isWaiting: false, speed: 1, hasFailed: false },
  });
  const here = useHere(row, file, path);
  const isQuiet = useQuiet(stage, kind === "video" && !state.isPaused);
  useEffect(() => {
    const element = media.current;
    if (element === null) return;
    const read = (event: Event): void =>
      setState((before) => ({
        time: element.currentTime,
        length: Number.isFinite(element.duration) ? element.duration : 0,
        isPaused: element.paused,
        isMuted: element.muted,
        isWaiting:
          event.type === "waiting" ||
          (before.isWaiting && event.type === "timeupdate" && element.readyState < 3),
        speed: element.playbackRate,
        hasFailed: element.error !== null,
      }));
    for (const type of EVENTS) element.addEventListener(type, read);
    return () => {
      for (const type of EVENTS) element.removeEventListener(type, read);
    };
  }, []);
  const toggle = (): void => {
    const element = media.current;
    if (element === null) return;
    if (element.paused) void element.play().catch(() => undefined);
    else element.pause();
  };
  const seek = (seconds: number): void => {
    const element = media.current;
    if (element === null || !Number.isFinite(element.duration)) return;
    element.currentTime = Math.max(0, Math.min(element.duration, seconds));
  };
  const mute = (): void => {
    if (media.current !== null) media.current.muted = !media.current.muted;
  };
  const fill = (): void => {
    if (document.fullscreenElement !== null) void document.exitFullscreen();
    else void stage.current?.requestFullscreen?.().catch(() => undefined);
  };
  useEffect(
    () =>
      registerKeys("player", {
        Space: (event) => {
          // On a button, space presses it.
          if ((event.target as HTMLElement | null)?.closest("button, a, input, select, summary") !== null)
            return false;
          toggle();
          return undefined;
        },
        m: mute,
        f: () => {
          if (kind !== "video") return false;
          fill();
          return undefined;
        },
        ArrowLeft: (event) => onArrow(event, -STEP_S),
        ArrowRight: (event) => onArrow(event, STEP_S),
      }),
    [kind],
  );
  const onArrow = (event: KeyboardEvent, by: number): false | undefined => {
    if ((event.target as HTMLElement | null)?.closest("[role=menu], [role=list], input, select") !== null)
      return false;
    seek((media.current?.currentTime ?? 0) + by);
    return undefined;
  };
  if (state.hasFailed) {
    return (
      <Banner kind="warn" icon="warn">
        {t("transfers.player.failed")}
      </Banner>
    );
  }
  const readyTo = here.find(
    (range) => range.from * state.length <= state.time + 0.5 && state.time < range.to * state.length,
  );
  const isAllHere = file.verifiedBytes >= file.lengthBytes;
  const common = { ref: media, src: url, preload: "metadata" } as const;
  return (
    <div class={`stage stage-${kind}${isQuiet ? " stage-quiet" : ""}`} ref={stage}>
      {kind === "video" ? (
        <video {...common} playsInline onClick={toggle} onDblClick={fill} />
      ) : (
        <audio {...common} />
      )}
      {state.isWaiting && !state.isPaused && (
        <p class="stage-wait" role="status">
          {t("transfers.player.waits", { time: clockText(state.time) })}
        </p>
      )}
      <div class="player">
        <Scrubber time={state.time} length={state.length} here={here} onSeek={seek} />
        <div class="player-buttons">
          <Button
            kind="bare"
            icon={state.isPaused ? "play" : "pause"}
            label={t(state.isPaused ? "transfers.player.play" : "transfers.player.pause")}
            onClick={toggle}
          />
          <Button
            kind="bare"
            icon={state.isMuted ? "mute" : "sound"}
            label={t(state.isMuted ? "transfers.player.unmute" : "transfers.player.mute")}
            onClick={mute}
          />
          <span class="player-time">
            {clockText(state.time)} <span>/ {clockText(state.length)}</span>
          </span>
          <span class="grow" />
          {!isAllHere && readyTo !== undefined && state.length > 0 && (
            <span class="player-ready">
              {t("transfers.player.ready", { time: clockText(readyTo.to * state.length) })}
            </span>
          )}
          <Menu
            label={t("transfers.player.speed")}
            button={{ children: `${state.speed}×` }}
            items={SPEEDS.map((speed) => ({
              label: `${speed}×`,
              isChecked: speed === state.speed,
              onClick: () => {
                if (media.current !== null) media.current.playbackRate = speed;
              },
            }))}
          />
          {kind === "video" && (
            <Button kind="bare" icon="full-screen" label={t("transfers.player.full")} onClick={fill} />
          )}
        </div>
      </div>
    </div>
  );
}

/** What of the file is here, as shares of its length. */
function useHere(row: TransferRow, file: SeenFile, path: string | undefined): readonly Range[] {
  const { groupId, fileName } = row;
  const isAllHere = file.verifiedBytes >= file.lengthBytes;
  const { answer } = usePolled("pieces", isAllHere ? undefined : { groupId, fileName }, PIECES_PERIOD_MS);
  if (isAllHere) return ALL;
  if (answer === undefined) return [];
  if (path === undefined) return hereRanges(answer.runs, answer.pieceCount);
  const { firstPiece, pieceCount } = file;
  if (firstPiece === undefined || pieceCount === undefined) return [];
  return hereRanges(runsWithin(answer.runs, firstPiece, pieceCount), pieceCount);
}

/** The pointer has not moved over it for a while. */
function useQuiet(stage: { readonly current: HTMLElement | null }, isPlaying: boolean): boolean {
  const [isQuiet, setQuiet] = useState(false);
  useEffect(() => {
    const element = stage.current;
    if (element === null || !isPlaying) {
      setQuiet(false);
      return;
    }
    let timer: ReturnType<typeof setTimeout>;
    const wake = (): void => {
      setQuiet(false);
      clearTimeout(timer);
      timer = setTimeout(() => setQuiet(!element.matches(":has(:focus-visible)")), QUIET_MS);
    };
    wake();
    const types = ["pointermove", "pointerdown", "keydown", "focusin"];
    for (const type of types) element.addEventListener(type, wake);
    return () => {
      clearTimeout(timer);
      for (const type of types) element.removeEventListener(type, wake);
    };
  }, [isPlaying]);
  return isQuiet;
}

interface ScrubberProps {
  readonly time: number;
  readonly length: number;
  readonly here: readonly Range[];
  readonly onSeek: (seconds: number) => void;
}

function Scrubber({ time, length, here, onSeek }: ScrubberProps) {
  const line = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState<number>();
  const [dragged, setDragged] = useState<number>();
  const shareAt = (event: PointerEvent): number => {
    const box = line.current?.getBoundingClientRect();
    if (box === undefined || box.width === 0) return 0;
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const share = dragged ?? (length > 0 ? time / length : 0);
  const isHere = pointed !== undefined && here.some(({ from, to }) => pointed >= from && pointed <= to);
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: time - STEP_S,
    ArrowDown: time - STEP_S,
    ArrowRight: time + STEP_S,
    ArrowUp: time + STEP_S,
    PageDown: time - 60,
    PageUp: time + 60,
    Home: 0,
    End: length,
  };
  return (
    <div
      class="scrubber"
      role="slider"
      tabIndex={0}
      aria-label={t("transfers.player.position")}
      aria-valuemin={0}
      aria-valuemax={Math.floor(length)}
      aria-valuenow={Math.floor(time)}
      aria-valuetext={t("transfers.player.positionText", {
        time: clockText(time),
        length: clockText(length),
      })}
      ref={line}
      onKeyDown={(event) => {
        const to = steps[event.key];
        if (to === undefined || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
        onSeek(to);
        event.preventDefault();
        event.stopPropagation();
      }}
      onPointerDown={(event) => {
        line.current?.setPointerCapture(event.pointerId);
        setDragged(shareAt(event));
      }}
      onPointerMove={(event) => {
        setPointed(shareAt(event));
        if (dragged !== undefined) setDragged(shareAt(event));
      }}
      onPointerUp={(event) => {
        if (dragged !== undefined) onSeek(shareAt(event) * length);
        setDragged(undefined);
      }}
      onPointerCancel={() => setDragged(undefined)}
      onPointerLeave={() => setPointed(undefined)}
    >
      <i class="scrubber-all" />
      {here.map(({ from, to }) => (
        <i
          key={from}
          class="scrubber-here"
          style={{ left: `${from * 100}%`, width: `${(to - from) * 100}%` }}
        />
      ))}
      <i class="scrubber-seen" style={{ width: `${share * 100}%` }} />
      <i class="scrubber-knob" style={{ left: `${share * 100}%` }} />
      {pointed !== undefined && length > 0 && (
        <span class="scrubber-tip" style={{ left: `${pointed * 100}%` }}>
          {isHere
            ? clockText(pointed * length)
            : t("transfers.player.notHere", { time: clockText(pointed * length) })}
        </span>
      )}
    </div>
  );
}
