// Hosts of our own on one machine: network namespaces on a bridge, each with its address. Needs root and iproute2.
import { execFileSync } from "node:child_process";

/** A documentation network (RFC 5737): never anybody's real one. */
const SUBNET = "192.0.2";

export class Network implements Disposable {
  readonly #name: string;
  readonly #hosts: string[] = [];

  /** @param name at most 8 characters, unlike that of any other network now */
  constructor(name: string) {
    this.#name = name;
    ip("netns", "add", name);
    inNamespace(name, "ip", "link", "add", "bridge", "type", "bridge");
    inNamespace(name, "ip", "link", "set", "bridge", "up");
  }

  /** Another host. Returns its address, and the words that run a command there. */
  host(): { address: string; prefix: string[] } {
    const number = this.#hosts.length + 1;
    const namespace = `${this.#name}-${number}`;
    ip("netns", "add", namespace);
    this.#hosts.push(namespace);
    const address = `${SUBNET}.${number}`;
    ip(
      "link",
      "add",
      "eth0",
      "netns",
      namespace,
      "type",
      "veth",
      "peer",
      "name",
      `port${number}`,
      "netns",
      this.#name,
    );
    inNamespace(this.#name, "ip", "link", "set", `port${number}`, "master", "bridge", "up");
    inNamespace(namespace, "ip", "addr", "add", `${address}/24`, "dev", "eth0");
    inNamespace(namespace, "ip", "link", "set", "eth0", "up");
    inNamespace(namespace, "ip", "link", "set", "lo", "up");
    return { address, prefix: ["ip", "netns", "exec", namespace] };
  }

  [Symbol.dispose](): void {
    for (const namespace of [...this.#hosts, this.#name]) ip("netns", "del", namespace);
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}

function inNamespace(namespace: string, ...command: string[]): void {
  ip("netns", "exec", namespace, ...command);
}
