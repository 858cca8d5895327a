// The structs that TypeScript writes byte by byte, against the shaders' own declarations.
import { expect, test, vi } from 'vitest';
import { makeShaderDataDefinitions, type StructDefinition } from 'webgpu-utils';
import { paramBytes } from '../../src/image/gpu.ts';
import { pixelsOf } from '../../src/image/options.ts';
import { paramWords, residueWords } from '../../src/webgpu/params.ts';
import { resolveOptions } from '../../src/options.ts';
import type { Addresses } from '../../src/layouts.ts';
import type { Axis } from '../../src/geometry.ts';
import { planLayer } from '../../src/plan.ts';
import type { Problem } from '../../src/problem.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';

// webgpu-utils names these of a browser's; Node has Float16Array from version 24 on.
vi.hoisted(() => {
  Object.assign(globalThis, { Float16Array: Uint16Array, GPUShaderStage: { VERTEX: 1, FRAGMENT: 2, COMPUTE: 4 } });
});

const files = import.meta.glob<string>('../../shaders/*.wgsl', { eager: true, import: 'default', query: '?raw' });
const shaders = Object.entries(files).map(([path, code]) => ({
  shader: path.replace(/^.*\//, ''),
  // The structs come first, and the parser does not know all of WGSL.
  structs: makeShaderDataDefinitions(code.slice(0, code.search(/^(alias|@group)/m))).structs,
}));
const kernels = shaders.filter(({ structs }) => 'input_stride' in (structs['Params']?.fields ?? {}));
const gradients = shaders.filter(({ shader }) => /gradient|sum_parts/.test(shader));
const offsetsOf = ({ fields }: StructDefinition): Record<string, number> =>
  Object.fromEntries(Object.entries(fields).map(([name, { offset }]) => [name, offset]));

test('the kernels are found', () => {
  expect(shaders.length).toBe(13);
  expect(gradients.length).toBe(3);
  expect(kernels.map(({ shader }) => shader)).toEqual([
    'all_phases_registers.wgsl',
    'direct.wgsl',
    'input_texels.wgsl',
    'phase_gemm.wgsl',
    'phase_registers.wgsl',
    'phase_registers_quick.wgsl',
  ]);
});

test.each(gradients)('$shader: words without gaps, for they are written one after the other', ({ structs }) => {
  for (const { fields } of Object.values(structs)) {
    let next = 0;
    for (const { offset, type } of Object.values(fields)) {
      expect(offset).toBe(next);
      next += 'size' in type ? type.size : 4;
    }
  }
});

/** A problem of which no two numbers are the same, and what the fields of Params are to hold of it. */
function numbered(): { problem: Problem; fields: Record<string, number[]> } {
  const { spec } = resolveOptions(1, 1, 3, { stride: [2, 3] });
  const [part] = planLayer(spec, [1, 1, 4, 4], undefined, capabilitiesOf(undefined, '')).parts;
  const { rows, columns } = part!.problem;
  const addresses = (from: number): Addresses => ({
    ...{ base: from, batch: from + 1, group: from + 2, channel: from + 3, row: from + 4, column: from + 5 },
  });
  const axis = (of: Axis, from: number): Axis => ({
    ...{ ...of, input: from, output: from + 1, kernel: from + 2 },
    ...{ stride: from + 3, tapStep: from + 4, inputStep: from + 5 },
  });
  return {
    problem: {
      ...{ ...part!.problem, batch: 1, groups: 2, inChannels: 3, outChannels: 4 },
      ...{ rows: axis(rows, 10), columns: axis(columns, 20), input: addresses(30), output: addresses(40) },
      weight: { elements: 50, base: 51, group: 52, tap: 53, channel: 54 },
      bias: { base: 60, group: 61 },
    },
    fields: {
      ...{ input_stride: [31, 33, 34, 35], output_stride: [41, 43, 44, 45] },
      ...{ input_size: [10, 20], output_size: [11, 21] },
      ...{ stride: [13, 23], tap_step: [14, 24], input_step: [15, 25] },
      ...{ batch: [1], groups: [2], in_channels: [3], out_channels: [4] },
      ...{ input_group: [32], output_group: [42], weight_group: [52], weight_tap: [53], weight_channel: [54] },
      ...{ bias_group: [61], input_base: [30], output_base: [40], weight_base: [51], bias_base: [60] },
      ...{ kernel_width: [22], negative_slope: [0.25] },
    },
  };
}

test.each(kernels)('$shader: Params and Residue', ({ shader, structs: { Params, Residue } }) => {
  const { problem, fields } = numbered();
  const words = paramWords(problem, 0.25);
  expect(words.byteLength).toBe(Params!.size);
  const floats = new Float32Array(words.buffer);
  const offsets = offsetsOf(Params!);
  const written = Object.entries(fields).map(([name, values]) => {
    const at = offsets[name]! / 4;
    return [name, [...(name === 'negative_slope' ? floats : words).subarray(at, at + values.length)]];
  });
  expect(Object.fromEntries(written)).toEqual(fields);
  expect(Object.keys(offsets)).toEqual(Object.keys(fields));

  // Texels are written without a look at phases.
  expect(Residue === undefined).toBe(shader === 'input_texels.wgsl');
  if (Residue === undefined) return;
  const residues = [...problem.rows.residues, ...problem.columns.residues];
  const table = new Int32Array(residueWords(problem).buffer);
  expect(table.byteLength).toBe(residues.length * Residue.size);
  const field = (name: string): number[] =>
    residues.map((_, r) => table[(r * Residue.size + offsetsOf(Residue)[name]!) / 4]!);
  expect(field('taps')).toEqual(residues.map(({ taps }) => taps));
  expect(field('first_tap')).toEqual(residues.map(({ firstTap }) => firstTap));
  expect(field('first_input')).toEqual(residues.map(({ firstInput }) => firstInput));
  expect(field('positions')).toEqual(residues.map(({ positions }) => positions));
  expect(field('ranked')).toEqual([...[0, 1], ...[0, 1, 2]]);
});

test.each(['image_to_tensor.wgsl', 'tensor_to_image.wgsl'])('%s: Params', (shader) => {
  const { Params } = shaders.find((other) => other.shader === shader)!.structs;
  const options = { mean: [0.5, 1.5, 2.5], std: [3.5, 4.5, 5.5] };
  const bytes = paramBytes(pixelsOf([2, 3, 5, 7], 1, options));
  expect(bytes.byteLength).toBe(Params!.size);
  const view = new DataView(bytes);
  const { mean, deviation, ...counts } = offsetsOf(Params!);
  const floats = (at: number): number[] => [0, 1, 2, 3].map((i) => view.getFloat32(at + 4 * i, true));
  expect(floats(mean!)).toEqual([0.5, 1.5, 2.5, 0]);
  expect(floats(deviation!)).toEqual([3.5, 4.5, 5.5, 1]);
  expect(view.getUint32(counts['size']! + 4, true)).toBe(7);
  expect(Object.fromEntries(Object.entries(counts).map(([name, at]) => [name, view.getUint32(at, true)]))).toEqual({
    size: 5,
    channels: 3,
    channel_stride: 35,
    row_stride: 7,
    column_stride: 1,
    base: 105,
  });
});
