// What a process has cost so far, as Linux counts it: processor time of all its threads, and its memory at the most.
import { readdirSync, readFileSync } from "node:fs";

/** Linux reports processor time in these (USER_HZ). */
const TICKS_PER_SECOND = 100;

/** User and system time (proc(5): fields 14 and 15 of stat; the second field may hold blanks). */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Time that its threads have run, to the nanosecond (schedstat): a process that wakes for moments seldom meets the clock's tick. */
export function runSecondsOf(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanoseconds / 1e9;
}

/** The most that was resident at a time (VmHWM), in bytes. */
export function peakBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/** What is resident now (VmRSS), in bytes. */
export function residentBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/** What the whole machine has worked since it started (proc(5): all of stat's first line but idle and iowait). */
export function machineCpuSeconds(): number {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .split(/ +/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

/** Processor time that each of them takes while the work is done. */
export async function cpuSecondsDuring(
  pids: readonly number[],
  work: () => Promise<void>,
): Promise<number[]> {
  const before = pids.map(cpuSecondsOf);
  await work();
  return pids.map((pid, index) => cpuSecondsOf(pid) - (before[index] ?? 0));
}

/** How long the work takes. */
export async function secondsOf(work: () => unknown): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}
