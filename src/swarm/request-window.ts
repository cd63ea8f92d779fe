// How many requests are outstanding at one peer, and when its silence is a timeout. Slow start as TCP's, then what the
// peer delivers in a quarter of a second, a round trip and a pause of its own; a timeout from mean and deviation (RFC 6298), and
// a silent peer is snubbed to one request until it delivers, and rests without any when that is not answered either.
import { BLOCK_LENGTH_BYTES } from "../metainfo/geometry.ts";

/** Enough to keep a link of 1 ms round trip busy from the start; slow start triples it each round trip. */
const INITIAL_BLOCKS = 8;
/** The next block must be on its way while one is being received. */
const MIN_BLOCKS = 2;
/** libtorrent's default where a peer does not say (`reqq`, BEP 10). */
const DEFAULT_PEER_LIMIT_BLOCKS = 250;
/** What the peer delivers in that time is outstanding, beside a round trip's worth. libtorrent's request_queue_time is 3 s;
 * in a swarm that keeps up with its seeder, what was decided so long ago is out of date: many times the duplicates. All that
 * is asked for lies in the sender's socket, where no cancel reaches it and a new piece waits behind it. */
const QUEUE_SECONDS = 0.25;
/** An arriving block makes room for itself and so many more: at 100 ms and 1 Gbit/s doubling lost a second (TCP goes on
 * from its own slow start meanwhile). */
const GROWTH_BLOCKS = 2;
/** While somebody reads, slow start goes no further beyond what the peer delivers: what is urgent would be behind it. */
const READING_FACTOR = 1.5;
/** Slow start compares one such span with the next. */
const SLOW_START_ROUND_MS = 500;
/** Slow start is over when a span brought less than this times the one before. */
const SLOW_START_GROWTH = 1.25;
/** A tick of 100 ms leaves so much of the longest pause. */
const GAP_DECAY = 0.98;
/** An arriving block makes room for one request; requests go out in bundles of up to this many, which fit one packet. */
const MAX_BUNDLE_BLOCKS = 64;
/** libtorrent: "timeouts should never be less than 2 seconds"; one more for a disk that syncs. */
const MIN_TIMEOUT_MS = 3000;
const INITIAL_TIMEOUT_MS = 10_000;
/** libtorrent: request_timeout 60 s. */
const MAX_TIMEOUT_MS = 60_000;

type Phase =
  | { readonly status: "slow-start"; roundEndsMs: number; roundBytes: number; lastRoundBytes: number }
  | { readonly status: "steady" }
  | { readonly status: "snubbed" }
  /** Asked for nothing that would hold memory; probed now and then with a block that is thrown away. */
  | { readonly status: "resting"; probedAtMs: number };

export class RequestWindow {
  readonly #ownLimitBlocks: number;
  #limitBlocks: number;
  #sizeBlocks: number;
  #phase: Phase;
  #silentSinceMs: number;
  /** One request at a time is timed: when it was sent, and how many answers come before its own. */
  #timedAtMs: number | undefined;
  #timedAnswers = 0;
  #roundTripMs: number | undefined;
  #meanGapMs: number | undefined;
  #gapDeviationMs = 0;
  /** Of late: a pause is forgotten by half in 3.5 s. */
  #longestGapMs = 0;

  /** @param ownLimitBlocks most blocks that we ask of one peer, whatever it allows */
  constructor(ownLimitBlocks: number, nowMs: number) {
    this.#ownLimitBlocks = ownLimitBlocks;
    this.#limitBlocks = Math.min(ownLimitBlocks, DEFAULT_PEER_LIMIT_BLOCKS);
    this.#sizeBlocks = Math.min(INITIAL_BLOCKS, this.#limitBlocks);
    this.#phase = slowStart(nowMs);
    this.#silentSinceMs = nowMs;
  }

  /** Most blocks that may be outstanding now. */
  get sizeBlocks(): number {
    return this.#sizeBlocks;
  }

  /** Requests are sent when no more than this many are outstanding, so that they go in bundles. */
  get refillAtBlocks(): number {
    return this.#sizeBlocks - Math.max(1, Math.min(MAX_BUNDLE_BLOCKS, this.#sizeBlocks >> 2));
  }

  get isSnubbed(): boolean {
    return this.#phase.status === "snubbed" || this.#phase.status === "resting";
  }

  get isResting(): boolean {
    return this.#phase.status === "resting";
  }

  get timeoutMs(): number {
    if (this.#meanGapMs === undefined) return INITIAL_TIMEOUT_MS;
    const timeoutMs = this.#meanGapMs + 4 * this.#gapDeviationMs;
    return Math.min(MAX_TIMEOUT_MS, Math.max(MIN_TIMEOUT_MS, timeoutMs));
  }

  /** The peer's `reqq`: how many requests it keeps without dropping any. */
  peerAllows(blocks: number): void {
    this.#limitBlocks = Math.max(1, Math.min(this.#ownLimitBlocks, blocks));
    this.#sizeBlocks = Math.min(this.#sizeBlocks, this.#limitBlocks);
  }

  /** The shortest time from a request to its block so far; 0 while none has come. */
  get roundTripMs(): number {
    return this.#roundTripMs ?? 0;
  }

  /** A request is sent. `outstanding`: how many are, with this one. */
  asked(outstanding: number, nowMs: number): void {
    // Nothing was outstanding: silence counts from here.
    if (outstanding === 1) this.#silentSinceMs = nowMs;
    if (this.#timedAtMs !== undefined) return;
    this.#timedAtMs = nowMs;
    this.#timedAnswers = outstanding;
  }

  /** A request was answered without its block, or cancelled: the order of answers is unknown now. */
  lostCount(): void {
    this.#timedAtMs = undefined;
  }

  /** The peer unchoked us: what was learnt of its speed is old. Snubbed and resting stay so. */
  unchoked(nowMs: number): void {
    this.#silentSinceMs = nowMs;
    if (!this.isSnubbed) this.#phase = slowStart(nowMs);
  }

  /** A requested block is complete. Snubbed or resting -> slow start. */
  arrived(bytes: number, nowMs: number): void {
    if (this.#timedAtMs !== undefined && --this.#timedAnswers === 0) {
      this.#roundTripMs = Math.min(this.#roundTripMs ?? Number.POSITIVE_INFINITY, nowMs - this.#timedAtMs);
      this.#timedAtMs = undefined;
    }
    this.#learnGap(nowMs - this.#silentSinceMs);
    this.#silentSinceMs = nowMs;
    if (this.isSnubbed) {
      this.#phase = slowStart(nowMs);
      this.#sizeBlocks = Math.min(MIN_BLOCKS, this.#limitBlocks);
    }
    if (this.#phase.status === "slow-start") {
      this.#phase.roundBytes += bytes;
      this.#sizeBlocks = Math.min(this.#limitBlocks, this.#sizeBlocks + GROWTH_BLOCKS);
    }
  }

  /** Called about every 100 ms with the rate at which the peer delivers. Slow start -> steady. */
  adjust(nowMs: number, rateBytesPerSecond: number, isReading = false): void {
    const phase = this.#phase;
    this.#longestGapMs *= GAP_DECAY;
    if (phase.status === "slow-start" && nowMs >= phase.roundEndsMs) {
      const isStillGrowing = phase.roundBytes > phase.lastRoundBytes * SLOW_START_GROWTH;
      if (phase.lastRoundBytes > 0 && !isStillGrowing) {
        this.#phase = { status: "steady" };
      } else {
        phase.lastRoundBytes = phase.roundBytes;
        phase.roundBytes = 0;
        phase.roundEndsMs = nowMs + SLOW_START_ROUND_MS;
      }
    }
    if (this.#phase.status === "steady" || isReading) {
      // A peer that sends in bursts needs enough requests for the next one, or it would get slower with every burst.
      const seconds = QUEUE_SECONDS + (this.roundTripMs + this.#longestGapMs * 1.5) / 1000;
      const wanted = Math.ceil((rateBytesPerSecond * seconds) / BLOCK_LENGTH_BYTES);
      const steady = Math.min(this.#limitBlocks, Math.max(MIN_BLOCKS, wanted));
      if (this.#phase.status === "steady") this.#sizeBlocks = steady;
      else if (this.#phase.status === "slow-start" && rateBytesPerSecond > 0)
        this.#sizeBlocks = Math.min(
          this.#sizeBlocks,
          Math.max(INITIAL_BLOCKS, Math.ceil(steady * READING_FACTOR)),
        );
    }
  }

  /** No more is to be outstanding than what the peer delivers soon. Slow start -> steady. */
  settle(blocks: number): void {
    if (this.#phase.status === "slow-start") this.#phase = { status: "steady" };
    this.#sizeBlocks = Math.max(MIN_BLOCKS, Math.min(this.#sizeBlocks, Math.ceil(blocks)));
  }

  /** True if something is outstanding for longer than the peer's habits explain. */
  isOverdue(nowMs: number): boolean {
    return nowMs - this.#silentSinceMs > this.timeoutMs;
  }

  silentForMs(nowMs: number): number {
    return nowMs - this.#silentSinceMs;
  }

  /** Any phase -> snubbed. */
  snub(nowMs: number): void {
    this.#phase = { status: "snubbed" };
    this.#sizeBlocks = 1;
    this.#silentSinceMs = nowMs;
  }

  /** Any phase -> resting. The first probe is due after that pause. */
  rest(nowMs: number, pauseMs = this.timeoutMs): void {
    this.snub(nowMs);
    this.#phase = { status: "resting", probedAtMs: nowMs + pauseMs - this.timeoutMs };
  }

  /** It is time to see whether a resting peer answers again. */
  isProbeDue(nowMs: number): boolean {
    return this.#phase.status === "resting" && nowMs - this.#phase.probedAtMs >= this.timeoutMs;
  }

  probed(nowMs: number): void {
    if (this.#phase.status === "resting") this.#phase.probedAtMs = nowMs;
  }

  #learnGap(gapMs: number): void {
    this.#longestGapMs = Math.max(this.#longestGapMs, gapMs);
    // RFC 6298 section 2: alpha 1/8, beta 1/4, the first deviation half of the first sample.
    if (this.#meanGapMs === undefined) {
      this.#meanGapMs = gapMs;
      this.#gapDeviationMs = gapMs / 2;
      return;
    }
    this.#gapDeviationMs += (Math.abs(gapMs - this.#meanGapMs) - this.#gapDeviationMs) / 4;
    this.#meanGapMs += (gapMs - this.#meanGapMs) / 8;
  }
}

function slowStart(nowMs: number): Phase {
  return { status: "slow-start", roundEndsMs: nowMs + SLOW_START_ROUND_MS, roundBytes: 0, lastRoundBytes: 0 };
}
