// The map of pieces on a canvas: each square has the colour of the member that most of its pieces came from. Below, how many copies
// are online. The pointer or the focus on a member dims the others.
import { useEffect, useRef, useState } from "preact/hooks";
import type { AnswerOf } from "../../api/call.ts";
import { number } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import {
  BEFORE,
  type CopiesColumns,
  copiesColumns,
  LEFT_OUT,
  MISSING,
  type PiecesMap,
  piecesBySource,
  piecesMap,
} from "../../state/pieces-map.ts";
import { isConnected, type TransferRow } from "../../state/transfer-rows.ts";
import { MemberChip } from "../../ui/member.tsx";
import { markOf } from "./members.ts";
import { paintsOf, useLook } from "./paints.ts";
import { SectionTitle } from "./section-title.tsx";
import { usePolled } from "./use-polled.ts";

type PieceAnswer = AnswerOf<"pieces">;

const PERIOD_MS = 2_000;
const SQUARE = 6;
const GAP = 1.5;
const STEP = SQUARE + GAP;
const MOST_ROWS = 12;
const COPIES_HEIGHT = 20;

export function Pieces({ row }: { readonly row: TransferRow }) {
  const { groupId, fileName } = row;
  const { answer } = usePolled("pieces", { groupId, fileName }, PERIOD_MS);
  const [dimmed, setDimmed] = useState<string>();
  const [width, frame] = useWidth();
  const columns = Math.max(10, Math.floor((width + GAP) / STEP));
  const map = answer && piecesMap(answer.runs, answer.pieceCount, columns * MOST_ROWS);
  // Without connections nobody can tell what others have.
  const copies =
    answer !== undefined && isConnected(row)
      ? copiesColumns(answer.availability, answer.runs, answer.pieceCount, columns)
      : undefined;
  return (
    <section aria-labelledby="details-pieces">
      <SectionTitle id="details-pieces">
        {t("transfers.pieces.title")}
        {map !== undefined && (
          <span class="quiet">
            {map.piecesPerCell === 1
              ? number(answer?.pieceCount ?? 0)
              : t("transfers.pieces.square", { count: map.piecesPerCell, whole: answer?.pieceCount ?? 0 })}
          </span>
        )}
      </SectionTitle>
      <div class="pieces" ref={frame}>
        {map !== undefined && answer !== undefined && (
          <Canvas
            groupId={groupId}
            sources={answer.sources}
            map={map}
            copies={copies}
            columns={columns}
            dimmed={dimmed}
            label={mapText(answer)}
          />
        )}
      </div>
      {copies !== undefined && (
        <p class="sub line pieces-copies">
          <span class="grow">{t("transfers.pieces.copies", { most: copies.most })}</span>
          {copies.without > 0 && (
            <span class="text-warn">{t("transfers.pieces.without", { count: copies.without })}</span>
          )}
        </p>
      )}
      {answer !== undefined && <Key groupId={groupId} answer={answer} onDim={setDimmed} dimmed={dimmed} />}
    </section>
  );
}

/** The width of an element, and where to attach it. */
function useWidth(): [number, { current: HTMLDivElement | null }] {
  const element = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(372);
  useEffect(() => {
    if (element.current === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined && entry.contentRect.width > 0) setWidth(Math.floor(entry.contentRect.width));
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [width, element];
}

function mapText(answer: PieceAnswer): string {
  const { bySource, missing } = piecesBySource(answer.runs, answer.sources.length);
  const from = answer.sources.map((userId, index) =>
    t("transfers.pieces.from", { user: userId, count: bySource[index] ?? 0 }),
  );
  return [t("transfers.pieces.missing", { count: missing, whole: answer.pieceCount }), ...from].join("; ");
}

interface CanvasProps {
  readonly groupId: string;
  readonly sources: readonly string[];
  readonly map: PiecesMap;
  readonly copies: CopiesColumns | undefined;
  readonly columns: number;
  readonly dimmed: string | undefined;
  readonly label: string;
}

function Canvas(props: CanvasProps) {
  const { groupId, sources, map, copies, columns, dimmed, label } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const rows = Math.max(1, Math.ceil(map.from.length / columns));
  const width = columns * STEP - GAP;
  const mapHeight = rows * STEP - GAP;
  const height = mapHeight + (copies === undefined ? 0 : 8 + COPIES_HEIGHT);
  const colours = sources.map((userId) => markOf(groupId, userId).colour);
  const look = useLook();
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!canvas.current || !context) return;
    const scale = devicePixelRatio || 1;
    canvas.current.width = Math.round(width * scale);
    canvas.current.height = Math.round(height * scale);
    context.scale(scale, scale);
    context.clearRect(0, 0, width, height);
    const paint = paintsOf(canvas.current.parentElement ?? document.body);
    drawCells(context, map, columns, {
      track: paint("track"),
      before: paint("edge"),
      ink: paint("ink"),
      members: colours.map((colour) => paint(`m${colour}`)),
      isDim: (source) => dimmed !== undefined && sources[source] !== dimmed,
    });
    if (copies === undefined) return;
    context.translate(0, mapHeight + 8);
    drawCopies(context, copies, width, { bar: paint("ink-3"), none: paint("warn") });
  }, [map, copies, columns, dimmed, colours.join(), look]);
  return (
    <canvas
      ref={canvas}
      class="pieces-map"
      role="img"
      aria-label={label}
      style={{ width: `${width}px`, height: `${height}px` }}
    />
  );
}

interface Paints {
  readonly track: string;
  readonly before: string;
  readonly ink: string;
  readonly members: readonly string[];
  readonly isDim: (source: number) => boolean;
}

function drawCells(context: CanvasRenderingContext2D, map: PiecesMap, columns: number, paints: Paints): void {
  for (const [cell, from] of map.from.entries()) {
    const x = (cell % columns) * STEP;
    const y = Math.floor(cell / columns) * STEP;
    const isLeftOut = from === LEFT_OUT;
    context.globalAlpha = from >= 0 && paints.isDim(from) ? 0.16 : isLeftOut ? 0.4 : 1;
    context.fillStyle =
      from === MISSING || isLeftOut
        ? paints.track
        : from === BEFORE
          ? paints.before
          : (paints.members[from] ?? paints.before);
    context.beginPath();
    context.roundRect(x, y, SQUARE, SQUARE, 1);
    context.fill();
    if (map.isComing[cell] !== 1) continue;
    context.globalAlpha = 1;
    context.strokeStyle = paints.ink;
    context.lineWidth = 1.25;
    context.strokeRect(x + 0.65, y + 0.65, SQUARE - 1.3, SQUARE - 1.3);
  }
  context.globalAlpha = 1;
}

function drawCopies(
  context: CanvasRenderingContext2D,
  { least, most }: CopiesColumns,
  width: number,
  paints: { readonly bar: string; readonly none: string },
): void {
  const step = (width + GAP) / least.length;
  for (const [column, copies] of least.entries()) {
    const height = copies === 0 ? 3 : Math.max(3, (copies / Math.max(1, most)) * COPIES_HEIGHT);
    context.fillStyle = copies === 0 ? paints.none : paints.bar;
    context.fillRect(column * step, COPIES_HEIGHT - height, Math.max(1, step - GAP), height);
  }
}

interface KeyProps {
  readonly groupId: string;
  readonly answer: PieceAnswer;
  readonly dimmed: string | undefined;
  readonly onDim: (userId: string | undefined) => void;
}

/** The members, with how many pieces came from each. */
function Key({ groupId, answer, dimmed, onDim }: KeyProps) {
  const { bySource, before } = piecesBySource(answer.runs, answer.sources.length);
  const isComing = answer.runs.some((run) => run.isComing === true);
  return (
    <ul class="legend pieces-key" aria-label={t("transfers.pieces.key")}>
      {answer.sources.map((userId, index) => {
        const count = bySource[index] ?? 0;
        if (count === 0) return null;
        const { colour, letter } = markOf(groupId, userId);
        return (
          <li key={userId}>
            <button
              type="button"
              class="pieces-member"
              aria-pressed={dimmed === userId}
              title={userId}
              onPointerEnter={() => onDim(userId)}
              onPointerLeave={() => onDim(undefined)}
              onFocus={() => onDim(userId)}
              onBlur={() => onDim(undefined)}
            >
              <span class="unseen">{userId}: </span>
              <MemberChip userId={userId} colourIndex={colour - 1} letter={letter}>
                {number(count)}
              </MemberChip>
            </button>
          </li>
        );
      })}
      {before > 0 && (
        <li class="line">
          <i class="pieces-before" />
          {t("transfers.pieces.before", { count: before })}
        </li>
      )}
      {isComing && (
        <li class="line">
          <i class="pieces-coming" />
          {t("transfers.pieces.coming")}
        </li>
      )}
    </ul>
  );
}
