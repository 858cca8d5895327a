// The CPU path's workers: late, idle, dying, refused; calls are stopped, and what is left goes on.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ToWorker } from '../../src/cpu/messages.ts';
import { inSlices, SLICE } from '../../src/cpu/slices.ts';
import { workerSource } from '../../src/cpu/worker-source.ts';
import { ConvTranspose2dError } from '../../src/index.ts';
import type { Layer } from '../support/arbitraries.ts';
import { bigLayer, EagerCpu, firstWrong, forward, inBackground, inThisTurn, make, ways } from '../support/cpu-ways.ts';
import { longestHold } from '../support/longest-hold.ts';
import { floatTensor, integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

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

function* oneSlice(): Generator<void, void> {
  for (const end = performance.now() + SLICE; performance.now() < end;);
  yield;
}

test('the page is cross-origin isolated, as this file needs it', () => {
  expect(crossOriginIsolated).toBe(true);
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
  await expect.poll(() => askedIn(50), { interval: 0 }).toBe(50);
  made.layer.destroy();
  cpu.dispose();
});

test('where some workers cannot start, the others compute', async () => {
  let asked = 0;
  let started = 0;
  intercept((message, send) => {
    if (message.kind === 'jobs') asked++;
    send(message.kind === 'start' && started++ === 0 ? { ...message, module: {} } : message);
  });
  const cpu = new EagerCpu(ways['relaxed SIMD on three threads']!);
  const layer: Layer = { ...bigLayer(), input: integerTensor([1, 128, 3, 3], 1) };
  const made = make(cpu, layer);
  expect(mismatch(await forward(made, layer.input), layer, { lane: 'exact' })).toBeUndefined();
  expect(asked).toBe(2);
  made.layer.destroy();
  cpu.dispose();
});

test('where there is no memory for the output, no worker begins', async () => {
  let asked = 0;
  intercept((message, send) => {
    if (message.kind === 'jobs') asked++;
    send(message);
  });
  const cpu = new EagerCpu(ways['relaxed SIMD on three threads']!);
  const layer = bigLayer(1);
  const made = make(cpu, layer);
  await made.layer.prepare(made.plan);
  const Whole = ArrayBuffer;
  globalThis.ArrayBuffer = class extends Whole {
    constructor(bytes: number) {
      if (bytes === 4 * made.plan.outputElements) throw new RangeError('no memory');
      super(bytes);
    }
  } as ArrayBufferConstructor;
  try {
    await expect(forward(made, layer.input)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  } finally {
    globalThis.ArrayBuffer = Whole;
  }
  expect(asked).toBe(0);
  expect(firstWrong(await forward(made, layer.input))).toBe(-1);
  made.layer.destroy();
  cpu.dispose();
});

test('memory that a late worker may write to is no other call’s, also where another worker has failed', async () => {
  const places: number[] = [];
  const late: (() => void)[] = [];
  intercept((message, send) => {
    if (message.kind !== 'jobs') {
      send(message);
      return;
    }
    const { input } = message.addresses;
    places.push(input);
    if (places.length === 1) {
      send({ ...message, addresses: { ...message.addresses, work: 2 ** 33 } });
    } else if (input === places[0] && late.length === 0) {
      late.push(() => {
        send(message);
      });
    } else send(message);
  });
  const cpu = new EagerCpu(ways['relaxed SIMD on three threads']!);
  const layer = bigLayer(1);
  const made = make(cpu, layer);
  await made.layer.prepare(made.plan);
  await expect(forward(made, layer.input)).rejects.toThrow('typed array');
  const failed = places.length;
  expect(firstWrong(await forward(made, layer.input))).toBe(-1);
  expect(late.length).toBe(1);
  expect(places[failed]).not.toBe(places[0]);
  for (const send of late) send();
  made.layer.destroy();
  cpu.dispose();
});

describe.each(inBackground)('%s', (_, settings) => {
  test('an abort in the middle is heard at once, and the layer goes on', async () => {
    const cpu = new EagerCpu(settings);
    const big = bigLayer();
    const made = make(cpu, big);
    await made.layer.prepare(made.plan);
    const small: Layer = { ...big, input: integerTensor([1, 128, 3, 3], 1) };
    const { plan } = make(cpu, small);
    const abortAndGoOn = async (): Promise<number> => {
      const controller = new AbortController();
      const call = forward(made, big.input, controller.signal);
      await new Promise((resolve) => setTimeout(resolve, 150));
      const began = performance.now();
      controller.abort(new Error('enough'));
      expect(await inThisTurn(call)).toMatchObject({ message: 'enough' });
      const next = await made.layer.forward(plan, small.input, undefined, undefined);
      expect(mismatch(next, small, { lane: 'exact' })).toBeUndefined();
      return performance.now() - began;
    };
    // The abandoned call has left the worker: what comes next does not wait for the rest of it. Others may hold the machine up.
    let waited = Infinity;
    for (let attempt = 0; attempt < 5 && !(waited < 500); attempt++) waited = await abortAndGoOn();
    expect(waited).toBeLessThan(500);
    made.layer.destroy();
    cpu.dispose();
  });

  test('an abort between any two steps of a call is heard in the same turn, or the result is right', async () => {
    // Workers never answer: whoever waits for one waits for the abort alone.
    intercept((message, send) => {
      if (message.kind !== 'jobs' && message.kind !== 'forward') send(message);
    });
    const cpu = new EagerCpu(settings);
    const shape = [1, 128, 3, 3];
    const layer: Layer = { ...bigLayer(), input: integerTensor(shape, 1) };
    const made = make(cpu, layer);
    await made.layer.prepare(made.plan);
    for (let steps = 0; steps < 40; steps++) {
      const controller = new AbortController();
      // Another each time, since the memory still has the results of the last.
      const input = integerTensor(shape, steps);
      // A slice has just begun, so that the call takes no turn of its own.
      await inSlices(oneSlice());
      const call = forward(made, input, controller.signal);
      for (let step = 0; step < steps; step++) await Promise.resolve();
      controller.abort(new Error('enough'));
      const reason = await inThisTurn(call);
      if (reason !== undefined) expect(reason, `${steps} steps`).toMatchObject({ message: 'enough' });
      else expect(mismatch(await call, { ...layer, input }, { lane: 'exact' }), `${steps} steps`).toBeUndefined();
    }
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

  test('a worker that fails at its part of a call says so, or the result is right', async () => {
    intercept((message, send) => {
      if (message.kind === 'jobs') send({ ...message, addresses: { ...message.addresses, work: 2 ** 33 } });
      else if (message.kind === 'forward') send({ ...message, task: { ...message.task, plan: null! } });
      else send(message);
    });
    const cpu = new EagerCpu(settings);
    const layer = bigLayer(1);
    const made = make(cpu, layer);
    await made.layer.prepare(made.plan);
    const result = await forward(made, layer.input).catch((error: unknown) => {
      expect(error).toMatchObject({ message: expect.stringMatching(/typed array|null/) as string });
    });
    if (result) expect(firstWrong(result)).toBe(-1);
    made.layer.destroy();
    cpu.dispose();
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
    await expect.poll(() => alive.size).toBe(0);
    const made = make(cpu, layer);
    expect(mismatch(await forward(made, layer.input), layer, { lane: 'exact' })).toBeUndefined();
    expect(workers.length).toBe(2 * settings.threads);
    made.layer.destroy();
    cpu.dispose();
  });

  async function computesWithoutWorkers(): Promise<void> {
    const cpu = new EagerCpu(settings);
    const layer: Layer = { ...bigLayer(), input: integerTensor([1, 128, 3, 3], 1) };
    const made = make(cpu, layer);
    expect(mismatch(await forward(made, layer.input), layer, { lane: 'exact' })).toBeUndefined();
    expect(workers.length).toBe(settings.threads);
    await expect.poll(() => alive.size).toBe(0);
    made.layer.destroy();
    cpu.dispose();
  }

  test('a worker that cannot start is ended, and calls run on the page', async () => {
    intercept((message, send) => {
      send(message.kind === 'start' ? { ...message, module: {} } : message);
    });
    await computesWithoutWorkers();
  });

  test('a worker that cannot read its module or memory is ended, and calls run on the page', async () => {
    // As a browser tells a worker of it that may not have them.
    const unread = `addEventListener('message', (event) => {
      event.stopImmediatePropagation();
      dispatchEvent(new MessageEvent('messageerror'));
    });`;
    const Made = Worker;
    globalThis.Worker = class extends Made {
      constructor(_: string | URL, options?: WorkerOptions) {
        super(URL.createObjectURL(new Blob([unread, workerSource])), options);
      }
    };
    await computesWithoutWorkers();
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
