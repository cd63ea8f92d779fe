// Decides whether this machine's wall clock can be trusted, by a monotonic clock, the other trackers' clocks and the newest
// stamp written here. While it cannot, nothing is written for clients, and the tracker's own writes are stamped with the time
// without the jump. It only decides; its callers act.
import { formatClockDifference } from "../../api/clock-difference.ts";
import { MAX_AHEAD_MS } from "./stamp.ts";

/** Trackers' and clients' clocks may be 10 minutes off, so a smaller correction, such as by NTP, is not a jump. */
const MAX_STEP_MS = 10 * 60 * 1000;
/** How long a reading of another tracker's clock counts; heartbeats come every second. */
const READING_LIFETIME_MS = 15_000;
/** A set clock is trusted after this time if another tracker that doubts its own clock has the same time: both were set. */
const CONFIRM_MS = 60_000;
/** And after this time if no other tracker is reachable: a wrong time that a person notices is corrected sooner. */
const ALONE_MS = 10 * 60 * 1000;
/** Of two differing clocks, the one that has been steady for longer is trusted, if it is longer by this much. */
const STEADIER_MS = 60_000;
/** Reported steadiness of a clock that the operator accepted: longer than any other. */
const STEADY_SINCE_EVER_MS = 100 * 365 * 24 * 60 * 60 * 1000;
/** Two readings that agree this closely exclude a jump; timer inaccuracy is far smaller. */
const QUICK_LOOK_MS = 1_000;

/** A tracker's report of its clock to another one. */
export interface ClockReading {
  /** Its wall clock, milliseconds since 1970. */
  readonly nowMs: number;
  /** True if it distrusts that clock itself. */
  readonly isDoubted: boolean;
  /** How long that clock has run without being set. */
  readonly steadyForMs: number;
}

/** Why the wall clock is distrusted. */
export interface ClockDoubt {
  readonly why: "jumped" | "behind its past" | "unlike other trackers";
  /** How far the wall clock seems to be ahead of the right time; negative: behind. */
  readonly aheadMs: number;
  /** For the operator, after "it cannot write: ": what is wrong and what to do. */
  readonly sentence: string;
}

export interface ClockSources {
  /** Milliseconds since 1970; may be set at any moment. */
  readonly wallMs: () => number;
  /** Monotonic; may stop while the machine sleeps. Read often. */
  readonly monotonicMs: () => number;
  /** Monotonic, and runs while the machine sleeps. Read seldom, since it may cost a system call or a file. */
  readonly bootMs: () => number;
}

interface HeardReading {
  readonly reading: ClockReading;
  readonly heardAtMs: number;
}

export class ClockGuard {
  readonly #sources: ClockSources;
  readonly #heard = new Map<string, HeardReading>();
  /** Wall clock minus boot clock when it was last trusted. */
  #offsetMs: number;
  /** The offset before a set clock was trusted, which may have been wrong and may be set back. */
  #formerOffsetMs: number | undefined;
  /** Boot clock when the wall clock was last accepted as it is. */
  #steadySinceMs: number;
  /** A distrusted wall clock: its offset, and since when it has had it. */
  #setTo: { readonly offsetMs: number; readonly sinceMs: number } | undefined;
  /** The newest stamp made here, in milliseconds since 1970. */
  #pastMs = 0;
  /** The clock was trusted at some time since the start: if it is behind the last stamp now, it was set since. */
  #wasBelieved = false;
  #doubt: ClockDoubt | undefined;
  /** The offset of a clock that the operator accepted; the other trackers yield to it. */
  #acceptedOffsetMs: number | undefined;
  /** The clocks at the last comparison. */
  #looked: { readonly wallMs: number; readonly monotonicMs: number; readonly believedMs: number };

  constructor(sources: ClockSources) {
    this.#sources = sources;
    const wallMs = sources.wallMs();
    const bootMs = sources.bootMs();
    this.#offsetMs = wallMs - bootMs;
    this.#steadySinceMs = bootMs;
    this.#looked = { wallMs, monotonicMs: sources.monotonicMs(), believedMs: wallMs };
  }

  /** The time for stamps and certificates: the wall clock's, or the one without the jump. Milliseconds since 1970. */
  nowMs(): number {
    this.#lookQuickly();
    if (this.#doubt === undefined) return this.#sources.wallMs();
    return this.#looked.believedMs + (this.#sources.monotonicMs() - this.#looked.monotonicMs);
  }

  /** Why nothing may be written now; undefined while the clock is trusted. */
  get doubt(): ClockDoubt | undefined {
    this.#lookQuickly();
    return this.#doubt;
  }

  /** The report for the other trackers. */
  reading(): ClockReading {
    const isDoubted = this.doubt !== undefined;
    const steadyForMs = this.#sources.bootMs() - this.#steadySinceMs;
    return { isDoubted, nowMs: this.#sources.wallMs(), steadyForMs: Math.max(0, steadyForMs) };
  }

  heard(tracker: string, reading: ClockReading): void {
    this.#heard.set(tracker, { reading, heardAtMs: this.#sources.monotonicMs() });
    this.look();
  }

  /** The operator confirms that the wall clock is right now. */
  accept(): void {
    const bootMs = this.#sources.bootMs();
    this.#offsetMs = this.#sources.wallMs() - bootMs;
    this.#acceptedOffsetMs = this.#offsetMs;
    this.#steadySinceMs = bootMs - STEADY_SINCE_EVER_MS;
    this.#wasBelieved = true;
    this.look();
  }

  /**
   * Compares the clocks. Call it every second.
   *
   * @param latestMs the newest stamp made here, in this run or an earlier one: a clock far behind it is wrong, or
   * was wrong when it was made
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

  /** For a set clock without a reachable tracker that trusts its own clock. */
  #isLikely(offsetMs: number, bootMs: number, behindMs: number, alike: readonly PeerClock[]): boolean {
    if (this.#setTo === undefined || !isNear(this.#setTo.offsetMs, offsetMs)) {
      this.#setTo = { offsetMs, sinceMs: bootMs };
    }
    if (this.#formerOffsetMs !== undefined && isNear(offsetMs, this.#formerOffsetMs)) return true;
    const setForMs = bootMs - this.#setTo.sinceMs;
    return behindMs <= MAX_AHEAD_MS && setForMs >= (alike.length > 0 ? CONFIRM_MS : ALONE_MS);
  }

  /** True if more trackers agree on another time than on this one, or as many and theirs is more likely right. */
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
  /** This machine's wall clock minus that tracker's. */
  readonly aheadMs: number;
  readonly isDoubted: boolean;
  readonly steadyForMs: number;
}

function isNear(offsetMs: number, otherMs: number): boolean {
  return Math.abs(offsetMs - otherMs) <= MAX_STEP_MS;
}

/** Whether this clock, of two that differ, is the one more likely wrong. Both trackers come to the same result. */
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
