// Random sequences of calls on two layers that share a device, against a model that says what each may come to.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Count } from '../support/count.ts';
import { runs, testDevice } from '../support/gpu.ts';
import { sequences } from '../support/sequence-acts.ts';
import { Game } from '../support/sequence-game.ts';

/** The same sequences in every run; more, or others, by the environment. */
const RUNS = Number(import.meta.env['VITE_RUNS'] ?? 12);
const SEED = Number(import.meta.env['VITE_SEED'] ?? 9);

test.each(['cpu', 'emulated GPU', 'GPU', 'GPU of tight limits'] as const)('on a %s', async (where) => {
  const met = new Set<string>();
  let made = 0;
  const newDevice = async (): Promise<GPUDevice | 'cpu'> =>
    where === 'cpu' ? where : pretending(await testDevice({ label: `${where} ${made++}` }), where);
  let spare: ReturnType<typeof counted> | undefined;
  const property = fc.asyncProperty(sequences, async (sequence) => {
    const { lose } = sequence;
    const on = (lose ? undefined : spare) ?? counted(await newDevice());
    // Not played on again after a failure.
    if (on === spare) spare = undefined;
    const game = new Game(on.device, sequence, where === 'GPU of tight limits' ? ['UNSUPPORTED'] : []);
    await game.play();
    for (const what of game.met.keys()) met.add(what);
    if (lose) return;
    expect([...(on.count?.live.values() ?? [])]).toEqual([]);
    spare = on;
  });
  await fc.assert(property, { numRuns: runs(RUNS), seed: SEED });
  const onGpu = where === 'cpu' ? ['UNSUPPORTED'] : ['recorded', 'GPU_ERROR', 'DEVICE_LOST'];
  expect([...met]).toEqual(expect.arrayContaining(['right', 'ABORTED', 'DESTROYED', 'INVALID_ARGUMENT', ...onGpu]));
});

const counted = (device: GPUDevice | 'cpu'): { device: GPUDevice | 'cpu'; count: Count | undefined } => ({
  device,
  count: device === 'cpu' ? undefined : new Count(device),
});

/** The adapter of the tests is emulated; what it says of itself and of its limits is what kernels are chosen by. */
function pretending(device: GPUDevice, where: 'emulated GPU' | 'GPU' | 'GPU of tight limits'): GPUDevice {
  if (where !== 'emulated GPU')
    Object.defineProperty(device, 'adapterInfo', { value: { vendor: 'passes for hardware' } });
  if (where !== 'GPU of tight limits') return device;
  const limits: Record<string, unknown> = {};
  for (const name in device.limits) limits[name] = device.limits[name as keyof GPUSupportedLimits];
  Object.defineProperty(device, 'limits', { value: { ...limits, maxStorageBufferBindingSize: 1024 } });
  return device;
}
