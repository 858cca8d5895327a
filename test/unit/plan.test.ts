// Plans: plain frozen data, checked against brute force and against limits made by hand.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConvTranspose2d, type ConvTranspose2dOptions, type DType, type Pair } from '../../src/index.ts';
import { direct } from '../../src/kernels.ts';
import { resolveOptions, type Spec } from '../../src/options.ts';
import type { Capabilities, Limits } from '../../src/capabilities.ts';
import { type LayerPlan, planLayer } from '../../src/plan.ts';
import { fold } from '../../src/workgroups.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';
import { describeLayer, layers } from '../support/arbitraries.ts';

const assumed = capabilitiesOf(undefined, 'no device');
const MiB = 2 ** 20;

interface Asked extends ConvTranspose2dOptions {
  readonly bias?: boolean;
  readonly dtype?: DType;
}

function specOf(channels: readonly [number, number], kernel: Pair, options: Asked = {}): Spec {
  return resolveOptions(...channels, kernel, options).spec;
}

/** As if of a GPU with these limits: every kernel is `direct`, so that cuts are of any size. */
const limited = (limits: Partial<Limits>, shaderF16 = false): Capabilities => ({
  ...assumed,
  limits: { ...assumed.limits, ...limits },
  shaderF16,
  choose: (problem) => direct(problem, 'forced'),
});

describe('the public plan', () => {
  const layer = new ConvTranspose2d(4, 6, 3, { stride: 2, padding: 1, groups: 2 });
  const plan = layer.plan([2, 4, 5, 6]);

  test('is frozen throughout, plain, and the same when asked again', () => {
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
    expect(frozen(plan)).toBe(true);
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    expect(layer.plan([2, 4, 5, 6])).toEqual(plan);
  });

  test("assumes WebGPU's defaults while no device is known", () => {
    expect(layer.device).toBeUndefined();
    expect(plan).toMatchObject({ device: 'assumed', splits: 1, outputShape: [2, 6, 9, 11] });
    const onCpu = new ConvTranspose2d(4, 6, 3, { device: 'cpu' });
    expect(onCpu.plan([4, 5, 6]).device).toBe('cpu');
  });

  test('counts bytes and names the kernel and why', () => {
    // The input as texels: one line of a texture.
    const scratch = 4096 * 16;
    expect(plan.bytes).toEqual({ input: 960, weight: 4 * 4 * 3 * 9, output: 4 * 2 * 6 * 9 * 11, scratch });
    expect(plan.dispatches.map(({ kernel }) => kernel)).toEqual(['input-texels', plan.kernel]);
    expect(plan.reason).not.toBe('');
  });

  test('a zero batch takes no dispatch, no bytes and no splits, however large its images would be', () => {
    expect(layer.plan([0, 4, 2 ** 20, 2 ** 20])).toMatchObject({ dispatches: [], splits: 1 });
    const none = layer.plan([0, 4, 5, 6]);
    expect(none).toMatchObject({ outputShape: [0, 6, 9, 11], dispatches: [], usefulFlops: 0, splits: 1 });
    expect(none.bytes).toMatchObject({ input: 0, output: 0 });
  });
});

test.each([
  ['64 positions × 64 channels', 64, 128],
  ['128 positions × 32 channels', 32, 128],
  ['64 positions × 16 channels', 16, 128],
  ['128 positions × 32 channels', 96, 128],
  // Few workgroups: smaller tiles spread the work further.
  ['32 positions × 32 channels', 64, 16],
])('a hardware GPU gets the tile that leaves least idle: %s', (tile, outChannels, size) => {
  const { plan } = planLayer(specOf([64, outChannels], 2, { stride: 2 }), [1, 64, size, size], undefined, assumed);
  expect(plan.reason).toContain(tile);
});

test.each([
  // A round of loading takes a multiple of 4 channels here, and of 8 in tiles of 32 positions or channels.
  [3, 128, 4],
  [8, 128, 8],
  [13, 128, 16],
  [64, 128, 16],
  [3, 16, 8],
])(
  'a hardware GPU loads no more of %i input channels than it must, in images of %i²: %i at once',
  (inChannels, size, depth) => {
    const { parts } = planLayer(
      specOf([inChannels, 64], 2, { stride: 2 }),
      [1, inChannels, size, size],
      undefined,
      assumed,
    );
    expect(parts[0]?.choice.constants['DEPTH']).toBe(depth);
  },
);

test.each([
  ['google swiftshader', true],
  ['mesa software llvmpipe-llvm-15-0-6-256-bits-', true],
  ['llvmpipe (LLVM 15.0.6, 256 bits)', true],
  // Its sampler rounds coordinates.
  ['Microsoft Basic Render Driver', false],
  // It does not say what it is.
  ['', false],
])("on an emulated GPU, '%s', kernels sample textures: %s", (description, samples) => {
  const adapterInfo = { vendor: '', architecture: '', device: '', description, isFallbackAdapter: true };
  const device = { limits: assumed.limits, features: new Set(), adapterInfo } as unknown as GPUDevice;
  for (const channels of [3, 40]) {
    const spec = specOf([24, channels], 3, { stride: 2 });
    const { parts } = planLayer(spec, [1, 24, 24, 24], undefined, capabilitiesOf(device, ''));
    for (const { choice, quick } of parts) {
      const sampling = [choice, quick].some(
        (run) => run?.kernel.startsWith('phase-registers') === true && run.constants['SAMPLED'] !== 0,
      );
      expect(sampling, choice.kernel).toBe(samples);
    }
  }
});

test('usefulFlops counts two for each tap that meets a real input; phases partition outputs and taps', () => {
  const property = fc.property(layers(), ({ input, weight, options, ...rest }) => {
    const { layout = 'NCHW', weightLayout = 'IOHW', groups = 1 } = options;
    const extents = (order: string, shape: readonly number[]): Record<string, number> =>
      Object.fromEntries(Array.from(order, (name, at) => [name, shape[at]!]));
    const shape = input.shape.length === 4 ? input.shape : [1, ...input.shape];
    const { N = 0, H = 0, W = 0 } = extents(layout, shape);
    const kernel = extents(weightLayout, weight.shape);
    const { I = 0, O = 0 } = kernel;
    const { spec } = resolveOptions(I, O * groups, [kernel['H'], kernel['W']], { ...options });
    const { plan } = planLayer(spec, input.shape, undefined, assumed);
    const [rows = 0, columns = 0] = layout === 'NCHW' ? plan.outputShape.slice(-2) : plan.outputShape.slice(-3);

    const count = (inputs: number, axis: 0 | 1, outputs: number): number => {
      let pairs = 0;
      for (let i = 0; i < inputs; i++) {
        for (let k = 0; k < spec.kernelSize[axis]; k++) {
          const o = i * spec.stride[axis] + k * spec.dilation[axis] - spec.padding[axis];
          if (o >= 0 && o < outputs) pairs++;
        }
      }
      return pairs;
    };
    const told = describeLayer({ input, weight, options, ...rest });
    expect(plan.usefulFlops, told).toBe(2 * N * I * O * count(H, 0, rows) * count(W, 1, columns));

    const total = (of: 'positions' | 'taps'): number =>
      plan.phases.reduce((sum, phase) => sum + phase[of][0] * phase[of][1], 0);
    expect(total('positions'), told).toBe(rows * columns);
    expect(total('taps'), told).toBe(spec.kernelSize[0] * spec.kernelSize[1]);
    expect(new Set(plan.phases.map(({ phase }) => String(phase))).size).toBe(plan.phases.length);
  });
  fc.assert(property, { numRuns: 500 });
});

describe('grids', () => {
  test('a line of workgroups is folded into rows: all of them, few beyond, none too long', () => {
    const limits = fc.constantFrom(1, 7, 256, 65535);
    const property = fc.property(fc.integer({ min: 1, max: 2 ** 31 }), limits, (workgroups, most) => {
      fc.pre(workgroups <= most ** 2);
      const [x, y, z] = fold(workgroups, most);
      expect(Math.max(x, y)).toBeLessThanOrEqual(most);
      expect(z).toBe(1);
      expect(x * y).toBeGreaterThanOrEqual(workgroups);
      expect(x * y - workgroups).toBeLessThan(y);
    });
    fc.assert(property, { numRuns: 1000 });
  });

  test('2²⁸ images of one output take no more invocations than 32 bits count', () => {
    const limits = { ...assumed.limits, maxBufferSize: 2 ** 31, maxStorageBufferBindingSize: 2 ** 31 };
    const spec = specOf([2 ** 10, 2 ** 10], 1, { groups: 2 ** 10 });
    const { parts } = planLayer(spec, [2 ** 18, 2 ** 10, 1, 1], undefined, { ...assumed, limits });
    for (const { choice } of parts) {
      expect(choice.workgroups * choice.constants['WORKGROUP_SIZE']!).toBeLessThanOrEqual(2 ** 32);
    }
  });

  test('4,194,368 outputs in workgroups of 64 are one more than a dimension holds', () => {
    const { plan } = planLayer(specOf([1, 1], 1), [1, 65537, 64], undefined, limited({}));
    expect(plan.dispatches[0]!.workgroups).toEqual([32769, 2, 1]);
  });
});

/** What the parts of a plan write, and that every address lies in its binding. */
function written({ parts }: LayerPlan, spec: Spec, limits: Limits, bytes: number): Map<number, Set<number>> {
  const outputs = new Map<number, Set<number>>();
  for (const { problem, input, output } of parts) {
    for (const { offset, size } of [input, output]) {
      expect(offset % limits.minStorageBufferOffsetAlignment).toBe(0);
      expect(size % 4).toBe(0);
      expect(size).toBeLessThanOrEqual(limits.maxStorageBufferBindingSize);
    }
    const firstChannel = Math.floor((problem.weight.base % problem.weight.tap) / problem.weight.channel);
    expect(problem.begins).toBe(firstChannel === 0);
    expect(problem.finishes).toBe(firstChannel + problem.inChannels === spec.inChannels / spec.groups);
    const { base, ...steps } = problem.output;
    for (let n = 0; n < problem.batch; n++) {
      for (let g = 0; g < problem.groups; g++) {
        for (let c = 0; c < problem.outChannels; c++) {
          for (let y = 0; y < problem.rows.output; y++) {
            for (let x = 0; x < problem.columns.output; x++) {
              const index =
                base + n * steps.batch + g * steps.group + c * steps.channel + y * steps.row + x * steps.column;
              // Shaders count in 32 bits: a base may lie before the binding.
              const inBinding = index % 2 ** 32;
              expect(bytes * (inBinding + 1)).toBeLessThanOrEqual(output.size);
              const element = inBinding + output.offset / bytes;
              const summed = outputs.get(element) ?? new Set();
              outputs.set(element, summed);
              for (let q = firstChannel; q < firstChannel + problem.inChannels; q++) {
                expect(summed.has(q)).toBe(false);
                summed.add(q);
              }
            }
          }
        }
      }
    }
  }
  return outputs;
}

describe('cut to fit small bindings', () => {
  interface Row extends Asked {
    readonly what: string;
    readonly channels: readonly [number, number];
    readonly shape: readonly number[];
    readonly kernel?: number;
    /** Bytes that a binding may have. */
    readonly binding: number;
    /** Whether it was cut there. */
    readonly cut: (plan: LayerPlan, spec: Spec) => boolean;
  }
  const some = (plan: LayerPlan, test: (problem: LayerPlan['parts'][number]['problem']) => boolean): boolean =>
    plan.parts.some(({ problem }) => test(problem));
  const rows: Row[] = [
    {
      what: 'batch',
      channels: [2, 3],
      shape: [7, 2, 4, 4],
      binding: 1024,
      cut: (plan) => some(plan, ({ batch, groups, outChannels }) => batch < 7 && groups === 1 && outChannels === 3),
    },
    {
      what: 'groups',
      channels: [6, 6],
      shape: [1, 6, 8, 8],
      groups: 3,
      kernel: 2,
      binding: 1024,
      cut: (plan) => some(plan, ({ groups, outChannels }) => groups < 3 && outChannels === 2),
    },
    {
      what: 'output channels',
      channels: [2, 7],
      shape: [1, 2, 8, 8],
      kernel: 2,
      binding: 1024,
      cut: (plan) => some(plan, ({ outChannels, rows: axis }) => outChannels < 7 && axis.output === 9),
    },
    {
      what: 'input channels',
      channels: [9, 2],
      shape: [9, 6, 6],
      kernel: 2,
      binding: 1024,
      cut: (plan) => some(plan, ({ inChannels }) => inChannels < 9),
    },
    {
      what: 'rows',
      channels: [1, 1],
      shape: [1, 40, 20],
      stride: 2,
      padding: 3,
      binding: 1024,
      cut: (plan) => some(plan, ({ rows: axis }) => axis.output < 77),
    },
    {
      what: 'rows, channels last',
      channels: [3, 5],
      shape: [2, 30, 4, 3],
      layout: 'NHWC',
      stride: 2,
      kernel: 2,
      binding: 1024,
      cut: (plan) => some(plan, ({ batch, rows: axis }) => batch === 1 && axis.output < 60),
    },
    {
      what: 'input channels, rows and groups at once, float16',
      channels: [10, 4],
      shape: [10, 24, 24],
      groups: 2,
      dilation: 2,
      dtype: 'float16',
      kernel: 2,
      binding: 1024,
      cut: (plan) => some(plan, ({ inChannels, rows: axis }) => inChannels < 5 && axis.output < 26),
    },
  ];

  test.each(rows)('by $what', ({ what: _, channels, shape, kernel = 3, binding, cut, ...options }) => {
    const spec = specOf(channels, kernel, options);
    const capabilities = limited({ maxStorageBufferBindingSize: binding, minStorageBufferOffsetAlignment: 256 }, true);
    const layerPlan = planLayer(spec, shape, undefined, capabilities);
    expect(layerPlan.plan.splits).toBe(layerPlan.parts.length);
    expect(layerPlan.plan.splits).toBeGreaterThan(1);
    expect(cut(layerPlan, spec)).toBe(true);
    const outputs = written(layerPlan, spec, capabilities.limits, layerPlan.storage === 'float16' ? 2 : 4);
    expect(outputs.size).toBe(layerPlan.outputElements);
    for (const channelsSummed of outputs.values()) expect(channelsSummed.size).toBe(channels[0] / spec.groups);
  });

  test('what fits is left whole', () => {
    expect(planLayer(specOf([2, 3], 3), [1, 2, 4, 4], undefined, limited({})).plan.splits).toBe(1);
  });
});

describe('UNSUPPORTED says what is needed and what there is', () => {
  const refusal = (
    channels: [number, number],
    shape: number[],
    capabilities: Capabilities,
    options?: Asked,
  ): unknown => {
    try {
      return planLayer(specOf(channels, 1, options), shape, undefined, capabilities).plan.splits;
    } catch (error) {
      return error;
    }
  };
  const saying = (...words: (string | number)[]): object => ({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(new RegExp(words.join('.*'))) as string,
  });

  test.each<[string, unknown, object]>([
    ['an input', refusal([1, 1], [1, 8193, 8192], assumed), saying('input', 8193 * 8192 * 4, 256 * MiB)],
    ['an output', refusal([1, 8], [1, 4096, 4096], assumed), saying('output', 512 * MiB, 256 * MiB)],
    ['a weight', refusal([2 ** 13, 2 ** 13], [2 ** 13, 1, 1], assumed), saying('weight', 256 * MiB, 128 * MiB)],
    [
      'one row',
      refusal([1, 1], [1, 1, 300], limited({ maxStorageBufferBindingSize: 1024 })),
      saying('input', 1200, 1024, 'cannot be cut'),
    ],
    [
      'a weight as it is packed',
      refusal([2 ** 24, 2 ** 24], [2 ** 24, 1, 1], assumed, { groups: 2 ** 24 }),
      saying('packed weight', 1024 * MiB, 128 * MiB),
    ],
    [
      'workgroups',
      refusal([1, 1], [1, 64, 64], limited({ maxComputeWorkgroupsPerDimension: 7 })),
      saying(64, 'workgroups', 7),
    ],
  ])('%s', (_, error, expected) => {
    expect(error).toMatchObject(expected);
  });

  test('more phases than a plan can list, on any device', () => {
    const cpu = capabilitiesOf('cpu', 'the CPU');
    for (const capabilities of [assumed, cpu]) {
      const plan = (stride: Pair, shape: number[]) => (): unknown =>
        planLayer(specOf([1, 1], 1, { stride }), shape, undefined, capabilities);
      expect(plan(1100, [1, 2, 2])).toThrow(expect.objectContaining(saying(1100, 1100, 2 ** 20)) as Error);
      expect(plan(1024, [1, 1, 2])).not.toThrow();
    }
    const wide = specOf([1, 1], 1, { stride: [1, 2 ** 30], outputPadding: [0, 2 ** 30 - 1] });
    const plan = (): unknown => planLayer(wide, [1, 1, 1], undefined, cpu);
    expect(plan).toThrow(expect.objectContaining(saying(2 ** 30, 'phases')) as Error);
  });

  test('beyond 2³² elements', () => {
    const error = refusal([2 ** 16, 2 ** 16], [2 ** 10, 2 ** 16, 2 ** 14, 2 ** 14], assumed, { groups: 2 ** 16 });
    expect(error).toMatchObject(saying('takes \\d+ bytes', 'allows'));
  });
});

describe('float16', () => {
  const shape = [1, 24, 5, 5];
  const storage = (shaderF16: boolean, binding = 128 * MiB): LayerPlan => {
    const capabilities = limited({ maxStorageBufferBindingSize: binding }, shaderF16);
    return planLayer(specOf([24, 3], 1, { dtype: 'float16' }), shape, undefined, capabilities);
  };

  test('is native where the device has shader-f16', () => {
    const { storage: kind, plan } = storage(true);
    expect(kind).toBe('float16');
    expect(plan.dispatches.map(({ kernel }) => kernel)).toEqual(['direct']);
    expect(plan.bytes).toEqual({ input: 1200, weight: 144, output: 150, scratch: 0 });
  });

  test('is expanded and compressed where it has not', () => {
    const { storage: kind, plan } = storage(false);
    expect(kind).toBe('expanded');
    expect(plan.dispatches.map(({ kernel }) => kernel)).toEqual(['expand-float16', 'direct', 'compress-float16']);
    expect(plan.bytes.scratch).toBe(4 * (600 + 75));
  });

  test('is expanded where sums are split, since half of a sum must not be rounded', () => {
    const { storage: kind, parts } = storage(true, 1024);
    expect(parts.some(({ problem }) => !problem.finishes)).toBe(true);
    expect(kind).toBe('expanded');
  });
});
