// The words of a plan, read by the names and the order of assembly/plan.ts: nothing else ties the two.
import { expect, test } from 'vitest';
import planSource from '../../assembly/plan.ts?raw';
import activationSource from '../../assembly/activation.ts?raw';
import { rowBlocks } from '../../src/cpu/wasm-families.ts';
import { tilingOf, type Tiled, type WasmPlan, type WasmTiling } from '../../src/cpu/wasm-plan.ts';
import { planOf } from '../../src/cpu/wasm-words.ts';
import type { Reach } from '../../src/cpu/wasm-axes.ts';
import { resolveOptions } from '../../src/options.ts';
import { planLayer } from '../../src/plan.ts';
import { ACTIVATIONS, type ConvTranspose2dOptions } from '../../src/types.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';

/** The fields of each class, in their order; all are words. */
const classes = new Map(
  [...planSource.matchAll(/^export class (\w+) \{\n(.*?)^\}/gms)].map(([, name, body]) => {
    const fields = [...body!.matchAll(/^ {2}(\w+): (.*);/gm)];
    for (const [, field, type] of fields) expect(['i32', 'usize', 'f32'], field).toContain(type);
    return [name!, fields.map(([, field]) => field!)];
  }),
);

/** The constants of a file, by name. */
const constantsOf = (source: string): Record<string, number> =>
  Object.fromEntries([...source.matchAll(/^(?:export )?const ([A-Z\d_]+) = (\d+);/gm)].map(([, k, v]) => [k!, +v!]));

type Fields = Record<string, number>;

const read = (words: Int32Array, name: string, at: number): Fields =>
  Object.fromEntries(classes.get(name)!.map((field, i) => [field, words[at / 4 + i]!]));

/** All of a class from one place to the next. */
function readAll(words: Int32Array, name: string, from: number, end: number): Fields[] {
  const bytes = 4 * classes.get(name)!.length;
  expect((end - from) % bytes, name).toBe(0);
  return Array.from({ length: (end - from) / bytes }, (_, i) => read(words, name, from + i * bytes));
}

const isPlace = (name: string): boolean => /(At|End)$/.test(name);

interface Layer {
  readonly input: readonly number[];
  readonly outChannels: number;
  readonly kernel: readonly [number, number];
  readonly options: ConvTranspose2dOptions;
}

const layers: Record<string, Layer> = {
  'panels of eight, the axes swapped': {
    input: [2, 15, 11, 2],
    outChannels: 60,
    kernel: [4, 5],
    options: { stride: [2, 3], groups: 3, activation: 'leaky-relu', negativeSlope: 0.3 },
  },
  'a point': {
    input: [7, 6, 1, 1],
    outChannels: 26,
    kernel: [5, 3],
    options: { stride: [3, 2], activation: 'gelu' },
  },
  'rows of pixels with sixteen groups and more': {
    input: [2, 9, 13, 42],
    outChannels: 21,
    kernel: [4, 3],
    options: { stride: 2, groups: 21, layout: 'NHWC' },
  },
  'few channels, the taps far from each other': {
    input: [3, 6, 20, 12],
    outChannels: 5,
    kernel: [3, 5],
    options: { stride: [1, 2], dilation: [9, 40], padding: [9, 40] },
  },
};

function planned({ input, outChannels, kernel, options }: Layer): WasmTiling & WasmPlan {
  const channels = options.layout === 'NHWC' ? input[3]! : input[1]!;
  const { spec } = resolveOptions(channels, outChannels, kernel, options);
  const { parts } = planLayer(spec, input, undefined, capabilitiesOf('cpu', ''));
  const { activation, negativeSlope } = spec;
  const tiling = tilingOf({ ...parts[0]!.problem, activation, negativeSlope }, { tileBytes: 6000, rowBytes: 1 });
  return { ...tiling, ...planOf(tiling) };
}

/** What the head holds beside places in memory. */
function expectedHead({ problem: p, ...tiling }: WasmTiling): Fields {
  const { strip, results } = tiling;
  const kernels = constantsOf(planSource);
  const activations: Fields = { NONE: 0, SILU: 7, ...constantsOf(activationSource) };
  return {
    ...{ input: 0, weights: 0, output: 0, filled: -1, gathered: -1 },
    ...{ batch: 0, group: 0, count: 0, row: 0, column: 0, inputs: 0, inputsEnd: 0 },
    kernel: kernels[tiling.kernel.toUpperCase()] ?? 2,
    activation: activations[p.activation.toUpperCase().replace('-', '_')]!,
    negativeSlope: new Int32Array(Float32Array.of(p.negativeSlope).buffer)[0]!,
    ...{ inChannels: p.inChannels, outChannels: p.outChannels, groups: p.groups },
    ...{ groupsTogether: tiling.groupsTogether, groupSets: tiling.groupSets },
    ...{ parts: tiling.parts, panels: tiling.panels, panel: tiling.panel },
    biasBytes: 4 * p.groups * tiling.panels * tiling.panel,
    panelBytes: 4 * p.rows.kernel * p.columns.kernel * p.inChannels * tiling.panel,
    ...{ inputBatch: 4 * p.input.batch, inputGroup: 4 * p.input.group, inputChannel: 4 * p.input.channel },
    ...{ outputBatch: 4 * p.output.batch, outputGroup: 4 * p.output.group, outputChannel: 4 * p.output.channel },
    ...{ planeStride: strip.planeStride, stripRowStride: 4 * strip.columns },
    ...{ bands: strip.bands, bandRows: strip.bandRows, bandStep: strip.bandStep },
    selects: Number(tiling.selects),
    spread: Math.max(0, ...tiling.families.map(({ spread }) => spread)),
    ...{ resultsBytes: results.bytes, channelStride: results.channelStride, rowStride: results.rowStride },
    ...{ phaseStride: results.phaseStride, groupStride: results.groupStride },
    storeStride: tiling.groupsTogether > 1 ? results.groupStride : results.channelStride,
    runRows: results.runRows,
  };
}

function expectAxis(words: Int32Array, at: number, { reach, tile, tiles }: Tiled<Reach>, steps: Fields): void {
  const { axis, low, extent, shifts } = reach;
  const { residuesAt, ...fields } = read(words, 'Axis', at);
  const { input, output, stride } = axis;
  expect(fields).toEqual({ input, output, stride, tile, tiles, extent, low, ...steps });
  const pairs = axis.residues.flatMap(({ positions }, r) => [positions, shifts[r]!]);
  expect([...words.subarray(residuesAt! / 4, residuesAt! / 4 + pairs.length)]).toEqual(pairs);
}

test('the classes are found', () => {
  expect([...classes.keys()]).toEqual(['Plan', 'Axis', 'Band', 'Phase', 'Block', 'Row']);
  expect(constantsOf(planSource)).toEqual({ ROWS: 0, POINT: 1 });
  // As `WasmRunner` sets them for each call.
  expect(classes.get('Plan')!.slice(0, 3)).toEqual(['input', 'weights', 'output']);
  // `none` never gets there, and the last is what is left.
  expect(Object.keys(constantsOf(activationSource)).map((name) => name.toLowerCase().replace('_', '-'))).toEqual(
    ACTIVATIONS.slice(1, -1),
  );
});

test.each(Object.entries(layers))('%s: every field is what its name says', (_, layer) => {
  const plan = planned(layer);
  const { problem, words, workBytes, strip, results, phases, families } = plan;
  const head = read(words, 'Plan', 0);
  const expected = expectedHead(plan);
  const places = Object.entries(head).filter(([name]) => !(name in expected));
  expect(Object.fromEntries(Object.entries(head).filter(([name]) => name in expected))).toEqual(expected);

  // Places are in order, behind the head: tables, gathered weights, strip, results.
  expect(places.map(([name]) => name).filter((name) => !isPlace(name))).toEqual(['groupBytes']);
  const behind = 4 * classes.get('Plan')!.length;
  for (const [name, place] of places) if (name !== 'groupBytes') expect(place, name).toBeGreaterThanOrEqual(behind);
  const { gatheredAt, groupBytes, stripAt, resultsAt } = head;
  expect(gatheredAt).toBeGreaterThanOrEqual(4 * words.length);
  expect(stripAt! - gatheredAt!).toBeGreaterThanOrEqual(plan.groupsTogether * groupBytes!);
  expect(resultsAt).toBe(stripAt! + strip.bytes);
  expect(workBytes).toBeGreaterThanOrEqual(resultsAt! + results.bytes);

  const { row, column } = problem.input;
  const steps = (along: 'row' | 'column'): Fields => ({
    inputStep: 4 * (along === 'row' ? row : column),
    outputStep: 4 * problem.output[along],
  });
  expectAxis(words, head['outerAt']!, plan.outer, steps(plan.swapped ? 'column' : 'row'));
  expectAxis(words, head['innerAt']!, plan.inner, steps(plan.swapped ? 'row' : 'column'));
  expect(readAll(words, 'Band', head['columnBandsAt']!, head['columnBandsEnd']!)).toEqual(
    strip.columnBands.map(({ offset, at, columns }) => ({ offset, at: 4 * at, columns })),
  );

  const inWords = readAll(words, 'Phase', head['phasesAt']!, head['phasesEnd']!);
  expect(inWords.length).toBe(phases.length);
  for (const { index, taps } of phases) {
    const phase = inWords[index]!;
    const count = taps[0] * taps[1];
    expect(phase['taps']).toBe(count);
    expect(phase['allAt']).toBeGreaterThanOrEqual(phase['tapsAt']! + 8 * count);
    expect(phase['allEnd']! - phase['allAt']!).toBe(plan.selects ? 16 * count : 0);
  }
  expect(words[head['phaseResultsAt']! / 4]).toBeLessThan(results.bytes);

  const blocks = readAll(words, 'Block', head['blocksAt']!, head['blocksEnd']!);
  const rows = readAll(words, 'Row', head['rowsAt']!, head['rowsEnd']!);
  const sizes = families.flatMap((family) => rowBlocks(family.phases.length * plan.panel));
  expect(blocks.map((block) => block['rows'])).toEqual(sizes);
  expect(blocks.map((block) => block['positions'])).toEqual(
    families.flatMap(({ phases, spread }) => rowBlocks(phases.length * plan.panel).map(() => plan.inner.tile + spread)),
  );
  expect(rows.map(({ step }) => step)).toEqual(sizes.flatMap((size) => Array<number>(size).fill(4 * size)));
  const phaseBytes = 4 * classes.get('Phase')!.length;
  const before = (results.runRows - 1) * strip.columns;
  for (const { weightsAt, phaseAt, positions, resultsAt } of blocks) {
    expect(weightsAt).toBeLessThan(groupBytes!);
    expect((phaseAt! - head['phasesAt']!) % phaseBytes).toBe(0);
    expect(4 * (before + positions!)).toBeLessThanOrEqual(results.channelStride);
    expect(resultsAt! % results.channelStride).toBe(0);
  }
  for (const { at, channelAt, phaseAt } of rows) {
    expect(at).toBeLessThan(groupBytes!);
    expect(channelAt).toBeLessThan(4 * plan.panel);
    expect((phaseAt! - head['phasesAt']!) % phaseBytes).toBe(0);
  }
});

test('these layers have something of everything, and no two neighbours in the head have the same value in all of them', () => {
  const plans = Object.values(layers).map(planned);
  expect(new Set(plans.map(({ kernel }) => kernel))).toEqual(new Set(['positions', 'point', 'rows']));
  for (const has of [
    (plan: WasmTiling) => plan.swapped,
    (plan: WasmTiling) => plan.selects,
    (plan: WasmTiling) => plan.strip.bands > 1,
    (plan: WasmTiling) => plan.strip.columnBands.length > 1,
    (plan: WasmTiling) => plan.groupsTogether > 1,
  ]) {
    expect(plans.some(has), has.toString()).toBe(true);
  }
  const heads = plans.map(({ words }) => read(words, 'Plan', 0));
  const names = classes.get('Plan')!;
  // From the first on that jobs do not write.
  for (let i = names.indexOf('kernel') + 1; i < names.length; i++) {
    const [a, b] = [names[i - 1]!, names[i]!];
    // One table ends where the next begins.
    if (isPlace(a) && isPlace(b)) continue;
    expect(
      heads.some((head) => head[a] !== head[b]),
      `${a}, ${b}`,
    ).toBe(true);
  }
});
