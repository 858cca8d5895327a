// The CPU path in a page: every way to run gives the same numbers, the page stays alive, calls can be stopped, workers may die.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commands } from 'vitest/browser';
import { Cpu, type CpuSettings } from '../../src/cpu/cpu.ts';
import type { Crew } from '../../src/cpu/engine.ts';
import { CpuLayer } from '../../src/cpu/layer.ts';
import type { ToWorker } from '../../src/cpu/messages.ts';
import { ConvTranspose2d, ConvTranspose2dError, convTranspose2d } from '../../src/index.ts';
import { resolveOptions } from '../../src/options.ts';
import { type LayerPlan, planLayer } from '../../src/plan.ts';
import type { ConvTranspose2dOptions, HostTensor, Plan } from '../../src/types.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';
import { describeLayer, layers, type Layer } from '../support/arbitraries.ts';
import { floatTensor, integerTensor, valuesOf, withValues } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

interface Way extends CpuSettings {
  /** Whether an `EagerCpu` lets the calling thread take part. */
  readonly caller?: boolean;
}

/** Ways to run that a page may have. */
const ways: Readonly<Record<string, Way>> = {
  'plain TypeScript': { variant: undefined, workers: false, shared: false, threads: 1 },
  'SIMD on the calling thread': { variant: 'simd', workers: false, shared: false, threads: 1 },
  'relaxed SIMD on the calling thread': { variant: 'relaxed-simd', workers: false, shared: false, threads: 1 },
  'SIMD in a worker': { variant: 'simd', workers: true, shared: false, threads: 1 },
  'relaxed SIMD in a worker': { variant: 'relaxed-simd', workers: true, shared: false, threads: 1 },
  'relaxed SIMD on one thread': { variant: 'relaxed-simd', workers: true, shared: true, threads: 1 },
  'SIMD on three threads': { variant: 'simd', workers: true, shared: true, threads: 3 },
  'relaxed SIMD on three threads': { variant: 'relaxed-simd', workers: true, shared: true, threads: 3 },
  'relaxed SIMD on two threads and the calling one': {
    variant: 'relaxed-simd',
    workers: true,
    shared: true,
    threads: 2,
    caller: true,
  },
};
const inBackground = Object.entries(ways).filter(([, { workers }]) => workers);

/** Sends everything to its workers, however small. */
class EagerCpu extends Cpu {
  readonly #caller: boolean;

  constructor(way: Way) {
    super(way);
    this.#caller = way.caller ?? false;
  }

  override crewFor(): Crew {
    const { workers, threads } = this.settings;
    return workers ? { workers: threads, caller: this.#caller } : { workers: 0, caller: true };
  }
}

interface Made {
  readonly layer: CpuLayer;
  readonly plan: LayerPlan;
}

function make(cpu: Cpu, { input, weight, bias, options }: Layer): Made {
  const { weightLayout = 'IOHW', groups = 1 } = options;
  const size = (axis: string): number => weight.shape[weightLayout.indexOf(axis)]!;
  const { spec } = resolveOptions(size('I'), size('O') * groups, [size('H'), size('W')], {
    ...options,
    bias: bias !== undefined,
    dtype: input.data instanceof Float32Array ? 'float32' : 'float16',
  });
  const layer = new CpuLayer(spec, capabilitiesOf('cpu', 'a test'), cpu);
  layer.loadHost(bias ? { weight, bias } : { weight });
  return { layer, plan: planLayer(spec, input.shape, undefined, layer.capabilities) };
}

/** Half a second of work an image, on one thread. */
function bigLayer(batch = 4): Layer {
  const input = { shape: [batch, 128, 160, 160], data: new Float32Array(batch * 128 * 160 * 160).fill(1) };
  const weight = { shape: [128, 128, 6, 6], data: new Float32Array(128 * 128 * 36).fill(1) };
  return { input, weight, bias: undefined, options: { stride: 1 } };
}

const forward = ({ layer, plan }: Made, input: HostTensor, signal?: AbortSignal): Promise<HostTensor> =>
  layer.forward(plan, input, undefined, signal);

/** The longest that some work holds the page's thread without a turn of its event loop: milliseconds of processor time. */
async function longestHold(work: () => Promise<unknown>): Promise<number> {
  await commands.recordTasks();
  // The browser records before the page's own process does.
  await new Promise((resolve) => setTimeout(resolve, 200));
  await work();
  return commands.longestTask();
}

const workers: Worker[] = [];
let alive = new Set<Worker>();
const PageWorker = Worker;
beforeEach(() => {
  // Of this test alone: workers may end after the test that made them.
  const own = (alive = new Set());
  globalThis.Worker = class extends PageWorker {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      workers.push(this);
      own.add(this);
    }
    override terminate(): void {
      super.terminate();
      own.delete(this);
    }
  };
});
afterEach(() => {
  globalThis.Worker = PageWorker;
  workers.length = 0;
});

/** The words of a board: see board.ts. */
const NEXT = 0;
const INSIDE = 2;
const DONE = 3;
const JOBS = 4;

/** Has messages to workers go through a function, which sends them on. */
function intercept(pass: (message: ToWorker, send: (message: ToWorker) => void) => void): void {
  const Made = Worker;
  globalThis.Worker = class extends Made {
    override postMessage(message: ToWorker, transfer?: Transferable[] | StructuredSerializeOptions): void {
      pass(message, (passed) => {
        super.postMessage(passed, transfer as Transferable[]);
      });
    }
  };
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

test('the page is cross-origin isolated, as this file needs it', () => {
  expect(crossOriginIsolated).toBe(true);
});

test('a thread that is held is seen', async () => {
  const hold = await longestHold(() => {
    const end = performance.now() + 500;
    while (performance.now() < end);
    return Promise.resolve();
  });
  expect(hold).toBeGreaterThan(50);
});

describe.each(Object.entries(ways))('%s', (_, settings) => {
  test('60 random integer layers are exact, 30 random float16 layers within the bound', async () => {
    const cpu = new EagerCpu(settings);
    const integers = fc.asyncProperty(layers(), async (layer) => {
      const made = make(cpu, layer);
      const result = await forward(made, layer.input);
      made.layer.destroy();
      expect(mismatch(result, layer, { lane: 'exact' }), describeLayer(layer)).toBeUndefined();
    });
    await fc.assert(integers, { numRuns: 60 });
    const halves = fc.asyncProperty(layers({ activations: 'none' }), fc.integer(), async (layer, seed) => {
      const half: Layer = {
        input: floatTensor(layer.input.shape, seed, 'float16'),
        weight: floatTensor(layer.weight.shape, seed + 1, 'float16'),
        bias: layer.bias && floatTensor(layer.bias.shape, seed + 2, 'float16'),
        options: layer.options,
      };
      const made = make(cpu, half);
      const result = await forward(made, half.input);
      made.layer.destroy();
      expect(mismatch(result, half, { lane: 'float', output: 'float16' }), describeLayer(half)).toBeUndefined();
    });
    await fc.assert(halves, { numRuns: 30 });
    cpu.dispose();
  });

  test('an output may lie where the input does', async () => {
    const cpu = new EagerCpu(settings);
    const layer: Layer = {
      input: integerTensor([1, 3, 9, 9], 1),
      weight: integerTensor([3, 3, 3, 3], 2),
      bias: undefined,
      options: { padding: 1 },
    };
    const made = make(cpu, layer);
    const data = (layer.input.data as Float32Array).slice();
    const output = { shape: layer.input.shape, data };
    await made.layer.forward(made.plan, { shape: layer.input.shape, data }, output, undefined);
    expect(mismatch(output, layer, { lane: 'exact' })).toBeUndefined();
    made.layer.destroy();
    cpu.dispose();
  });

  test('a call whose signal is aborted already computes nothing', async () => {
    const cpu = new EagerCpu(settings);
    const layer = bigLayer(1);
    const made = make(cpu, layer);
    const began = performance.now();
    const call = forward(made, layer.input, AbortSignal.abort(new Error('enough')));
    await expect(call.then(({ shape }) => shape)).rejects.toThrow('enough');
    expect(performance.now() - began).toBeLessThan(100);
    made.layer.destroy();
    cpu.dispose();
  });
});

test('a late worker is not waited for, but by float16 results, which are rounded where it may write', async () => {
  let left = 0;
  intercept((message, send) => {
    if (message.kind !== 'jobs') {
      send(message);
      return;
    }
    // Inside, while its core does something else.
    const { words } = message.board;
    Atomics.add(words, INSIDE, 1);
    setTimeout(() => {
      left++;
      Atomics.sub(words, INSIDE, 1);
      send(message);
    }, 300);
  });
  const cpu = new EagerCpu(ways['relaxed SIMD on two threads and the calling one']!);
  for (const dtype of ['float32', 'float16'] as const) {
    const layer: Layer = {
      input: floatTensor([2, 16, 20, 20], 1, dtype),
      weight: floatTensor([16, 16, 3, 3], 2, dtype),
      bias: undefined,
      options: {},
    };
    const made = make(cpu, layer);
    await made.layer.prepare(made.plan);
    left = 0;
    const result = await forward(made, layer.input);
    expect(left).toBe(dtype === 'float32' ? 0 : 2);
    expect(mismatch(result, layer, { lane: 'float', output: dtype })).toBeUndefined();
    made.layer.destroy();
    await expect.poll(() => left).toBe(2);
  }
  cpu.dispose();
});

test('workers that gain nothing are let alone but for a try now and then, and are back once they gain', async () => {
  let asked = 0;
  let helping = false;
  // A worker's part is played here: all jobs but one, in no time, or none.
  intercept((message, send) => {
    if (message.kind !== 'jobs') {
      send(message);
      return;
    }
    asked++;
    const { jobs, words } = message.board;
    const done = helping ? jobs - 1 : 0;
    words[NEXT] = words[DONE] = done;
    words.fill(1, JOBS, JOBS + done);
  });
  const cpu = new EagerCpu({ ...ways['relaxed SIMD on three threads']!, threads: 1, caller: true });
  const input = floatTensor([1, 64, 16, 16], 1);
  const made = make(cpu, {
    input,
    weight: floatTensor([64, 64, 3, 3], 2),
    bias: undefined,
    options: {},
  });
  await made.layer.prepare(made.plan);
  const askedIn = async (calls: number): Promise<number> => {
    asked = 0;
    for (let call = 0; call < calls; call++) await forward(made, input);
    return asked;
  };
  expect(await askedIn(400)).toBeLessThan(80);
  helping = true;
  // For as long as this thread has its core.
  await expect.poll(() => askedIn(50), { interval: 0, timeout: 20_000 }).toBe(50);
  made.layer.destroy();
  cpu.dispose();
});

test('a kernel of 200,000 columns', async () => {
  const weight = integerTensor([1, 1, 1, 200_000], 1);
  const input = { shape: [1, 1, 1, 1], data: Float32Array.of(1) };
  const values = valuesOf(await convTranspose2d(input, weight, null, { device: 'cpu' }));
  expect(values.every((value, i) => value === weight.data[i])).toBe(true);
});

test.each([
  [1, 2, 4e6],
  [2, 1, 4e6],
  [2, 2, 2000],
])('a kernel of %i × %i, its taps %i outputs apart', async (height, width, dilation) => {
  const weight = integerTensor([2, 1, height, width], 1);
  const input = integerTensor([1, 2, 1, 2], 2);
  const bias = integerTensor([1], 3);
  const options = { dilation, activation: 'relu' } as const;
  const result = await convTranspose2d(input, weight, bias, { ...options, device: 'cpu' });
  expect(mismatch(result, { input, weight, bias, options }, { lane: 'exact' })).toBeUndefined();
});

test('small work stays on the calling thread, which helps with more, and not with what is long', () => {
  const cpu = new Cpu({ variant: 'relaxed-simd', workers: true, shared: true, threads: 2 });
  expect(cpu.crewFor(2e7, 2e6)).toEqual({ workers: 0, caller: true });
  expect(cpu.crewFor(5e7, 2e6)).toEqual({ workers: 1, caller: true });
  expect(cpu.crewFor(1e9, 2e6)).toEqual({ workers: 1, caller: true });
  expect(cpu.crewFor(1e10, 2e6)).toEqual({ workers: 2, caller: false });
});

test('threads and one thread give the same numbers, bit by bit', async () => {
  const layer: Layer = {
    input: floatTensor([2, 40, 37, 41], 1),
    weight: floatTensor([40, 24, 4, 4], 2),
    bias: floatTensor([24], 3),
    options: { stride: 2, padding: 1, activation: 'gelu' },
  };
  const results: HostTensor[] = [];
  for (const settings of Object.values(ways).filter(({ variant }) => variant === 'relaxed-simd')) {
    const cpu = new EagerCpu(settings);
    const made = make(cpu, layer);
    const output = { shape: made.plan.plan.outputShape, data: new Float32Array(made.plan.outputElements) };
    expect(await made.layer.forward(made.plan, layer.input, output, undefined)).toBe(output);
    results.push(output);
    made.layer.destroy();
    cpu.dispose();
  }
  expect(results.length).toBe(5);
  for (const result of results) expect(valuesOf(result)).toEqual(valuesOf(results[0]!));
});

describe.each(inBackground)('%s', (_, settings) => {
  test('a long call never holds the page for 50 ms', async () => {
    const cpu = new Cpu(settings);
    const big = bigLayer();
    const made = make(cpu, big);
    await made.layer.prepare(made.plan);
    let result: HostTensor | undefined;
    const began = performance.now();
    const hold = await longestHold(async () => {
      result = await forward(made, big.input);
    });
    expect(performance.now() - began).toBeGreaterThan(500);
    // In the middle, all 36 taps of all channels.
    expect(result?.data[82 * 165 + 82]).toBe(128 * 36);
    expect(hold).toBeLessThan(50);
    made.layer.destroy();
    cpu.dispose();
  });

  test('large tensors never hold the page for 50 ms', async () => {
    const cpu = new Cpu(settings);
    const input = { shape: [1, 16, 1024, 1024], data: new Float32Array(2 ** 24).fill(1) };
    const weight = { shape: [16, 1, 2, 2], data: new Float32Array(64).fill(1) };
    const made = make(cpu, { input, weight, bias: undefined, options: { stride: 2, groups: 16 } });
    await made.layer.prepare(made.plan);
    const output = { shape: made.plan.plan.outputShape, data: new Float32Array(made.plan.outputElements) };
    const hold = await longestHold(() => made.layer.forward(made.plan, input, output, undefined));
    expect(output.data.every((value) => value === 1)).toBe(true);
    expect(hold).toBeLessThan(50);
    made.layer.destroy();
    cpu.dispose();
  });

  test('many short calls, one after the other, never hold the page for 50 ms', async () => {
    const cpu = new Cpu(settings);
    const input = { shape: [1, 8, 32, 32], data: new Float32Array(8 * 32 * 32).fill(1) };
    const weight = { shape: [8, 8, 2, 2], data: new Float32Array(256).fill(1) };
    const made = make(cpu, { input, weight, bias: undefined, options: { stride: 2 } });
    await made.layer.prepare(made.plan);
    const began = performance.now();
    let calls = 0;
    const hold = await longestHold(async () => {
      for (; performance.now() - began < 600; calls++) await forward(made, input);
    });
    expect(calls).toBeGreaterThan(10);
    expect(hold).toBeLessThan(50);
    made.layer.destroy();
    cpu.dispose();
  });

  test('an abort in the middle is heard at once, and the layer goes on', async () => {
    const cpu = new EagerCpu(settings);
    const big = bigLayer();
    const made = make(cpu, big);
    await made.layer.prepare(made.plan);
    const controller = new AbortController();
    const call = forward(made, big.input, controller.signal);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const began = performance.now();
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(performance.now() - began).toBeLessThan(100);

    const small: Layer = { ...big, input: integerTensor([1, 128, 3, 3], 1) };
    const { plan } = make(cpu, small);
    const next = await made.layer.forward(plan, small.input, undefined, undefined);
    expect(mismatch(next, small, { lane: 'exact' })).toBeUndefined();
    // The abandoned call has left the worker: what comes next does not wait for the rest of it.
    expect(performance.now() - began).toBeLessThan(500);
    made.layer.destroy();
    cpu.dispose();
  });

  test('destroy in the middle rejects with DESTROYED', async () => {
    const cpu = new EagerCpu(settings);
    const big = bigLayer();
    const made = make(cpu, big);
    const call = forward(made, big.input);
    setTimeout(() => {
      made.layer.destroy();
    }, 150);
    await expect(call).rejects.toMatchObject({ code: 'DESTROYED' });
    cpu.dispose();
  });

  test('a worker that dies rejects its calls, and is replaced', async () => {
    const cpu = new EagerCpu(settings);
    const big = bigLayer();
    const made = make(cpu, big);
    await made.layer.prepare(made.plan);
    const call = forward(made, big.input);
    setTimeout(() => {
      // As a browser tells of it.
      workers[0]!.dispatchEvent(new ErrorEvent('error', { message: 'out of memory' }));
    }, 150);
    await expect(call).rejects.toThrow(ConvTranspose2dError);
    await expect(call).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    expect(alive.size).toBe(0);

    const small: Layer = { ...big, input: integerTensor([1, 128, 3, 3], 1) };
    const { plan } = make(cpu, small);
    const next = await made.layer.forward(plan, small.input, undefined, undefined);
    expect(mismatch(next, small, { lane: 'exact' })).toBeUndefined();
    expect(alive.size).toBe(settings.threads);
    made.layer.destroy();
    cpu.dispose();
    await expect.poll(() => alive.size).toBe(0);
  });

  test('an error in a worker rejects the calls that it was on, and the worker is replaced', async () => {
    const cpu = new EagerCpu(settings);
    const big = bigLayer();
    const made = make(cpu, big);
    await made.layer.prepare(made.plan);
    // No message of ours: the worker's handler throws before it comes to the call's.
    workers[0]!.postMessage(null);
    await expect(forward(made, big.input)).rejects.toMatchObject({
      code: 'DEVICE_LOST',
      message: expect.stringMatching(/TypeError/) as string,
    });
    expect(alive.size).toBe(0);
    const small: Layer = { ...big, input: integerTensor([1, 128, 3, 3], 1) };
    const next = await made.layer.forward(make(cpu, small).plan, small.input, undefined, undefined);
    expect(mismatch(next, small, { lane: 'exact' })).toBeUndefined();
    made.layer.destroy();
    cpu.dispose();
    await expect.poll(() => alive.size).toBe(0);
  });

  test('workers end a while after the last layer, and calls in between find them again', async () => {
    const cpu = new EagerCpu(settings);
    const layer: Layer = { ...bigLayer(), input: integerTensor([1, 128, 3, 3], 1) };
    for (let i = 0; i < 3; i++) {
      const made = make(cpu, layer);
      await forward(made, layer.input);
      made.layer.destroy();
    }
    expect(workers.length).toBe(settings.threads);
    expect(alive.size).toBe(settings.threads);
    await expect.poll(() => alive.size, { timeout: 5000 }).toBe(0);
    const made = make(cpu, layer);
    expect(mismatch(await forward(made, layer.input), layer, { lane: 'exact' })).toBeUndefined();
    expect(workers.length).toBe(2 * settings.threads);
    made.layer.destroy();
    cpu.dispose();
  });

  test('a worker that cannot start is ended, and calls run on the page', async () => {
    intercept((message, send) => {
      send(message.kind === 'start' ? { ...message, module: {} } : message);
    });
    const cpu = new EagerCpu(settings);
    const layer: Layer = { ...bigLayer(), input: integerTensor([1, 128, 3, 3], 1) };
    const made = make(cpu, layer);
    expect(mismatch(await forward(made, layer.input), layer, { lane: 'exact' })).toBeUndefined();
    expect(workers.length).toBe(settings.threads);
    await expect.poll(() => alive.size).toBe(0);
    made.layer.destroy();
    cpu.dispose();
  });

  test('where workers may not be made, calls run on the page, in slices', async () => {
    globalThis.Worker = function () {
      throw new DOMException('no', 'SecurityError');
    } as unknown as typeof Worker;
    const cpu = new EagerCpu(settings);
    const big = bigLayer(1);
    const made = make(cpu, big);
    await made.layer.prepare(made.plan);
    const hold = await longestHold(() => forward(made, big.input));
    expect(hold).toBeLessThan(50);
    made.layer.destroy();
    cpu.dispose();
  });
});

describe.each(Object.entries(ways).filter(([, { variant }]) => variant))('%s: memory', (_, settings) => {
  test('a call too large gives OUT_OF_MEMORY, and leaves the layer usable', async () => {
    const cpu = new EagerCpu(settings);
    const small: Layer = {
      input: integerTensor([1, 1, 3, 3], 1),
      weight: integerTensor([1, 64, 3, 3], 2),
      bias: undefined,
      options: { stride: 8 },
    };
    const { layer, plan } = make(cpu, small);
    const huge = { shape: [1, 1, 600, 600], data: new Float32Array(360_000) };
    // 64 × 4795² float32: more than WebAssembly's addresses reach.
    const large = make(cpu, { ...small, input: huge });
    await expect(large.layer.forward(large.plan, huge, undefined, undefined)).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
    });
    for (const made of [
      { layer, plan },
      { layer: large.layer, plan },
    ]) {
      expect(mismatch(await forward(made, small.input), small, { lane: 'exact' })).toBeUndefined();
    }
    layer.destroy();
    large.layer.destroy();
    cpu.dispose();
  });

  test('calls and layers use the same memory again', async () => {
    const grown: number[] = [];
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its memory below
    const grow = WebAssembly.Memory.prototype.grow;
    WebAssembly.Memory.prototype.grow = function (pages) {
      grown.push(pages);
      return grow.call(this, pages);
    };
    const cpu = new EagerCpu({ ...settings, workers: settings.workers && settings.shared });
    const layer: Layer = {
      input: floatTensor([1, 32, 40, 40], 1),
      weight: floatTensor([32, 32, 3, 3], 2),
      bias: undefined,
      options: {},
    };
    try {
      let first = 0;
      for (let i = 0; i < 20; i++) {
        const made = make(cpu, layer);
        await forward(made, layer.input);
        made.layer.loadHost({ weight: layer.weight });
        await forward(made, layer.input);
        made.layer.destroy();
        await Promise.resolve();
        if (i === 0) first = total(grown);
      }
      expect(first).toBeGreaterThan(0);
      // One more block for each worker, since one that is late with a call still has its memory.
      expect(total(grown)).toBeLessThanOrEqual((1 + settings.threads) * first);
    } finally {
      WebAssembly.Memory.prototype.grow = grow;
      cpu.dispose();
    }
  });
});

test('weights that are not finite spoil what they reach, and nothing else', async () => {
  const options: ConvTranspose2dOptions = { stride: 2, padding: 1 };
  const weight = floatTensor([2, 3, 3, 3], 1);
  weight.data[4] = Infinity;
  weight.data[30] = NaN;
  const input = floatTensor([1, 2, 5, 5], 2);
  const result = await convTranspose2d(input, weight, null, { ...options, device: 'cpu' });
  expect(mismatch(result, { input, weight, options }, { lane: 'spoiled' })).toBeUndefined();
});

test('the plan names the kernel and says why, with the weights that are loaded', () => {
  const layer = new ConvTranspose2d(2, 3, 3, { device: 'cpu', bias: false });
  const plan = (): Pick<Plan, 'kernel' | 'reason'> => layer.plan([1, 2, 4, 4]);
  expect(plan()).toMatchObject({
    kernel: 'wasm-relaxed-simd',
    reason: expect.stringMatching(/multiply-add/) as string,
  });
  const weight = floatTensor([2, 3, 3, 3], 1);
  layer.loadStateDict({ weight: withValues(weight, { 7: NaN }) });
  expect(plan()).toMatchObject({ kernel: 'plain', reason: expect.stringMatching(/finite/) as string });
  layer.loadStateDict({ weight });
  expect(plan().kernel).toBe('wasm-relaxed-simd');
  layer.destroy();
});

test.each(['float32', 'float16'] as const)(
  '16 million weights of %s are packed without holding the page',
  async (dtype) => {
    const cpu = new Cpu(ways['relaxed SIMD on three threads']!);
    const shape = [1024, 1024, 4, 4];
    const count = 2 ** 24;
    const weight: HostTensor =
      dtype === 'float32'
        ? { shape, data: new Float32Array(count).fill(1) }
        : { shape, data: new Uint16Array(count).fill(0x3c00), dtype };
    const input: HostTensor =
      dtype === 'float32'
        ? { shape: [1, 1024, 1, 1], data: new Float32Array(1024).fill(1) }
        : { shape: [1, 1024, 1, 1], data: new Uint16Array(1024).fill(0x3c00), dtype };
    const made = make(cpu, { input, weight, bias: undefined, options: {} });
    expect(await longestHold(() => made.layer.prepare(made.plan))).toBeLessThan(50);
    expect(valuesOf(await forward(made, input)).every((value) => value === 1024)).toBe(true);
    made.layer.destroy();
    cpu.dispose();
  },
);
