// Who of the leechers asks the seeder for which pieces first. Each sorts the device ids of those it knows, itself
// among them, and takes the runs whose mixed number falls to its rank: everybody who knows the same swarm comes to the
// same division without a word, so a seeder that is alone sends different pieces to different leechers. It is a
// preference inside one rarity only: who has nothing of his own left takes anything.

export class ShareOut {
  readonly #ownDeviceId: string | undefined;
  readonly #otherDeviceIds: string[] = [];
  #rank = 0;

  /** @param ownDeviceId undefined: no division, everything falls to us equally */
  constructor(ownDeviceId: string | undefined) {
    this.#ownDeviceId = ownDeviceId;
  }

  leecherCame(deviceId: string): void {
    this.#otherDeviceIds.push(deviceId);
    this.#rankAgain();
  }

  leecherLeft(deviceId: string): void {
    const place = this.#otherDeviceIds.indexOf(deviceId);
    if (place >= 0) this.#otherDeviceIds.splice(place, 1);
    this.#rankAgain();
  }

  isOurs(runIndex: number): boolean {
    if (this.#ownDeviceId === undefined) return true;
    return mix(runIndex) % (this.#otherDeviceIds.length + 1) === this.#rank;
  }

  #rankAgain(): void {
    const own = this.#ownDeviceId;
    this.#rank = own === undefined ? 0 : this.#otherDeviceIds.filter((deviceId) => deviceId < own).length;
  }
}

/** Neighbours far apart: the finalizer of MurmurHash3. */
function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
