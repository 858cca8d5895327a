/** The bytes of the shaders' `Params` and residue tables. */
import type { Axis } from '../geometry.ts';
import type { Problem } from '../problem.ts';

/** The fields of a kernel's `struct Params`, in order, with the number of their components. */
const FIELDS = [
  ['input_stride', 4],
  ['output_stride', 4],
  ['input_size', 2],
  ['output_size', 2],
  ['stride', 2],
  ['tap_step', 2],
  ['input_step', 2],
  ['batch', 1],
  ['groups', 1],
  ['in_channels', 1],
  ['out_channels', 1],
  ['input_group', 1],
  ['output_group', 1],
  ['weight_group', 1],
  ['weight_tap', 1],
  ['weight_channel', 1],
  ['bias_group', 1],
  ['input_base', 1],
  ['output_base', 1],
  ['weight_base', 1],
  ['bias_base', 1],
  ['kernel_width', 1],
  ['negative_slope', 1],
] as const;
export type ParamName = (typeof FIELDS)[number][0];

/** Offset in bytes of each field: vectors lie on their own size, as WGSL lays out a struct. */
export const paramOffsets: Readonly<Record<ParamName, number>> = /* @__PURE__ */ (() => {
  let next = 0;
  const offsets: Partial<Record<ParamName, number>> = {};
  for (const [name, components] of FIELDS) {
    const align = 4 * components;
    offsets[name] = Math.ceil(next / align) * align;
    next = offsets[name] + align;
  }
  return offsets as Record<ParamName, number>;
})();

/** Bytes of the struct, a multiple of its alignment. */
export const PARAMS_SIZE: number = /* @__PURE__ */ (() => Math.ceil((paramOffsets.negative_slope + 4) / 16) * 16)();

const RESIDUE_WORDS = 5;

export const residuesSize = ({ rows, columns }: Problem): number =>
  4 * RESIDUE_WORDS * (rows.residues.length + columns.residues.length);

/** Writes a problem's Params. */
export function writeParams(view: DataView, problem: Problem, negativeSlope: number): void {
  const { rows, columns, input, output, weight, bias } = problem;
  const values: Record<Exclude<ParamName, 'negative_slope'>, readonly number[]> = {
    input_stride: [input.batch, input.channel, input.row, input.column],
    output_stride: [output.batch, output.channel, output.row, output.column],
    input_size: [rows.input, columns.input],
    output_size: [rows.output, columns.output],
    stride: [rows.stride, columns.stride],
    tap_step: [rows.tapStep, columns.tapStep],
    input_step: [rows.inputStep, columns.inputStep],
    batch: [problem.batch],
    groups: [problem.groups],
    in_channels: [problem.inChannels],
    out_channels: [problem.outChannels],
    input_group: [input.group],
    output_group: [output.group],
    weight_group: [weight.group],
    weight_tap: [weight.tap],
    weight_channel: [weight.channel],
    bias_group: [bias.group],
    input_base: [input.base],
    output_base: [output.base],
    weight_base: [weight.base],
    bias_base: [bias.base],
    kernel_width: [columns.kernel],
  };
  for (const [name, numbers] of Object.entries(values) as [ParamName, readonly number[]][]) {
    numbers.forEach((value, i) => {
      view.setUint32(paramOffsets[name] + 4 * i, value, true);
    });
  }
  view.setFloat32(paramOffsets.negative_slope, negativeSlope, true);
}

/** Writes the residue tables of both axes. */
export function writeResidues(view: DataView, { rows, columns }: Problem): void {
  let at = 0;
  const write = (value: number): void => {
    view.setInt32(at, value, true);
    at += 4;
  };
  for (const { residues } of [rows, columns] satisfies Axis[]) {
    const ranked = residues.map((_, r) => r).sort((a, b) => (residues[b]?.taps ?? 0) - (residues[a]?.taps ?? 0));
    residues.forEach(({ taps, firstTap, firstInput, positions }, r) => {
      [taps, firstTap, firstInput, positions, ranked[r] ?? 0].forEach(write);
    });
  }
}
