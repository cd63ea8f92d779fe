// What a device shows a group's members and checks them by: its certificate, its key, the group's authority. TLS 1.3
// only, and no certificate counts but the authority's.
import { constants } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { MiniTorrentError } from "../api/errors.ts";
import { TLS_SIGNATURES } from "../identity/certificates.ts";

/** AES-128-GCM first: with AES instructions it is the fastest, and enough. */
const CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/** Options of every TLS end here. Without tickets a session cannot be resumed: each connection shows certificates. */
export const TLS_OPTIONS = {
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  ciphers: CIPHERS,
  sigalgs: TLS_SIGNATURES,
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;

/** One device's standing in one group. A renewed certificate is a new object; `isRevoked` answers as of now. */
export interface GroupCredentials {
  readonly certificatePem: string;
  /** PKCS #8. */
  readonly privateKeyPem: string;
  /** The group's CA. */
  readonly authorityPem: string;
  /** Opens the names in members' certificates (identity/member-names.ts). */
  readonly namesKey: string;
  isRevoked(membershipId: string): boolean;
}

const secureContexts = new WeakMap<GroupCredentials, SecureContext>();

/**
 * The TLS context of those credentials, made once.
 *
 * @throws MiniTorrentError INTERNAL when certificate, key and CA are not what they should be
 */
export function secureContextOf(credentials: GroupCredentials): SecureContext {
  const known = secureContexts.get(credentials);
  if (known !== undefined) return known;
  const context = createContext(credentials);
  secureContexts.set(credentials, context);
  return context;
}

function createContext({ certificatePem, privateKeyPem, authorityPem }: GroupCredentials): SecureContext {
  try {
    return createSecureContext({
      ...TLS_OPTIONS,
      cert: certificatePem,
      key: privateKeyPem,
      ca: authorityPem,
    });
  } catch (error) {
    throw new MiniTorrentError("INTERNAL", "The group's certificate cannot be used.", { cause: error });
  }
}
