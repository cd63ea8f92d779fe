// A device's credentials in a group, as a TLS context: its certificate and key, and the group's CA. TLS 1.3 only; no other CA
// is trusted.
import { constants } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { MiniTorrentError } from "../api/errors.ts";
import { TLS_SIGNATURES } from "../identity/certificates.ts";

/** AES-128-GCM first: it is the fastest on processors with AES instructions, and strong enough. */
const CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/** TLS options of both ends. Without tickets no session is resumed, so each connection presents certificates. */
export const TLS_OPTIONS = {
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  ciphers: CIPHERS,
  sigalgs: TLS_SIGNATURES,
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;

/** A renewed certificate is a new object; `isRevoked` gives the current answer. */
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
 * The TLS context of those credentials; cached.
 *
 * @throws MiniTorrentError INTERNAL if OpenSSL does not accept certificate, key and CA
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
