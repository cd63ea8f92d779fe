// Hosts of our own on one machine: network namespaces on a bridge, each with its address. Needs root and iproute2.
import { execFileSync } from "node:child_process";

/** Documentation networks (RFC 5737): never anybody's real ones. */
const SUBNET = "192.0.2";
/** What a limited link sends at once: one GSO packet of the kernel's. */
const BURST_BYTES = 64 * 1024;
/** What waits at a limited link before it drops: as much as home routers and switches hold. */
const QUEUE_MS = 50;

/** The back door: how an observer reaches hosts that are cut off from each other. */
const BACK_SUBNET = "198.51.100";
const OBSERVER_NUMBER = 254;
/** Between a host's first address and its next. */
const READDRESSED_OFFSET = 100;

export class Network implements Disposable {
  readonly name: string;
  readonly #hosts: string[] = [];

  /** @param name at most 8 characters, unlike that of any other network now */
  constructor(name: string) {
    this.name = name;
    ip("netns", "add", name);
    inNamespace(name, "ip", "link", "add", "bridge", "type", "bridge");
    inNamespace(name, "ip", "link", "set", "bridge", "up");
  }

  /** Another host. Returns its address, and the words that run a command there. */
  host(): { address: string; prefix: string[] } {
    const number = this.#hosts.length + 1;
    const namespace = `${this.name}-${number}`;
    ip("netns", "add", namespace);
    this.#hosts.push(namespace);
    const address = `${SUBNET}.${number}`;
    this.#join(namespace, "eth0", `port${number}`, "bridge", address);
    inNamespace(namespace, "ip", "link", "set", "lo", "up");
    return { address, prefix: ["ip", "netns", "exec", namespace] };
  }

  /** Limits what the host with that number, from 1, sends and receives, Ethernet's headers included (tc-tbf(8)). */
  limit(number: number, sendMegabits: number, receiveMegabits: number): void {
    const shape = (namespace: string, device: string, megabits: number) =>
      inNamespace(
        namespace,
        ...["tc", "qdisc", "replace", "dev", device, "root", "tbf", "rate", `${megabits}mbit`],
        ...["burst", String(BURST_BYTES), "latency", `${QUEUE_MS}ms`],
      );
    shape(this.#hosts[number - 1] ?? "", "eth0", sendMegabits);
    shape(this.name, `port${number}`, receiveMegabits);
  }

  /** Gives the host with that number, from 1, another address in place of its own, as a network that it moves to does. */
  readdress(number: number): string {
    const namespace = this.#hosts[number - 1] ?? "";
    const address = `${SUBNET}.${number + READDRESSED_OFFSET}`;
    inNamespace(namespace, "ip", "addr", "del", `${SUBNET}.${number}/24`, "dev", "eth0");
    inNamespace(namespace, "ip", "addr", "add", `${address}/24`, "dev", "eth0");
    return address;
  }

  /** Pulls the cable of the host with that number, from 1: nothing gets in or out, and nobody is told. */
  cut(number: number): void {
    inNamespace(this.name, "ip", "link", "set", `port${number}`, "down");
  }

  mend(number: number): void {
    inNamespace(this.name, "ip", "link", "set", `port${number}`, "up");
  }

  /** A host that reaches all hosts there are by now at their addresses, also those that are cut off. */
  observer(): { prefix: string[] } {
    const namespace = `${this.name}-o`;
    inNamespace(this.name, "ip", "link", "add", "back", "type", "bridge");
    inNamespace(this.name, "ip", "link", "set", "back", "up");
    for (const [index, host] of this.#hosts.entries()) {
      this.#join(host, "eth1", `back${index + 1}`, "back", `${BACK_SUBNET}.${index + 1}`);
    }
    const hostCount = this.#hosts.length;
    ip("netns", "add", namespace);
    this.#hosts.push(namespace);
    this.#join(namespace, "eth1", "backo", "back", `${BACK_SUBNET}.${OBSERVER_NUMBER}`);
    inNamespace(namespace, "ip", "link", "set", "lo", "up");
    for (let number = 1; number <= hostCount; number++) {
      inNamespace(
        namespace,
        "ip",
        "route",
        "add",
        `${SUBNET}.${number}/32`,
        "via",
        `${BACK_SUBNET}.${number}`,
      );
    }
    return { prefix: ["ip", "netns", "exec", namespace] };
  }

  [Symbol.dispose](): void {
    for (const namespace of [...this.#hosts, this.name]) ip("netns", "del", namespace);
  }

  /** A cable from the host's interface to a port of a bridge. */
  #join(host: string, device: string, port: string, bridge: string, address: string): void {
    ip(
      ...["link", "add", device, "netns", host, "type", "veth"],
      ...["peer", "name", port, "netns", this.name],
    );
    inNamespace(this.name, "ip", "link", "set", port, "master", bridge, "up");
    inNamespace(host, "ip", "addr", "add", `${address}/24`, "dev", device);
    inNamespace(host, "ip", "link", "set", device, "up");
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}

function inNamespace(namespace: string, ...command: string[]): void {
  ip("netns", "exec", namespace, ...command);
}
