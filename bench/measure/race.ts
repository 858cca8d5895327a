import type { Contender, Instance } from '../contenders/contender.ts';
import { makeProblem, type Layer } from '../layer.ts';
import { check, expect } from './check.ts';
import { median } from './statistics.ts';

/** One contender on one layer; without a time when it refused, failed or was wrong. */
export interface Row {
  readonly layer: string;
  readonly contender: string;
  readonly adapter: string;
  readonly setting: string;
  readonly medianMs: number | null;
  readonly minMs: number | null;
  readonly maxMs: number | null;
  readonly gflops: number | null;
  readonly maxError: number | null;
  readonly error?: string;
}

/** The rows of a layer, each ranked contender's times by round, and the control: one contender twice. */
export interface Race {
  readonly rows: readonly Row[];
  readonly times: Readonly<Record<string, readonly number[]>>;
  readonly control: { readonly contender: string; readonly ratios: readonly number[] } | null;
}

export interface RaceOptions {
  readonly rounds: number;
  /** A sample repeats a run until it takes about this long. */
  readonly sampleMs: number;
  /** A contender that takes longer for one run is left out. */
  readonly maxRunMs: number;
  /** Awaited, so that whoever shows it does not do so beside a sample. */
  readonly progress: (what: string) => Promise<void>;
}

interface Racer {
  readonly name: string;
  readonly contender: Contender;
  readonly setting: string;
  readonly instance: Instance;
  readonly maxError: number;
  readonly repeats: number;
  readonly samples: number[];
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Milliseconds of a run. */
async function time(instance: Instance, repeats: number): Promise<number> {
  const { abreast = 1 } = instance;
  const start = performance.now();
  await instance.run(repeats);
  return (performance.now() - start) / (repeats * abreast);
}

/** Warms an instance up that has run once: compilers and caches settle over eight runs or half a second. */
async function warmUp(instance: Instance): Promise<number> {
  const start = performance.now();
  let fastest = Infinity;
  for (let i = 0; i < 8 && (i === 0 || performance.now() - start < 500); i++) {
    fastest = Math.min(fastest, await time(instance, 1));
  }
  // A single short run is mostly waiting; a few in one go tell better.
  return fastest < 5 ? Math.min(fastest, await time(instance, 10)) : fastest;
}

/** Races the contenders over one layer: each is checked first, then all take turns, each round beginning with the next one. */
export async function race(layer: Layer, contenders: readonly Contender[], options: RaceOptions): Promise<Race> {
  const problem = makeProblem(layer);
  await options.progress('reference');
  const expected = expect(problem);
  const rows: Row[] = [];
  const racers: Racer[] = [];

  for (const contender of contenders) {
    const none = { medianMs: null, minMs: null, maxMs: null, gflops: null };
    const about = { layer: layer.name, contender: contender.name, adapter: await contender.adapter() };
    const failures: Row[] = [];
    let best: { racer: Racer; estimate: number } | undefined;
    for (const setting of contender.settings) {
      await options.progress(`${contender.name} (${setting})`);
      let instance: Instance | undefined;
      try {
        instance = await contender.create(problem, setting);
        const firstMs = await time(instance, 1);
        if (firstMs > options.maxRunMs) throw new Error(`left out: one run takes ${(firstMs / 1000).toFixed(0)} s`);
        const { maxError, right } = check(await instance.read(), expected);
        if (!right) {
          failures.push({ ...about, setting, ...none, maxError, error: 'wrong result' });
          await instance.dispose();
          continue;
        }
        const estimate = await warmUp(instance);
        if (best && best.estimate <= estimate) {
          await instance.dispose();
          continue;
        }
        await best?.racer.instance.dispose();
        const repeats = Math.max(
          1,
          Math.min(1000, Math.round(options.sampleMs / (estimate * (instance.abreast ?? 1)))),
        );
        best = {
          estimate,
          racer: { name: contender.name, contender, setting, instance, maxError, repeats, samples: [] },
        };
      } catch (error) {
        failures.push({ ...about, setting, ...none, maxError: null, error: message(error) });
        await instance?.dispose().catch(() => undefined);
      }
    }
    if (best) racers.push(best.racer);
    else rows.push(...failures.slice(0, 1));
  }

  const twin = racers[0];
  const control = twin && {
    ...twin,
    name: `${twin.name} again`,
    instance: await twin.contender.create(problem, twin.setting),
    samples: [] as number[],
  };
  if (control) {
    await control.instance.run(1);
    await warmUp(control.instance);
  }
  const runners = control ? [...racers, control] : racers;
  for (let round = 0; round < options.rounds; round++) {
    await options.progress(`round ${round + 1}/${options.rounds}`);
    for (let turn = 0; turn < runners.length; turn++) {
      const racer = runners[(round + turn) % runners.length];
      if (!racer) continue;
      racer.samples.push(await time(racer.instance, racer.repeats));
    }
  }
  for (const { contender, setting, samples, maxError } of racers) {
    const medianMs = median(samples);
    rows.push({
      layer: layer.name,
      contender: contender.name,
      adapter: await contender.adapter(),
      setting,
      medianMs,
      minMs: Math.min(...samples),
      maxMs: Math.max(...samples),
      gflops: problem.flops / medianMs / 1e6,
      maxError,
    });
  }
  for (const { instance } of runners) await instance.dispose();
  return {
    rows,
    times: Object.fromEntries(racers.map(({ name, samples }) => [name, samples])),
    control: control
      ? { contender: control.contender.name, ratios: control.samples.map((ms, i) => ms / (twin.samples[i] ?? NaN)) }
      : null,
  };
}
