/**
 * Milliseconds of processor time so far, of the process that compiles shaders: Chromium's GPU process, or this one in Node
 * and Deno. Firefox does not say, so there it is the time of the clock.
 */
export async function compilerTime(): Promise<number> {
  if (!('document' in globalThis)) {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  }
  if (navigator.userAgent.includes('Firefox')) return performance.now();
  const { commands } = await import('vitest/browser');
  return commands.gpuProcessorTime();
}
