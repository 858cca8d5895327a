/**
 * The index arithmetic of a transposed convolution along one axis; two dimensions are the product of two axes.
 *
 * An output o collects the inputs i and taps k with i·s − p + k·d = o. For outputs of one residue, o = s·m + r with
 * 0 ≤ r < s, these are k = k₀ + s′·j and i = m + i₀ − j·d′ for j = 0 … J − 1, where s′ = s/g, d′ = d/g, g = gcd(s, d):
 *
 *     y[s·m + r] = Σ_{j<J} x[m + i₀ − j·d′] · w[k₀ + s′·j],    x = 0 outside.
 *
 * J, k₀ and i₀ depend on r alone, and they are all that a kernel needs to know: padding, output padding, cropping and
 * an explicit size change them and the number of outputs, nothing else.
 */

import { ConvTranspose2dError } from './errors.ts';

/** A table of residues stays below 16 MiB. */
const MOST_RESIDUES = 2 ** 19;
/** The largest stride for one input. A prime, which seldom shares a factor with the dilation: some residues would get more taps then. */
const MOST_FOR_ONE = 251;

/** What one axis is asked to do. All in elements of that axis. */
export interface AxisParameters {
  readonly input: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Cropped before the first output; negative adds outputs before it. */
  readonly padding: number;
  readonly output: number;
}

/** The outputs s·m + residue. */
export interface Residue {
  /** J: how many taps reach them. 0 for an empty phase: only the bias. Taps that meet padding alone are left out. */
  readonly taps: number;
  /** k₀ */
  readonly firstTap: number;
  /** i₀ */
  readonly firstInput: number;
  /** How many m there are. */
  readonly positions: number;
}

export interface Axis {
  readonly input: number;
  readonly output: number;
  readonly kernel: number;
  /** s, or a smaller or larger number that means the same here: see `axisGeometry`. */
  readonly stride: number;
  /** s′ */
  readonly tapStep: number;
  /** d′ */
  readonly inputStep: number;
  /** One per residue below `stride`. */
  readonly residues: readonly Residue[];
}

/** Length of the full result: nothing cropped, nothing added. */
export function fullLength(input: number, kernel: number, stride: number, dilation: number): number {
  return (input - 1) * stride + dilation * (kernel - 1) + 1;
}

const modulo = (a: number, n: number): number => ((a % n) + n) % n;

export const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

export function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

/** The x in [0, n) with a·x ≡ 1 (mod n), for coprime a and n; 0 for n = 1. */
function inverse(a: number, n: number): number {
  let [r0, r1, x0, x1] = [n, modulo(a, n), 0, 1];
  while (r1 !== 0) {
    const q = Math.floor(r0 / r1);
    [r0, r1, x0, x1] = [r1, r0 - q * r1, x1, x0 - q * x1];
  }
  return modulo(x0, n);
}

/** The taps of phase f = (o + p) mod s: k₀ and J. */
function phaseTaps(f: number, { kernel, stride, dilation }: AxisParameters): { firstTap: number; taps: number } {
  const g = gcd(stride, dilation);
  if (f % g !== 0) return { firstTap: 0, taps: 0 };
  const tapStep = stride / g;
  // BigInt: the product may pass 2⁵³.
  const firstTap = Number((BigInt(f / g) * BigInt(inverse(dilation / g, tapStep))) % BigInt(tapStep));
  return { firstTap, taps: firstTap < kernel ? Math.ceil((kernel - firstTap) / tapStep) : 0 };
}

const tooManyPhases = (stride: number, output: number): ConvTranspose2dError =>
  new ConvTranspose2dError(
    'UNSUPPORTED',
    `stride ${stride}, with ${output} outputs on an axis, has over ${MOST_RESIDUES} phases there`,
  );

/**
 * The residues of an axis. The stride is replaced where another says the same with less work:
 * - one input: no stride can matter, and the kernel's whole extent leaves each output at most one tap. Beyond a bound, outputs
 *   rather visit taps in vain: the phases of two such axes would fill the memory;
 * - a stride of at least the output: every output is its own residue, and no further residues are needed.
 */
export function axisGeometry(asked: AxisParameters): Axis {
  const { input, kernel, dilation, padding, output } = asked;
  const extent = dilation * (kernel - 1) + 1;
  const stride = input === 1 ? Math.min(extent, MOST_FOR_ONE) : asked.stride;
  const axis = { ...asked, stride };
  const g = gcd(stride, dilation);
  if (Math.min(stride, output) > MOST_RESIDUES) throw tooManyPhases(stride, output);
  const [tapStep, inputStep] = [stride / g, dilation / g];
  const residues = Array.from({ length: Math.min(stride, output) }, (_, r): Residue => {
    const { firstTap, taps } = phaseTaps(modulo(r + padding, stride), axis);
    const firstInput = (r + padding - firstTap * dilation) / stride;
    const positions = Math.ceil((output - r) / stride);
    // Of all m + i₀ − j·d′, some are real.
    const begin = Math.max(0, Math.ceil((firstInput - input + 1) / inputStep));
    const end = Math.min(taps, Math.floor((firstInput + positions - 1) / inputStep) + 1);
    if (end <= begin) return { taps: 0, firstTap: 0, firstInput: 0, positions };
    return {
      taps: end - begin,
      firstTap: firstTap + begin * tapStep,
      firstInput: firstInput - begin * inputStep,
      positions,
    };
  });
  return { input, output, kernel, stride: Math.min(stride, output), tapStep, inputStep, residues };
}

/** Σ max(0, first − j·step) for j = 0 … count − 1. */
function ramp(first: number, step: number, count: number): number {
  const n = Math.min(count, Math.max(0, Math.ceil(first / step)));
  return n * first - (step * n * (n - 1)) / 2;
}

/** How many pairs of a tap and a real input there are along an axis: 0 ≤ m + i₀ − j·d′ < I. */
export function usefulTaps({ input, inputStep, residues }: Axis): number {
  return residues.reduce((sum, { taps, firstInput, positions }) => {
    // A tap left out has none; another misses what is before the first input and behind the last.
    const before = ramp((taps - 1) * inputStep - firstInput, inputStep, taps);
    const behind = ramp(firstInput + positions - input, inputStep, taps);
    return sum + taps * positions - before - behind;
  }, 0);
}

/** A phase along one axis, as the plan prints it. */
export interface AxisPhase {
  readonly phase: number;
  readonly taps: number;
  readonly positions: number;
}

/** Every phase that has outputs or taps, by (o + p) mod s of the stride asked for: they partition both. */
export function axisPhases(axis: AxisParameters): AxisPhase[] {
  const { kernel, stride, dilation, padding, output } = axis;
  // The taps' phases repeat after s/g of them.
  const tapPhases = Math.min(kernel, stride / gcd(stride, dilation));
  if (Math.max(Math.min(stride, output), tapPhases) > MOST_RESIDUES) throw tooManyPhases(stride, output);
  const phases = new Map<number, AxisPhase>();
  const add = (phase: number, positions: number): void => {
    if (!phases.has(phase)) phases.set(phase, { phase, taps: phaseTaps(phase, axis).taps, positions });
  };
  for (let r = 0; r < Math.min(stride, output); r++) add(modulo(r + padding, stride), Math.ceil((output - r) / stride));
  for (let k = 0; k < tapPhases; k++) add((k * dilation) % stride, 0);
  return [...phases.values()].sort((a, b) => a.phase - b.phase);
}
