/** Time that other programs on the machine do not lengthen. */

/** Processor time of this process, all threads, in milliseconds. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
