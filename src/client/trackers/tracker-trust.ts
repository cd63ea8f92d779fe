// Which trackers' keys this client accepts. The first key is trusted on first contact, with a notice to the user. A later
// unknown key is accepted only if a trusted tracker vouches for it or a line of tracker_info.txt pins it. Otherwise an
// impostor of a tracker that was never dialled would get the password.
import { canonicalHost, formatAddress, type TrackerAddress } from "../../api/addresses.ts";
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

  /**
   * Somebody who invites this client says that these are the trackers. Their keys are trusted as those of a first contact, which
   * comes later then and is no blind one; a client that trusts a tracker already learns nothing from them.
   *
   * @throws MiniTorrentError OTHER_TRACKERS if none of them is one of this client's; TRACKER_KEY_CHANGED if one is known by another key
   */
  introduce(introduced: readonly TrackerAddress[]): void {
    const { trackers, pins } = this.#options;
    const trusted = this.#trustedKeys();
    const keyAt = new Map(introduced.map((tracker) => [canonicalAddress(tracker), tracker.fingerprint]));
    const common = trackers.filter((tracker) => keyAt.has(canonicalAddress(tracker)));
    const hasCommonKey = introduced.some(
      ({ fingerprint }) => fingerprint !== undefined && trusted.has(fingerprint),
    );
    if (common.length === 0 && !hasCommonKey) {
      const names = (list: readonly TrackerAddress[]) => list.map(formatAddress).join(", ");
      throw new MiniTorrentError(
        "OTHER_TRACKERS",
        `The invite is for the trackers ${names(introduced)}, and this client uses ${names(trackers)}: join from a client of those trackers, ` +
          "or log out and set them with: minitorrent trackers set <invite>",
      );
    }
    for (const tracker of common) {
      const address = formatAddress(tracker);
      const told = keyAt.get(canonicalAddress(tracker));
      const known = tracker.fingerprint?.toLowerCase() ?? pins.get(address);
      if (told === undefined || told === known) continue;
      if (known !== undefined) {
        throw new MiniTorrentError(
          "TRACKER_KEY_CHANGED",
          `The invite says that the tracker at ${address} has the key sha256:${told}, and this client knows it by sha256:${known}: ` +
            "it is another tracker, or somebody may be impersonating it. Compare both with the fingerprint that the tracker prints.",
        );
      }
      if (trusted.size === 0) pins.check(address, told);
    }
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

function canonicalAddress({ host, port }: TrackerAddress): string {
  return formatAddress({ host: canonicalHost(host), port });
}
