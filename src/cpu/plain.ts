/** The CPU path in plain TypeScript: for engines without WebAssembly SIMD, and weights that are not finite. */
import type { Axis } from '../geometry.ts';
import type { Problem } from '../problem.ts';
import type { Spec } from '../options.ts';
import { weightStrides } from '../layouts.ts';

/** 0.7978845608 = √(2/π) */
const activations: Record<Spec['activation'], (v: number, slope: number) => number> = {
  none: (v) => v,
  relu: (v) => (v < 0 ? 0 : v),
  relu6: (v) => (v < 0 ? 0 : v > 6 ? 6 : v),
  'leaky-relu': (v, slope) => (v < 0 ? v * slope : v),
  sigmoid: (v) => 1 / (1 + Math.exp(-v)),
  tanh: (v) => Math.tanh(v),
  gelu: (v) => 0.5 * v * (1 + Math.tanh(0.7978845608028654 * (v + 0.044715 * v * v * v))),
  silu: (v) => v / (1 + Math.exp(-v)),
};

/** The columns of one output row: for each residue and tap, the outputs m whose input m + shift is real. */
interface Run {
  readonly tap: number;
  /** First output column of the run, then every `stride`-th. */
  readonly output: number;
  /** First input column, then every one. */
  readonly input: number;
  readonly count: number;
}

function columnRuns({ residues, inputStep, tapStep, stride, input }: Axis): Run[] {
  return residues.flatMap(({ taps, firstTap, firstInput, positions }, r) =>
    Array.from({ length: taps }, (_, j) => {
      const shift = firstInput - j * inputStep;
      const from = Math.max(0, -shift);
      const to = Math.min(positions, input - shift);
      return { tap: firstTap + tapStep * j, output: stride * from + r, input: from + shift, count: to - from };
    }).filter(({ count }) => count > 0),
  );
}

/**
 * Computes a problem's outputs, a row at a time; yields after each, so that the caller can breathe or stop. Sums are
 * float64. `weight` is in the spec's weight layout.
 */
export function* runPlain(
  problem: Problem,
  spec: Spec,
  input: Float32Array,
  weight: Float32Array,
  bias: Float32Array,
  output: Float32Array,
): Generator<void, void> {
  const { rows, columns, inChannels, outChannels, input: from, output: to } = problem;
  const activate = activations[spec.activation];
  const runs = columnRuns(columns);
  const sums = new Float64Array(columns.output);
  const { i, o: perOutput, h, w: perColumn } = weightStrides(spec);
  for (let n = 0; n < problem.batch; n++) {
    for (let g = 0; g < problem.groups; g++) {
      for (let c = 0; c < outChannels; c++) {
        for (let y = 0; y < rows.output; y++) {
          sums.fill(bias[g * outChannels + c]!);
          const { taps, firstTap, firstInput } = rows.residues[y % rows.stride]!;
          for (let j = 0; j < taps; j++) {
            const at = Math.floor(y / rows.stride) + firstInput - j * rows.inputStep;
            if (at < 0 || at >= rows.input) continue;
            const tapRow = (firstTap + rows.tapStep * j) * h + c * perOutput;
            for (let q = 0; q < inChannels; q++) {
              const image = n * from.batch + g * from.group + q * from.channel + at * from.row;
              for (const run of runs) {
                const w = weight[(g * inChannels + q) * i + tapRow + run.tap * perColumn]!;
                let x = image + run.input * from.column;
                let o = run.output;
                for (let m = 0; m < run.count; m++) {
                  sums[o]! += input[x]! * w;
                  x += from.column;
                  o += columns.stride;
                }
              }
            }
          }
          let o = n * to.batch + g * to.group + c * to.channel + y * to.row;
          for (let x = 0; x < columns.output; x++) {
            output[o] = activate(sums[x]!, spec.negativeSlope);
            o += to.column;
          }
          yield;
        }
      }
    }
  }
}
