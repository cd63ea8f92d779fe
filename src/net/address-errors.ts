// Maps errors of the operating system and of DNS, when listening or dialling, to a sentence for people: what is wrong, whether
// the cause lies on this machine, and what to do.

import { isIP } from "node:net";
import { type Address, formatAddress } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { descriptorProblem } from "./descriptors.ts";
import { errnoOf } from "./errno.ts";

/** Why an address could not be reached. */
export interface DialProblem {
  /** Without the address, without a full stop. */
  readonly reason: string;
  /** This machine could not try: its network or settings are the cause, not the other end. */
  readonly isLocal: boolean;
}

/** The most informative error of a failure at several addresses: one from another machine, if there is one. */
export function tellingError(failure: Error): Error {
  if (!(failure instanceof AggregateError)) return failure;
  const errors = failure.errors.filter((error) => error instanceof Error);
  return errors.find((error) => dialProblem(error)?.isLocal === false) ?? errors[0] ?? failure;
}

/** Why a connection could not be made; undefined for an error of neither the operating system nor DNS. */
export function dialProblem(failure: unknown): DialProblem | undefined {
  const error = failure instanceof Error ? tellingError(failure) : failure;
  const code = errnoOf(error);
  const ofDescriptors = descriptorProblem(error);
  if (ofDescriptors !== undefined) return { reason: ofDescriptors, isLocal: true };
  const local = (reason: string): DialProblem => ({ reason: `${reason} (${code})`, isLocal: true });
  const remote = (reason: string): DialProblem => ({ reason: `${reason} (${code})`, isLocal: false });
  switch (code) {
    case "ECONNREFUSED":
      return remote("nothing listens there");
    case "ECONNRESET":
    case "EPIPE":
      return remote("it closed the connection");
    case "ETIMEDOUT":
      return remote("it did not answer in time");
    case "EHOSTUNREACH":
    case "EHOSTDOWN":
      return remote("no machine answers at that address");
    case "ENETUNREACH":
      return local("this machine has no route to that address; is its network up, and does it have IPv6?");
    case "ENETDOWN":
      return local("this machine's network is down");
    case "EAFNOSUPPORT":
    case "EPROTONOSUPPORT":
      return local("this machine does not support addresses of that kind");
    case "EADDRNOTAVAIL":
      return local("this machine has no address, or no free port, from which that address can be reached");
    case "EINVAL":
      return local("that address cannot be reached from the address that this program listens on");
    case "EACCES":
    case "EPERM":
      return local("this machine does not allow it; look at its firewall");
    case "ENOBUFS":
    case "ENOMEM":
      return local("this machine is out of memory for connections");
    case "ENOTFOUND":
    case "ENODATA":
      return local("there is no host of that name; check the name");
    case "EAI_AGAIN":
    case "ESERVFAIL":
      return local("the name cannot be looked up now; check this machine's DNS, or give the IP address");
    default:
      return undefined;
  }
}

/** Advice that depends on the program that listens; without a full stop. */
export interface ListenRemedies {
  /** Another program has the port. */
  readonly taken: string;
  /** The address is not this machine's. */
  readonly notOwn: string;
}

/** The error for an address that cannot be listened on. A MiniTorrentError is returned unchanged. */
export function listenError(
  error: unknown,
  address: Address,
  { taken, notOwn }: ListenRemedies,
): MiniTorrentError {
  if (error instanceof MiniTorrentError) return error;
  const where = formatAddress(address);
  const code = errnoOf(error);
  const unusable = (sentence: string): MiniTorrentError =>
    new MiniTorrentError("ADDRESS_UNUSABLE", sentence, { cause: error });
  switch (code) {
    case "EADDRINUSE":
      return new MiniTorrentError(
        "ADDRESS_IN_USE",
        `Another program listens on ${where} already; ${taken}.`,
        { cause: error },
      );
    case "EADDRNOTAVAIL":
      return unusable(`${where} is not an address of this machine (${code}); ${notOwn}.`);
    case "EINVAL":
    case "ENODEV":
      return unusable(
        `${where} cannot be listened on (${code}); a link-local address needs its zone, such as fe80::1%eth0.`,
      );
    case "EAFNOSUPPORT":
    case "EPROTONOSUPPORT":
      return unusable(
        `This machine does not support ${isIP(address.host) === 6 ? "IPv6" : "addresses of that kind"}, as in ${where} (${code}); give one of its other addresses.`,
      );
    case "ENOTFOUND":
    case "ENODATA":
      return unusable(
        `There is no host named ${address.host} (${code}); check the name, or give an IP address of this machine.`,
      );
    case "EAI_AGAIN":
    case "ESERVFAIL":
      return unusable(
        `The name ${address.host} cannot be looked up now (${code}); give an IP address of this machine, or check its DNS.`,
      );
    case "EACCES":
    case "EPERM":
      return unusable(`This user may not listen on ${where} (${code}); take a port from 1024 up.`);
    default:
      return unusable(
        `${where} cannot be listened on: ${descriptorProblem(error) ?? `${error instanceof Error ? error.message : String(error)}; try another address or port`}.`,
      );
  }
}
