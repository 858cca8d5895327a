/**
 * Shifts the weights that meet in one output so that they add up to one: a flat picture stays flat. Patches from which the
 * mean was taken tell that only roughly. `plane` is kernel × kernel.
 */
export function keepFlat(plane: Float32Array, kernel: number, stride: number): Float32Array {
  const phaseOf = (i: number): number => (Math.floor(i / kernel) % stride) * stride + ((i % kernel) % stride);
  const phases = Array.from({ length: stride * stride }, (_, phase) => plane.filter((_, i) => phaseOf(i) === phase));
  const shifts = phases.map((weights) => (1 - weights.reduce((sum, weight) => sum + weight, 0)) / weights.length);
  return plane.map((weight, i) => weight + (shifts[phaseOf(i)] ?? NaN));
}
