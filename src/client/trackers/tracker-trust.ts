// Which trackers' keys this client accepts. The first key is trusted on first contact, with a notice to the user. A later
// unknown key is accepted only if a trusted tracker vouches for it or a line of tracker_info.txt pins it. Otherwise an
// impostor of a tracker that was never dialled would get the password.
import { formatAddress, type TrackerAddress } from "../../api/addresses.ts";
import { MiniTorrentError } from "../../api/errors.ts";
import type { PinStore } from "../../identity/pins.ts";

export interface TrackerTrustOptions {
  readonly trackers: readonly TrackerAddress[];
  readonly pins: PinStore;
  /** A tracker's key was trusted on first contact. */
  readonly onFirstTrust: (tracker: string, fingerprint: string) => void;
}

export class TrackerTrust {
  readonly #options: TrackerTrustOptions;

  constructor(options: TrackerTrustOptions) {
    this.#options = options;
  }

  /**
   * Called before a byte is sent to a tracker. Records nothing: a tracker that then proves unusable must not
   * become the one that vouches for the others.
   *
   * @param fingerprint SHA-256 of its certificate, 64 hex digits
   * @throws MiniTorrentError TRACKER_KEY_CHANGED, TRACKER_KEY_UNKNOWN
   */
  check(tracker: TrackerAddress, fingerprint: string): void {
    const { pins } = this.#options;
    const address = formatAddress(tracker);
    if (tracker.fingerprint !== undefined || pins.get(address) !== undefined) {
      pins.check(address, fingerprint, tracker.fingerprint);
      return;
    }
    const trusted = this.#trustedKeys();
    if (trusted.size === 0 || trusted.has(fingerprint)) return;
    if (pins.vouchersOf(fingerprint).some((voucher) => trusted.has(voucher))) return;
    throw new MiniTorrentError(
      "TRACKER_KEY_UNKNOWN",
      `The tracker at ${address} shows the key sha256:${fingerprint}, which this client has never seen, and no tracker ` +
        "that it trusts has vouched for it; somebody may be impersonating the tracker. Compare it with the fingerprint that the tracker prints; " +
        `if they match, add 'sha256:${fingerprint}' to its line in tracker_info.txt.`,
    );
  }

  /**
   * Pins the key of a tracker that is now in use.
   *
   * @throws MiniTorrentError TRACKER_KEY_CHANGED, TRACKER_KEY_UNKNOWN
   */
  accept(tracker: TrackerAddress, fingerprint: string): void {
    this.check(tracker, fingerprint);
    const isFirst = this.#trustedKeys().size === 0;
    const address = formatAddress(tracker);
    this.#options.pins.check(address, fingerprint, tracker.fingerprint);
    if (isFirst) this.#options.onFirstTrust(address, fingerprint);
  }

  /** The tracker with the key `voucher` has seen these keys at the addresses of its tracker_info.txt. */
  vouchedFor(voucher: string, fingerprints: readonly string[]): void {
    if (this.#trustedKeys().has(voucher)) this.#options.pins.vouchedFor(voucher, fingerprints);
  }

  #trustedKeys(): Set<string> {
    const { trackers, pins } = this.#options;
    const keys = trackers.map(
      (tracker) => tracker.fingerprint?.toLowerCase() ?? pins.get(formatAddress(tracker)),
    );
    return new Set(keys.filter((key) => key !== undefined));
  }
}
