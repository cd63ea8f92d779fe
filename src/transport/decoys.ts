// What a listener shows to who asks for a torrent that is not here: a certificate like a member's, of a group that there is
// not. So whoever has seen an info-hash on the wire, and asks for it, cannot tell from the answer whether it is here.
// The same name is answered with the same certificate for as long as a member's would be used.
import type { Logger } from "pino";
import { MEMBER_CERTIFICATE_LIFETIME_MS } from "../identity/certificate-lifetimes.ts";
import {
  createGroupAuthority,
  type DeviceIdentity,
  issueMemberCertificate,
} from "../identity/certificates.ts";
import type { GroupCredentials } from "./group-credentials.ts";

/** Made beforehand, so that the first answer to a name takes no longer than the second. */
const STOCK = 8;
/** A decoy costs about 2 ms of processor time: a flood of names gets no more than 20 a second. */
const PAUSE_MS = 50;
/** Names remembered, at about 4 KB each; who asks for more of them may notice that the first have changed. */
const MAX_REMEMBERED = 1024;

export type DecoyIdentity = Pick<DeviceIdentity, "privateKeyPem" | "publicKeySpki">;

interface Decoy {
  readonly credentials: GroupCredentials;
  readonly madeAtMs: number;
}

export class Decoys {
  readonly #identity: DecoyIdentity;
  readonly #log: Logger;
  readonly #byName = new Map<string, Decoy>();
  readonly #stock: Decoy[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param identity the device that this client's own certificates are for: they all have its key */
  constructor(identity: DecoyIdentity, log: Logger) {
    this.#identity = identity;
    this.#log = log;
    this.#fillSoon();
  }

  /** What is shown to who asks for that name. */
  async credentialsFor(name: string): Promise<GroupCredentials> {
    const known = this.#byName.get(name);
    if (known !== undefined && isFresh(known)) return known.credentials;
    const fresh = this.#fromStock();
    // Out of stock, in a flood of names: one that somebody else has been shown.
    const [shared] = fresh === undefined ? this.#byName.values() : [];
    const decoy = fresh ?? shared ?? (await this.#make());
    this.#byName.delete(name);
    this.#byName.set(name, decoy);
    for (const oldest of this.#byName.keys()) {
      if (this.#byName.size <= MAX_REMEMBERED) break;
      this.#byName.delete(oldest);
    }
    return decoy.credentials;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #fromStock(): Decoy | undefined {
    while (this.#stock.length > 0) {
      const decoy = this.#stock.pop();
      this.#fillSoon();
      if (decoy !== undefined && isFresh(decoy)) return decoy;
    }
    return undefined;
  }

  #fillSoon(): void {
    if (this.#isClosed || this.#timer !== undefined || this.#stock.length >= STOCK) return;
    this.#timer = setTimeout(() => {
      this.#make()
        .then((decoy) => this.#stock.push(decoy))
        .catch((error: unknown) => this.#log.error({ err: error }, "a decoy could not be made"))
        .finally(() => {
          this.#timer = undefined;
          this.#fillSoon();
        });
    }, PAUSE_MS).unref();
  }

  async #make(): Promise<Decoy> {
    const authority = await createGroupAuthority();
    const nowMs = Date.now();
    const { publicKeySpki, privateKeyPem } = this.#identity;
    const names = { userId: "nobody", membershipId: "none" };
    const { certificatePem } = await issueMemberCertificate({ authority, ...names, publicKeySpki, nowMs });
    const authorityPem = authority.certificatePem;
    return {
      credentials: { certificatePem, privateKeyPem, authorityPem, isRevoked: () => true },
      madeAtMs: nowMs,
    };
  }
}

/** A member's certificate is replaced at half time. */
function isFresh({ madeAtMs }: Decoy): boolean {
  return Date.now() - madeAtMs < MEMBER_CERTIFICATE_LIFETIME_MS / 2;
}
