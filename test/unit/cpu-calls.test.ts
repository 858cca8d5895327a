// Whom the CPU's engine keeps weights for: nobody's stay when their layer has let them go.
import { expect, test } from 'vitest';
import { CpuCalls } from '../../src/cpu/calls.ts';
import { Cpu } from '../../src/cpu/cpu.ts';
import { LoadedState } from '../../src/cpu/state.ts';
import { wasmVariant } from '../../src/cpu/variant.ts';
import { resolveOptions } from '../../src/options.ts';
import { planLayer } from '../../src/plan.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const { spec } = resolveOptions(2, 3, 3, { stride: 2, bias: false });
const input = integerTensor([1, 2, 4, 4], 1);
const layerPlan = planLayer(spec, input.shape, undefined, capabilitiesOf('cpu', 'a test'));
const stateOf = (seed: number): LoadedState => new LoadedState({ weight: integerTensor([2, 3, 3, 3], seed) });
const never = new AbortController().signal;

/** A CPU, and the addresses of the weights that its engine has. */
async function watched(): Promise<{ cpu: Cpu; kept: Set<number> }> {
  const cpu = new Cpu({ variant: wasmVariant(), workers: false, shared: false, threads: 1 });
  const engine = (await cpu.engineFor({ workers: 0, caller: true }))!;
  const kept = new Set<number>();
  const [load, unload] = [engine.load.bind(engine), engine.unload.bind(engine)];
  engine.load = async (packed) => {
    const address = await load(packed);
    kept.add(address);
    return address;
  };
  engine.unload = (address) => {
    kept.delete(address);
    unload(address);
  };
  return { cpu, kept };
}

test('other weights are loaded while a shape is prepared', async () => {
  const { cpu, kept } = await watched();
  const calls = new CpuCalls(spec, cpu);
  const [before, after] = [stateOf(1), stateOf(2)];
  const prepared = calls.prepare(layerPlan, before);
  const output = await calls.forward(layerPlan, after, input, undefined, never);
  await prepared;
  expect(mismatch(output, { input, weight: after.weight, options: { stride: 2 } }, { lane: 'exact' })).toBeUndefined();
  expect(kept.size).toBe(1);
  calls.destroy();
  await Promise.resolve();
  expect(kept.size).toBe(0);
});

test('the layer is destroyed while a shape is prepared', async () => {
  const { cpu, kept } = await watched();
  const calls = new CpuCalls(spec, cpu);
  const prepared = calls.prepare(layerPlan, stateOf(1));
  calls.destroy();
  await prepared;
  await Promise.resolve();
  expect(kept.size).toBe(0);
});
