// A line of the log as a person reads it: time of day, level, words, facts, the cause. pino-pretty, the logging library's own
// printer, is not used: it would write control characters of strangers to the terminal as they are and an error as a stack over
// many lines, and it brings some twenty packages for the sixty lines below.
import { pino } from "pino";
import { z } from "zod";
import { harmless, paint, type Tone, type View } from "./display-text.ts";
import { LogStream } from "./log-stream.ts";

/** Characters of a line, and of one fact in it: what strangers send is quoted in some. */
const MAX_LINE_CHARACTERS = 2_000;
const MAX_FACT_CHARACTERS = 500;
/** Of the longest level's name. */
const LEVEL_COLUMNS = 5;
/** pino's numbers. */
const LEVEL_WARN = 40;
const LEVEL_ERROR = 50;

const recordSchema = z.looseObject({ level: z.number(), time: z.number(), msg: z.string().default("") });
const errorSchema = z.looseObject({
  message: z.string(),
  code: z.string().optional(),
  stack: z.string().optional(),
});

/**
 * `18:05:03 WARN  tracker not reached tracker=192.0.2.2:9000: Nothing listens at 192.0.2.2:9000: start that tracker.`
 *
 * @param json a line of pino; anything else is returned as it is, made harmless
 * @returns without a line feed
 */
export function readableLogLine(json: string, view: View): string {
  const record = recordOf(json);
  if (record === undefined) return harmless(json.trimEnd());
  const { level, time, msg, err, reason, ...facts } = record;
  const words = [msg, ...Object.entries(facts).map(([key, value]) => `${key}=${factText(value)}`)].join(" ");
  const causes = [reason === undefined ? "" : cut(String(reason), MAX_LINE_CHARACTERS), causeText(err, msg)];
  const text = [words, ...causes].filter((part) => part !== "").join(": ");
  const head = `${timeOfDay(time, view)} ${paint(levelName(level).padEnd(LEVEL_COLUMNS), toneOf(level), view)}`;
  return `${head} ${harmless(cut(text, MAX_LINE_CHARACTERS))}`;
}

/** Writes such lines to a descriptor in the background. */
export function readableLog(descriptor: number, view: View): { write(json: string): void } {
  const format = (json: string): string => readableLogLine(json, view);
  const stream = new LogStream(descriptor, { format });
  return { write: (json) => stream.write(`${format(json)}\n`) };
}

function levelName(level: number): string {
  return (pino.levels.labels[level] ?? String(level)).toUpperCase();
}

function toneOf(level: number): Tone {
  if (level >= LEVEL_ERROR) return "bad";
  return level >= LEVEL_WARN ? "warn" : "dim";
}

function recordOf(json: string): z.infer<typeof recordSchema> | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined; // not written by pino
  }
}

/** Quoted if it has spaces, so that it can be told from the words around it. */
function factText(value: unknown): string {
  const isWord = typeof value === "string" && !/[\s"]/.test(value);
  return cut(isWord ? value : JSON.stringify(value), MAX_FACT_CHARACTERS);
}

/** What an error says. Of a bug, which has a stack in the log (program-log.ts), also the place where it was thrown. */
function causeText(err: unknown, alreadySaid: string): string {
  if (err === undefined) return "";
  const { data } = errorSchema.safeParse(err);
  if (data === undefined) return factText(err);
  const { message, code, stack } = data;
  const place = stack
    ?.split("\n")
    .find((line) => line.startsWith("    at "))
    ?.trim();
  const sentence = message === alreadySaid ? "" : message;
  const named = code === undefined || message.includes(code) ? sentence : `${code}: ${sentence}`;
  return place === undefined ? named : `${named} (${place})`.trimStart();
}

function cut(text: string, maxCharacters: number): string {
  return text.length <= maxCharacters ? text : `${text.slice(0, maxCharacters - 1)}…`;
}

/** `18:05:03`, in the view's time zone. */
function timeOfDay(timeMs: number, { timeZone }: View): string {
  return new Date(timeMs).toLocaleTimeString("sv-SE", { timeStyle: "medium", timeZone });
}
