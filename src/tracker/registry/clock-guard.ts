// Whether this machine's wall clock may be believed: judged by a clock that never jumps, by the other trackers' clocks and
// by the newest stamp that was written here before. While it may not, nothing is written for clients, and what the tracker
// has to stamp itself gets the time that would be right without the jump. Decides only; who asks acts.
import { formatClockDifference } from "../../api/clock-difference.ts";
import { MAX_AHEAD_MS } from "./stamp.ts";

/** Trackers and clients may be 10 minutes off: what an NTP client corrects by less is no jump. */
const MAX_STEP_MS = 10 * 60 * 1000;
/** A reading of another tracker counts for so long after it was heard: beats come every second. */
const READING_LIFETIME_MS = 15_000;
/** A clock that was set is believed after so long if another tracker that is in doubt itself has the same time: both were set. */
const CONFIRM_MS = 60_000;
/** And after so long if no other tracker can be heard: a wrong time that is noticed and taken back takes less. */
const ALONE_MS = 10 * 60 * 1000;
/** Of two that differ, the one whose clock has been steady for longer is believed, if it is longer by this. */
const STEADIER_MS = 60_000;
/** How long a clock is said to have been steady that whoever runs the tracker calls right: longer than any other. */
const STEADY_SINCE_EVER_MS = 100 * 365 * 24 * 60 * 60 * 1000;
/** Between two readings of the clocks that agree this well nothing has jumped; the timers' own inexactness is far less. */
const QUICK_LOOK_MS = 1_000;

/** What one tracker tells another of its clock. */
export interface ClockReading {
  /** Its wall clock, milliseconds since 1970. */
  readonly nowMs: number;
  /** It does not believe that clock itself. */
  readonly isDoubted: boolean;
  /** For how long that clock has run without being set. */
  readonly steadyForMs: number;
}

/** Why the wall clock is not believed. */
export interface ClockDoubt {
  readonly why: "jumped" | "behind its past" | "unlike other trackers";
  /** How far the wall clock seems to be ahead of the right time; negative: behind. */
  readonly aheadMs: number;
  /** For whoever runs the tracker, after "it cannot write: ": what is wrong and what to do. */
  readonly sentence: string;
}

export interface ClockSources {
  /** Milliseconds since 1970; may be set at any moment. */
  readonly wallMs: () => number;
  /** Never set; may stand still while the machine sleeps. Read often. */
  readonly monotonicMs: () => number;
  /** Never set, and goes on while the machine sleeps. Read seldom: it may cost a system call or a file. */
  readonly bootMs: () => number;
}

interface HeardReading {
  readonly reading: ClockReading;
  readonly heardAtMs: number;
}

export class ClockGuard {
  readonly #sources: ClockSources;
  readonly #heard = new Map<string, HeardReading>();
  /** Wall clock minus boot clock as it was when it was believed last. */
  #offsetMs: number;
  /** What it was before a clock that had been set was believed: that clock may have been wrong, and be set back. */
  #formerOffsetMs: number | undefined;
  /** Boot clock when the wall clock was last taken as it is. */
  #steadySinceMs: number;
  /** A wall clock that is not believed: its offset, and since when it has been that. */
  #setTo: { readonly offsetMs: number; readonly sinceMs: number } | undefined;
  /** The newest stamp that was made here, milliseconds since 1970. */
  #pastMs = 0;
  /** The clock was believed since the start: where it is behind the past now, that came of what it was set to since. */
  #wasBelieved = false;
  #doubt: ClockDoubt | undefined;
  /** The offset of a clock that whoever runs the tracker said is right: the others are the ones to yield. */
  #acceptedOffsetMs: number | undefined;
  /** The clocks when they were compared last. */
  #looked: { readonly wallMs: number; readonly monotonicMs: number; readonly believedMs: number };

  constructor(sources: ClockSources) {
    this.#sources = sources;
    const wallMs = sources.wallMs();
    const bootMs = sources.bootMs();
    this.#offsetMs = wallMs - bootMs;
    this.#steadySinceMs = bootMs;
    this.#looked = { wallMs, monotonicMs: sources.monotonicMs(), believedMs: wallMs };
  }

  /** The time that stamps and certificates get: the wall clock's, or without its jump. Milliseconds since 1970. */
  nowMs(): number {
    this.#lookQuickly();
    if (this.#doubt === undefined) return this.#sources.wallMs();
    return this.#looked.believedMs + (this.#sources.monotonicMs() - this.#looked.monotonicMs);
  }

  /** Why nothing may be written now; undefined while the clock is believed. */
  get doubt(): ClockDoubt | undefined {
    this.#lookQuickly();
    return this.#doubt;
  }

  /** What the other trackers are told. */
  reading(): ClockReading {
    const isDoubted = this.doubt !== undefined;
    const steadyForMs = this.#sources.bootMs() - this.#steadySinceMs;
    return { isDoubted, nowMs: this.#sources.wallMs(), steadyForMs: Math.max(0, steadyForMs) };
  }

  heard(tracker: string, reading: ClockReading): void {
    this.#heard.set(tracker, { reading, heardAtMs: this.#sources.monotonicMs() });
    this.look();
  }

  /** Whoever runs the tracker says that the wall clock is right as it is now. */
  accept(): void {
    const bootMs = this.#sources.bootMs();
    this.#offsetMs = this.#sources.wallMs() - bootMs;
    this.#acceptedOffsetMs = this.#offsetMs;
    this.#steadySinceMs = bootMs - STEADY_SINCE_EVER_MS;
    this.#wasBelieved = true;
    this.look();
  }

  /**
   * Compares the clocks. To be called every second.
   *
   * @param latestMs the newest stamp that was made here, in this run or an earlier one: a clock far behind it is wrong, or
   * was wrong then
   */
  look(latestMs = this.#pastMs): void {
    const wallMs = this.#sources.wallMs();
    const monotonicMs = this.#sources.monotonicMs();
    const bootMs = this.#sources.bootMs();
    this.#pastMs = latestMs;
    this.#doubt = this.#judge(wallMs, bootMs, monotonicMs);
    if (this.#doubt === undefined) {
      const offsetMs = wallMs - bootMs;
      if (!isNear(offsetMs, this.#offsetMs)) {
        this.#formerOffsetMs = this.#offsetMs;
        this.#steadySinceMs = bootMs;
      }
      this.#offsetMs = offsetMs;
      this.#wasBelieved = true;
      this.#setTo = undefined;
    }
    const believedMs = this.#doubt === undefined ? wallMs : wallMs - this.#doubt.aheadMs;
    this.#looked = { wallMs, monotonicMs, believedMs };
  }

  #lookQuickly(): void {
    const passedMs = this.#sources.monotonicMs() - this.#looked.monotonicMs;
    const wallPassedMs = this.#sources.wallMs() - this.#looked.wallMs;
    if (Math.abs(wallPassedMs - passedMs) > QUICK_LOOK_MS) this.look();
  }

  #judge(wallMs: number, bootMs: number, monotonicMs: number): ClockDoubt | undefined {
    const offsetMs = wallMs - bootMs;
    const peers = this.#peers(wallMs, monotonicMs);
    const alike = peers.filter(({ aheadMs }) => Math.abs(aheadMs) <= MAX_AHEAD_MS);
    const unlike = peers.filter((peer) => !alike.includes(peer) && !peer.isDoubted);
    const isVouchedFor = unlike.length === 0 && alike.some(({ isDoubted }) => !isDoubted);
    const behindMs = this.#pastMs - wallMs;
    if (!isNear(offsetMs, this.#offsetMs)) {
      const isRight =
        isVouchedFor || (unlike.length === 0 && this.#isLikely(offsetMs, bootMs, behindMs, alike));
      return isRight ? undefined : jumped(offsetMs - this.#offsetMs);
    }
    if (!this.#wasBelieved && behindMs > MAX_AHEAD_MS) return isVouchedFor ? undefined : behindPast(behindMs);
    if (this.#acceptedOffsetMs !== undefined) {
      if (isNear(offsetMs, this.#acceptedOffsetMs)) return undefined;
      this.#acceptedOffsetMs = undefined;
    }
    return this.#outvotedBy(alike.length + 1, unlike, bootMs);
  }

  /** Of a clock that was set, and that no other tracker says anything of which is not in doubt itself. */
  #isLikely(offsetMs: number, bootMs: number, behindMs: number, alike: readonly PeerClock[]): boolean {
    if (this.#setTo === undefined || !isNear(this.#setTo.offsetMs, offsetMs)) {
      this.#setTo = { offsetMs, sinceMs: bootMs };
    }
    if (this.#formerOffsetMs !== undefined && isNear(offsetMs, this.#formerOffsetMs)) return true;
    const setForMs = bootMs - this.#setTo.sinceMs;
    return behindMs <= MAX_AHEAD_MS && setForMs >= (alike.length > 0 ? CONFIRM_MS : ALONE_MS);
  }

  /** More trackers agree on another time than on the one here; or as many, and theirs is the more likely. */
  #outvotedBy(votes: number, unlike: readonly PeerClock[], bootMs: number): ClockDoubt | undefined {
    for (const peer of unlike) {
      const others = unlike.filter(({ aheadMs }) => Math.abs(aheadMs - peer.aheadMs) <= MAX_AHEAD_MS).length;
      const mayYield = others === votes && yieldsTo(peer, bootMs - this.#steadySinceMs);
      if (others > votes || mayYield) return unlikePeers(peer);
    }
    return undefined;
  }

  #peers(wallMs: number, monotonicMs: number): PeerClock[] {
    const peers: PeerClock[] = [];
    for (const [name, { reading, heardAtMs }] of this.#heard) {
      const ageMs = monotonicMs - heardAtMs;
      if (ageMs > READING_LIFETIME_MS) this.#heard.delete(name);
      else {
        const { nowMs, isDoubted, steadyForMs } = reading;
        peers.push({ name, aheadMs: wallMs - (nowMs + ageMs), isDoubted, steadyForMs });
      }
    }
    return peers;
  }
}

interface PeerClock {
  readonly name: string;
  /** How far this machine's wall clock is ahead of that tracker's. */
  readonly aheadMs: number;
  readonly isDoubted: boolean;
  readonly steadyForMs: number;
}

function isNear(offsetMs: number, otherMs: number): boolean {
  return Math.abs(offsetMs - otherMs) <= MAX_STEP_MS;
}

/** Of two that differ, and nobody else to ask: which one is more likely to be wrong. Both ends decide alike. */
function yieldsTo(other: PeerClock, steadyForMs: number): boolean {
  const steadierByMs = steadyForMs - other.steadyForMs;
  return Math.abs(steadierByMs) > STEADIER_MS ? steadierByMs < 0 : other.aheadMs > 0;
}

function jumped(aheadMs: number): ClockDoubt {
  const sentence = `this machine's clock was set ${formatClockDifference(aheadMs)} ${aheadMs > 0 ? "ahead" : "back"} while the tracker ran: set the clock, and the tracker resumes by itself; if the clock is right now, type accept_clock`;
  return { why: "jumped", aheadMs, sentence };
}

function behindPast(behindMs: number): ClockDoubt {
  const sentence = `this machine's clock is ${formatClockDifference(behindMs)} behind the tracker's last write: set the clock, and the tracker resumes by itself; if the clock is right and was ahead before, type accept_clock`;
  return { why: "behind its past", aheadMs: -behindMs, sentence };
}

function unlikePeers({ name, aheadMs }: PeerClock): ClockDoubt {
  const sentence = `this machine's clock is ${formatClockDifference(aheadMs)} ${aheadMs > 0 ? "ahead of" : "behind"} that of tracker ${name}: set the wrong one, and the tracker resumes by itself; if this one is right, type accept_clock`;
  return { why: "unlike other trackers", aheadMs, sentence };
}
