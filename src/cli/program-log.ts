// The log of a tracker or a client: pino's JSON lines, to a stream that may fail (log-stream.ts). A sentence that comes again
// and again is counted, not written each time: most are caused by strangers, who must not fill a disk with them.

import { type Logger, type LoggerOptions, pino } from "pino";
import { MiniTorrentError } from "../api/errors.ts";
import { later } from "../net/timers.ts";

/** A message is written this many times in an interval; further ones are counted, and the count is written at its end. */
const MOST_IN_INTERVAL = 5;
const INTERVAL_MS = 60_000;
/** Messages that are counted separately; the program has some hundred. */
const MAX_SENTENCES = 1_000;

export interface ProgramLogOptions {
  readonly level: string;
  readonly to: { write(line: string): void };
  readonly intervalMs?: number;
  /** @default 5 */
  readonly mostInInterval?: number;
}

interface Repeated {
  writtenCount: number;
  countedOnly: number;
  /** Writes the count. */
  tell: (countedOnly: number) => void;
}

export function programLog({
  level,
  to,
  intervalMs = INTERVAL_MS,
  mostInInterval = MOST_IN_INTERVAL,
}: ProgramLogOptions): Logger {
  const sentences = new Map<string, Repeated>();
  let isCounting = false;
  const endInterval = (): void => {
    isCounting = false;
    for (const { countedOnly, tell } of sentences.values()) if (countedOnly > 0) tell(countedOnly);
    sentences.clear();
  };
  const logMethod: NonNullable<LoggerOptions["hooks"]>["logMethod"] = function (args, method) {
    if (!isCounting) later("counting log lines", intervalMs, endInterval).unref();
    isCounting = true;
    const { sentence, tracker } = partsOf(args);
    const place = tracker === undefined ? sentence : `${sentence} ${tracker}`;
    const key = sentences.size < MAX_SENTENCES || sentences.has(place) ? place : "";
    const known = sentences.get(key) ?? { writtenCount: 0, countedOnly: 0, tell: () => undefined };
    sentences.set(key, known);
    if (known.writtenCount < mostInInterval) {
      known.writtenCount++;
      method.apply(this, args);
      return;
    }
    known.countedOnly++;
    const facts = tracker === undefined ? {} : { tracker };
    known.tell = (repeated) => method.apply(this, [{ ...facts, repeated }, sentence]);
  };
  return pino({ level, base: null, hooks: { logMethod }, serializers: { err: errorFacts } }, to);
}

/** A stack tells where a bug is. Of an error that was foreseen, or that the system reported, it tells nothing. */
function errorFacts(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { type, message, stack, code } = pino.stdSerializers.err(error);
  return { type, message, ...(code === undefined ? {} : { code }), ...(isForeseen(error) ? {} : { stack }) };
}

function isForeseen(error: Error): boolean {
  if (error instanceof MiniTorrentError) return error.code !== "INTERNAL";
  const code = "code" in error ? String(error.code) : "";
  return "syscall" in error || /^ERR_(SSL|TLS)/.test(code);
}

/** What is said, and of which other tracker: there are few, and each is told apart. All else in a line may be a stranger's. */
function partsOf([first, second]: readonly unknown[]): { sentence: string; tracker: string | undefined } {
  const sentence = typeof first === "string" ? first : typeof second === "string" ? second : String(first);
  const facts = typeof first === "object" && first !== null && "tracker" in first ? first : undefined;
  const tracker = typeof facts?.tracker === "string" ? facts.tracker : undefined;
  return { sentence, tracker };
}
