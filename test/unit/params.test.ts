// The structs that TypeScript writes byte by byte, against the shaders' own declarations.
import { expect, test, vi } from 'vitest';
import { makeShaderDataDefinitions, type StructDefinition } from 'webgpu-utils';
import { paramBytes } from '../../src/image/gpu.ts';
import { pixelsOf } from '../../src/image/options.ts';
import { PARAMS_SIZE, paramOffsets, residuesSize } from '../../src/webgpu/params.ts';
import { resolveOptions } from '../../src/options.ts';
import { planLayer } from '../../src/plan.ts';
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

test.each(kernels)('$shader: Params and Residue', ({ shader, structs: { Params, Residue } }) => {
  expect(offsetsOf(Params!)).toEqual(paramOffsets);
  expect(Params!.size).toBe(PARAMS_SIZE);

  // Texels are written without a look at phases.
  expect(Residue === undefined).toBe(shader === 'input_texels.wgsl');
  if (Residue === undefined) return;
  const { spec } = resolveOptions(1, 1, 3, { stride: [2, 3] });
  const [part] = planLayer(spec, [1, 1, 4, 4], undefined, capabilitiesOf(undefined, '')).parts;
  expect(residuesSize(part!.problem)).toBe((2 + 3) * Residue.size);
  const words = ['taps', 'first_tap', 'first_input', 'positions', 'ranked'];
  expect(offsetsOf(Residue)).toEqual(Object.fromEntries(words.map((name, at) => [name, 4 * at])));
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
