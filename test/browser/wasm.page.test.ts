// The CPU path's WebAssembly by itself, where the public interface cannot force what is hard for it: tiles so small that small
// layers have many, jobs in any order on two working memories, either module, either kind of memory, a heap with holes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { areFinite } from '../../src/cpu/state.ts';
import { wasmVariant, type WasmVariant } from '../../src/cpu/variant.ts';
import { packForWasm } from '../../src/cpu/wasm-pack.ts';
import { rowBlocks } from '../../src/cpu/wasm-families.ts';
import { planWasm, tilingOf, type WasmCuts, type WasmPlan, type WasmTiling } from '../../src/cpu/wasm-plan.ts';
import { ConvTranspose2dError } from '../../src/errors.ts';
import { resolveOptions, type Spec } from '../../src/options.ts';
import { planLayer } from '../../src/plan.ts';
import { fromFloat16, toFloat16 } from '../../src/tensors.ts';
import type { Activation, ConvTranspose2dOptions, HostTensor } from '../../src/types.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';
import { floatTensor, integerTensor, lengthOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';
import { runnerOn, WasmHost } from '../support/wasm-host.ts';

interface Layer {
  readonly input: readonly [batch: number, channels: number, height: number, width: number];
  readonly outChannels: number;
  readonly kernel: readonly [number, number];
  readonly options: ConvTranspose2dOptions;
}

interface Way {
  readonly variant: WasmVariant;
  readonly shared: boolean;
  readonly cuts: WasmCuts;
}

function packed(spec: Spec, weight: HostTensor, bias: HostTensor): Float32Array {
  const steps = packForWasm(spec, weight.data as Float32Array, bias.data as Float32Array);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

interface Ran {
  readonly output: HostTensor;
  readonly plan: WasmPlan;
  readonly tiling: WasmTiling;
}

function runOnWasm(layer: Layer, { variant, shared, cuts }: Way, [input, weight, bias]: readonly HostTensor[]): Ran {
  const { spec } = resolveOptions(layer.input[1], layer.outChannels, layer.kernel, layer.options);
  const { parts, plan: planned, outputElements } = planLayer(spec, input!.shape, undefined, capabilitiesOf('cpu', ''));
  const problem = { ...parts[0]!.problem, activation: spec.activation, negativeSlope: spec.negativeSlope };
  const plan = planWasm(problem, cuts);
  const tiling = tilingOf(problem, cuts);

  const host = new WasmHost(variant, shared);
  const hole = host.load(new Float32Array(997));
  const weights = host.load(packed(spec, weight!, bias!));
  host.unload(hole);
  const call = host.begin(plan, weights, input!.data as Float32Array, outputElements, 2);
  const [own, other] = call.addresses as [(typeof call.addresses)[0], (typeof call.addresses)[0]];
  // What is not computed, or read before it is written, shows as NaN; so does what is written next to the output.
  new Float32Array(host.heap.memory.buffer).fill(NaN, own.output / 4, (other.work + plan.workBytes) / 4);
  const second = runnerOn(host.heap.memory, variant, shared).start(plan.words, other);
  for (let job = plan.jobs - 1; job >= 0; job--) {
    if (job % 3 === 0) second(job, job + 1);
    else host.run(call, job, job + 1);
  }
  const beyond = new Float32Array(host.heap.memory.buffer, own.output + outputElements * 4, 8);
  expect(beyond.every(Number.isNaN)).toBe(true);
  const output = new Float32Array(outputElements);
  host.read(call, output);
  host.end(call);
  return { output: { shape: planned.outputShape, data: output }, plan, tiling };
}

function dataOf(layer: Layer, make: typeof integerTensor | typeof floatTensor, seed: number): HostTensor[] {
  const [n, c, h, w] = layer.input;
  const { groups = 1, layout } = layer.options;
  return [
    make(layout === 'NHWC' ? [n, h, w, c] : [n, c, h, w], seed),
    make([c, layer.outChannels / groups, ...layer.kernel], seed + 1),
    make([layer.outChannels], seed + 2),
  ];
}

function judged(layer: Layer, lane: 'exact' | 'float', ran: Ran, [input, weight, bias]: readonly HostTensor[]): void {
  const problem = { input: input!, weight: weight!, bias, options: layer.options };
  expect(mismatch(ran.output, problem, { lane }), JSON.stringify({ layer, kernel: ran.tiling.kernel })).toBeUndefined();
}

const both = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<[T, T]> => fc.tuple(one, one);

const layers: fc.Arbitrary<Layer> = fc
  .record({
    batch: fc.integer({ min: 1, max: 2 }),
    groups: fc.constantFrom(1, 1, 2, 3),
    ins: fc.constantFrom(1, 2, 3, 4, 5, 9),
    // Rows up to 12, panels of 8 from 13 on.
    outs: fc.constantFrom(1, 2, 3, 5, 7, 8, 9, 12, 13, 16, 17, 24),
    size: fc.tuple(fc.constantFrom(1, 1, 2, 3, 5, 9), fc.constantFrom(1, 1, 2, 4, 5, 13, 37)),
    kernel: both(fc.integer({ min: 1, max: 5 })),
    stride: both(fc.integer({ min: 1, max: 5 })),
    dilation: both(fc.constantFrom(1, 1, 2, 3, 4, 9, 17, 29, 29)),
    sides: fc.tuple(...Array.from({ length: 4 }, () => fc.integer({ min: -3, max: 5 }))),
    layout: fc.constantFrom('NCHW' as const, 'NHWC' as const),
    activation: fc.constantFrom<Activation>('none', 'none', 'relu', 'relu6'),
  })
  .map(({ batch, groups, ins, outs, size, kernel, stride, dilation, sides, layout, activation }): Layer => {
    // Crops as much as leaves an output.
    const padding = [...sides] as [number, number, number, number];
    for (const axis of [0, 1] as const) {
      const full = (size[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1;
      padding[axis] = Math.min(padding[axis], full - 1);
      padding[axis + 2] = Math.min(padding[axis + 2]!, full - 1 - padding[axis]);
    }
    const options = { stride, dilation, padding, groups, layout, activation };
    return { input: [batch, ins * groups, ...size], outChannels: outs * groups, kernel, options };
  });

const cuts = fc.constantFrom<WasmCuts>({}, { minimumJobs: 7 }, { tileBytes: 1, rowBytes: 1 }, { tileBytes: 6000 });

test('the engine takes relaxed SIMD', () => {
  expect(wasmVariant()).toBe('relaxed-simd');
});

describe.each(['simd', 'relaxed-simd'] as const)('%s', (variant) => {
  test('600 random layers, in tiles and jobs of all sizes, are exact on integers', () => {
    const kernels = new Map<string, number>();
    let tiled = 0;
    let banded = 0;
    let bandedColumns = 0;
    let selected = 0;
    const property = fc.property(layers, cuts, fc.boolean(), fc.nat(), (layer, cut, shared, seed) => {
      const data = dataOf(layer, integerTensor, seed);
      const ran = runOnWasm(layer, { variant, shared, cuts: cut }, data);
      judged(layer, 'exact', ran, data);
      kernels.set(ran.tiling.kernel, (kernels.get(ran.tiling.kernel) ?? 0) + 1);
      if (ran.tiling.inner.tiles > 1 && ran.tiling.outer.tiles > 1) tiled++;
      if (ran.tiling.strip.bands > 1) banded++;
      if (ran.tiling.strip.columnBands.length > 1) bandedColumns++;
      if (ran.tiling.selects) selected++;
    });
    fc.assert(property, { numRuns: 600 });
    for (const kernel of ['rows', 'positions', 'point']) expect(kernels.get(kernel), kernel).toBeGreaterThan(5);
    for (const count of [tiled, banded, bandedColumns, selected]) expect(count).toBeGreaterThan(5);
  });

  test.each([9, 33, 70])('few output channels of %i columns with far taps are exact', (columns) => {
    for (const outChannels of [1, 2, 3, 5, 12]) {
      const options = { dilation: [9, 17], stride: [1, 2], padding: 9 } as const;
      const layer: Layer = { input: [1, 16, 20, columns], outChannels, kernel: [3, 5], options };
      const data = dataOf(layer, integerTensor, columns);
      for (const cuts of [{}, { minimumJobs: 12 }, { rowBytes: 6000 }]) {
        const ran = runOnWasm(layer, { variant, shared: true, cuts }, data);
        expect(ran.tiling.results.runRows).toBeLessThan(ran.tiling.outer.tile);
        judged(layer, 'exact', ran, data);
      }
    }
  });

  test('every number of columns is exact', () => {
    for (let columns = 1; columns <= 30; columns++) {
      const layer: Layer = { input: [1, 3, 2, columns], outChannels: 16, kernel: [3, 3], options: { padding: 1 } };
      const data = dataOf(layer, integerTensor, columns);
      judged(layer, 'exact', runOnWasm(layer, { variant, shared: false, cuts: {} }, data), data);
    }
  });

  test.each([16, 21, 37])('%i groups of one output channel, channels last, are exact', (groups) => {
    for (const ins of [1, 2, 3]) {
      const layer: Layer = {
        input: [2, ins * groups, 5, 6],
        outChannels: groups,
        kernel: [4, 3],
        options: { stride: 2, groups, layout: 'NHWC', activation: 'relu' },
      };
      const data = dataOf(layer, integerTensor, groups + ins);
      for (const cuts of [{}, { minimumJobs: 12 }, { tileBytes: 1 }]) {
        judged(layer, 'exact', runOnWasm(layer, { variant, shared: false, cuts }, data), data);
      }
    }
  });

  test.each(['leaky-relu', 'sigmoid', 'tanh', 'gelu', 'silu'] as const)('%s', (activation) => {
    const layer: Layer = { input: [1, 5, 9, 9], outChannels: 13, kernel: [3, 3], options: { stride: 2, activation } };
    const data = dataOf(layer, floatTensor, 7);
    judged(layer, 'float', runOnWasm(layer, { variant, shared: false, cuts: {} }, data), data);
  });

  test('every float16 pattern is expanded, and rounded back', () => {
    const host = new WasmHost(variant);
    const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const { plan } = runOnWasm(
      { input: [1, 1, 1, 1], outChannels: 1, kernel: [1, 1], options: {} },
      { variant, shared: false, cuts: {} },
      [integerTensor([1, 1, 1, 1], 1), integerTensor([1, 1, 1, 1], 2), integerTensor([1], 3)],
    );
    const call = host.begin(plan, 0, patterns, 2 * patterns.length);
    const { input, output } = call.addresses[0]!;
    const expanded = new Float32Array(host.heap.memory.buffer, input, patterns.length);
    expect(expanded).toEqual(Float32Array.from(patterns, fromFloat16));
    // What lies between two patterns, and the patterns themselves.
    const values = new Float32Array(host.heap.memory.buffer, output, 2 * patterns.length);
    for (const [at, value] of expanded.entries()) {
      values[2 * at] = value;
      values[2 * at + 1] = (value + (expanded[at + 1] ?? 0)) / 2;
    }
    const expected = Uint16Array.from(values, toFloat16);
    const rounded = new Uint16Array(expected.length);
    host.read(call, rounded);
    expect(rounded).toEqual(expected);
  });
});

test('strips grow with what a tile reads, not with how far apart that is', () => {
  for (const [outChannels, kernel] of [
    [3, [1, 2]],
    [3, [2, 1]],
    [64, [1, 3]],
    [64, [3, 2]],
  ] as const) {
    for (const dilation of [1e4, 1e5, 1e6]) {
      const { spec } = resolveOptions(8, outChannels, kernel, { dilation, stride: 2 });
      const { parts } = planLayer(spec, [1, 8, 7, 9], undefined, capabilitiesOf('cpu', ''));
      const { workBytes } = planWasm({ ...parts[0]!.problem, activation: 'none', negativeSlope: 0 });
      expect(workBytes).toBeLessThan(2 ** 20);
    }
  }
});

test('a plan takes no longer for more rows', () => {
  const { spec } = resolveOptions(1, 1, 3, {});
  const { parts } = planLayer(spec, [1, 1, 2 ** 30, 4], undefined, capabilitiesOf('cpu', ''));
  const { outer, strip, results } = tilingOf({ ...parts[0]!.problem, activation: 'none', negativeSlope: 0 });
  expect(outer.tile * outer.tiles).toBeGreaterThanOrEqual(2 ** 30);
  expect(strip.bytes + results.bytes).toBeLessThanOrEqual(256 * 1024);
  expect(outer.tile).toBeGreaterThan(1000);
});

test('rows are divided into blocks of 1 to 4 without a rest', () => {
  for (let rows = 1; rows < 100; rows++) {
    const blocks = rowBlocks(rows);
    expect(blocks.every((block) => block >= 1 && block <= 4)).toBe(true);
    expect(blocks.reduce((sum, block) => sum + block, 0)).toBe(rows);
    expect(blocks.length).toBe(Math.max(Math.ceil(rows / 4), Math.floor(rows / 3)));
    if (rows > 5) expect(blocks.filter((block) => block !== 3).length).toBeLessThanOrEqual(2);
  }
});

test('weights that are not finite are found: padding would multiply them by zero', () => {
  for (const odd of [NaN, Infinity, -Infinity]) {
    expect(areFinite(Float32Array.of(1, 2, odd, 4))).toBe(false);
    expect(areFinite(Uint16Array.of(1, 2, toFloat16(odd), 4))).toBe(false);
  }
  expect(areFinite(Float32Array.of(1, -3e38, 0, 4))).toBe(true);
  expect(areFinite(Uint16Array.from([1, -65504, 0, 4], toFloat16))).toBe(true);
});

test('the heap uses again what was freed, and refuses what cannot be had', () => {
  const { heap } = new WasmHost('simd');
  const blocks = [1000, 300_000, 64, 5000].map((bytes) => heap.allocate(bytes));
  const grown = heap.memory.buffer.byteLength;
  for (const at of [1, 3, 0, 2]) heap.free(blocks[at]!);
  expect(heap.allocate(grown - 192)).toBeGreaterThan(0);
  expect(heap.memory.buffer.byteLength).toBe(grown);
  expect(() => heap.allocate(2 ** 33)).toThrow(ConvTranspose2dError);
  expect(() => heap.allocate(2 ** 33)).toThrow(expect.objectContaining({ code: 'OUT_OF_MEMORY' }) as Error);
});

test.each(['simd', 'relaxed-simd'] as const)('%s: pixels up to the last address of all', (variant) => {
  const memory = new WebAssembly.Memory({ initial: 65536, maximum: 65536 });
  const { code } = runnerOn(memory, variant, false);
  // Four channels of six columns, 128 kB apart, of two phases; the results begin at 1024, a channel every 16 bytes.
  const [columns, pitch] = [6, 2 ** 17];
  const output = 2 ** 32 - (columns - 1) * pitch - 16;
  const low = new Float32Array(memory.buffer, 0, 2 ** 18).fill(NaN);
  const results = 1024 / 4;
  for (let i = 0; i < 64; i++) low[results + i] = i;
  new Int32Array(memory.buffer, 512, 2).set([0, 64]);
  const before = low.slice();
  code.interleave(1024, 512, 2, 16, 0, output, 4, 0, pitch, 4, 1, columns);
  expect(low.findIndex((value, at) => !Object.is(value, before[at]))).toBe(-1);
  for (let column = 0; column < columns; column++) {
    const pixel = [...new Float32Array(memory.buffer, output + column * pitch, 4)];
    const at = (column % 2) * 16 + Math.floor(column / 2);
    expect(pixel).toEqual([0, 4, 8, 12].map((channel) => at + channel));
  }
});

test('a call beyond 2 GiB of addresses is right', () => {
  const layer: Layer = { input: [1, 4, 5, 5], outChannels: 13, kernel: [3, 3], options: { stride: 2 } };
  const data = dataOf(layer, integerTensor, 1);
  const host = new WasmHost('simd');
  host.heap.allocate(2 ** 31);
  const { spec } = resolveOptions(4, 13, 3, layer.options);
  const { parts, plan: planned, outputElements } = planLayer(spec, layer.input, undefined, capabilitiesOf('cpu', ''));
  const problem = { ...parts[0]!.problem, activation: 'none' as const, negativeSlope: 0 };
  const plan = planWasm(problem);
  const weights = host.load(packed(spec, data[1]!, data[2]!));
  const call = host.begin(plan, weights, data[0]!.data as Float32Array, outputElements);
  expect(call.addresses[0]!.input).toBeGreaterThan(2 ** 31);
  host.run(call);
  const output = new Float32Array(lengthOf(planned.outputShape));
  host.read(call, output);
  judged(
    layer,
    'exact',
    { output: { shape: planned.outputShape, data: output }, plan, tiling: tilingOf(problem) },
    data,
  );
});
