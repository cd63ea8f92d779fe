// Certificates that no program of ours makes, with OpenSSL's command line: other kinds of keys, other curves, odd shapes.
// For tests of what happens to somebody who shows them.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface OddCertificate {
  readonly name: string;
  /** PKCS #8 or the kind's own, PEM. */
  readonly key: string;
  readonly cert: string;
  /** Its key is P-256: what is odd is something else. */
  readonly isP256: boolean;
}

/** `openssl genpkey` arguments of each kind of key. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    ["secp256k1", "secp384r1", "secp521r1", "secp224r1", "brainpoolP256r1", "brainpoolP384r1"].map(
      (curve) => [curve, ["-algorithm", "EC", "-pkeyopt", `ec_paramgen_curve:${curve}`]],
    ),
  ),
  ...Object.fromEntries(
    ["brainpoolP512r1", "brainpoolP256t1", "sect283k1"].map((curve) => [
      curve,
      ["-algorithm", "EC", "-pkeyopt", `ec_paramgen_curve:${curve}`],
    ]),
  ),
  ed25519: ["-algorithm", "ED25519"],
  ed448: ["-algorithm", "ED448"],
  "rsa 1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
  "rsa 2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  "rsa 2047 with e 3": [
    ...["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2047"],
    ...["-pkeyopt", "rsa_keygen_pubexp:3"],
  ],
  // Of four primes: two of 2,048 bits take a second to find.
  "rsa 4096": [
    ...["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
    ...["-pkeyopt", "rsa_keygen_primes:4"],
  ],
  "rsa-pss": ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
};
const P256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

/** `openssl req -x509` arguments of each shape, with a key of P-256. */
const SHAPES: Readonly<Record<string, readonly string[]>> = {
  "no subject": ["-subj", "/"],
  "run out": ["-subj", "/CN=x", "-days", "-10"],
  "serial 0": ["-subj", "/CN=x", "-set_serial", "0"],
  "negative serial": ["-subj", "/CN=x", "-set_serial", "-7"],
  "serial of 40 bytes": ["-subj", "/CN=x", "-set_serial", `0x${"ab".repeat(40)}`],
  "60 KB of extension": ["-subj", "/CN=x", "-addext", `nsComment=${"x".repeat(60_000)}`],
  "a CA": ["-subj", "/CN=x", "-addext", "basicConstraints=critical,CA:TRUE"],
  "an unknown critical extension": ["-subj", "/CN=x", "-addext", "1.2.3.4=critical,DER:0500"],
  "a subject with control characters": ["-utf8", "-subj", "/CN=x\u001b[2J\u0007\u202e"],
  "SHA-512": ["-subj", "/CN=x", "-sha512"],
};

/** All of them; those that this machine's OpenSSL cannot make are left out. */
export function makeOddCertificates(): OddCertificate[] {
  const folder = mkdtempSync(join(tmpdir(), "odd-certificates-"));
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { stdio: "pipe", env: { ...process.env, OPENSSL_CONF: "/dev/null" } });
  };
  const made: OddCertificate[] = [];
  const attempt = (name: string, isP256: boolean, make: () => void): void => {
    try {
      make();
    } catch {
      return; // not with this OpenSSL
    }
    const [key, cert] = [readFileSync(file("key"), "utf8"), readFileSync(file("cert"), "utf8")];
    made.push({ name, key, cert, isP256 });
  };
  const request = (...args: readonly string[]): void =>
    openssl(
      "req",
      "-new",
      "-x509",
      "-config",
      file("config"),
      "-key",
      file("key"),
      "-out",
      file("cert"),
      ...args,
    );
  try {
    writeFileSync(file("config"), "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n");
    for (const [name, args] of Object.entries(KINDS)) {
      attempt(name, false, () => {
        openssl("genpkey", ...args, "-out", file("key"));
        request("-subj", "/CN=x", "-days", "10");
      });
    }
    attempt("dsa", false, () => {
      openssl(
        "genpkey",
        "-genparam",
        "-algorithm",
        "DSA",
        "-pkeyopt",
        "dsa_paramgen_bits:1024",
        "-out",
        file("dsa"),
      );
      openssl("genpkey", "-paramfile", file("dsa"), "-out", file("key"));
      request("-subj", "/CN=x", "-days", "10");
    });
    attempt("P-256 with explicit parameters", true, () => {
      openssl("genpkey", ...P256, "-pkeyopt", "ec_param_enc:explicit", "-out", file("key"));
      request("-subj", "/CN=x", "-days", "10");
    });
    openssl("genpkey", ...P256, "-out", file("ca"));
    openssl("genpkey", ...P256, "-out", file("key"));
    for (const [name, args] of Object.entries(SHAPES)) attempt(name, true, () => request(...args));
    const signed = (algorithm: string): void => {
      // A key that cannot sign a request itself: the certificate is another key's.
      openssl("genpkey", "-algorithm", algorithm, "-out", file("key"));
      openssl("pkey", "-in", file("key"), "-pubout", "-out", file("public"));
      openssl(
        "req",
        "-new",
        "-config",
        file("config"),
        "-key",
        file("ca"),
        "-subj",
        "/CN=x",
        "-out",
        file("csr"),
      );
      const forced = ["-force_pubkey", file("public"), "-signkey", file("ca")];
      openssl("x509", "-req", "-in", file("csr"), ...forced, "-days", "10", "-out", file("cert"));
    };
    attempt("x25519", false, () => signed("X25519"));
    attempt("x448", false, () => signed("X448"));
    attempt("version 1", true, () => {
      openssl("genpkey", ...P256, "-out", file("key"));
      openssl(
        "req",
        "-new",
        "-config",
        file("config"),
        "-key",
        file("key"),
        "-subj",
        "/CN=x",
        "-out",
        file("csr"),
      );
      openssl(
        "x509",
        "-req",
        "-in",
        file("csr"),
        "-signkey",
        file("key"),
        "-days",
        "10",
        "-out",
        file("cert"),
      );
    });
    return made;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
