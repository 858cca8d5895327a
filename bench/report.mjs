/** What is printed, and the figures that are made of the rows. */

/** @typedef {import('./measure/race.ts').Race} Race */
/** @typedef {import('./measure/race.ts').Row} Row */

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle) - 1] ?? NaN)) / 2;
}

/** @param {number[]} values */
export const geometricMean = (values) =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** One line of a terminal that is rewritten; a log gets a line a step instead. */
export class Progress {
  #terminal = process.stderr.isTTY;

  /** @param {string} what */
  step(what) {
    if (this.#terminal) process.stderr.write(`\r\x1b[2K${what.slice(0, process.stderr.columns - 1)}`);
  }

  /** @param {string} line */
  line(line) {
    if (this.#terminal) process.stderr.write('\r\x1b[2K');
    process.stderr.write(`${line}\n`);
  }
}

/** @param {number | null | undefined} value three significant digits */
export const digits = (value) =>
  value === null || value === undefined || Number.isNaN(value)
    ? '–'
    : value >= 100
      ? value.toFixed(0)
      : value.toPrecision(3);

/**
 * @param {string[][]} rows the first is the heading
 * @param {(line: string) => void} [print]
 */
export function printTable(rows, print = console.log) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  for (const [index, row] of rows.entries()) {
    print(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    );
    if (index === 0) print(widths.map((width) => '─'.repeat(width)).join('  '));
  }
}

/**
 * The median over the rounds of `of`'s time over `by`'s: how many times faster `by` is.
 * @param {Race} race
 * @param {string} by
 * @param {string} of
 */
export function ratio(race, by, of) {
  const [fast, slow] = [race.times[by], race.times[of]];
  if (!fast || !slow) return undefined;
  return median(slow.map((time, round) => time / (fast[round] ?? NaN)));
}

/**
 * Who is compared with whom: against the better of several, where there are several; `above` so many million operations alone.
 * @type {{ name: string, by: string, of: string[], above?: number }[]}
 */
export const comparisons = [
  { name: 'ours-webgpu / better WebGPU peer', by: 'ours-webgpu', of: ['ort-webgpu', 'tfjs-webgpu'] },
  { name: 'ours-webgpu / ours-direct', by: 'ours-webgpu', of: ['ours-direct'] },
  { name: 'ours-cpu / ort-wasm', by: 'ours-cpu', of: ['ort-wasm'] },
  { name: 'ours-cpu-output / ort-wasm', by: 'ours-cpu-output', of: ['ort-wasm'] },
  { name: 'ours-cpu-simd / ort-wasm', by: 'ours-cpu-simd', of: ['ort-wasm'] },
  { name: 'ours-cpu-threads / ours-cpu', by: 'ours-cpu-threads', of: ['ours-cpu'] },
  { name: '… above 50 MFLOP', by: 'ours-cpu-threads', of: ['ours-cpu'], above: 50 },
  { name: '… above 50 MFLOP, output handed in', by: 'ours-cpu-threads-output', of: ['ours-cpu-output'], above: 50 },
  { name: 'ours-cpu-apart / ours-cpu above 50 MFLOP', by: 'ours-cpu-apart', of: ['ours-cpu'], above: 50 },
  { name: 'ours-cpu-threads / ort-wasm', by: 'ours-cpu-threads', of: ['ort-wasm'] },
];

/**
 * Useful operations of a race's layer, in millions.
 * @param {Race} race
 */
const megaflops = ({ rows }) => Math.max(0, ...rows.map(({ gflops, medianMs }) => (gflops ?? 0) * (medianMs ?? 0)));

/**
 * @param {Race[]} races
 * @returns the ratios of each comparison, layer by layer, with their geometric mean and the least
 */
export function summarize(races) {
  return comparisons.flatMap(({ name, by, of, above = 0 }) => {
    const layers = races.flatMap((race) => {
      if (megaflops(race) < above) return [];
      const ratios = of.map((peer) => ratio(race, by, peer)).filter((value) => value !== undefined);
      return ratios.length === 0 ? [] : [{ layer: race.rows[0]?.layer ?? '', ratio: Math.min(...ratios) }];
    });
    if (layers.length === 0) return [];
    const least = layers.reduce((a, b) => (b.ratio < a.ratio ? b : a));
    return [{ name, geometricMean: geometricMean(layers.map((layer) => layer.ratio)), least, layers }];
  });
}

/** @param {Race[]} races */
export function controlOf(races) {
  const ratios = races.flatMap((race) => race.control?.ratios ?? []);
  const medians = races.flatMap((race) => (race.control ? [median([...race.control.ratios])] : []));
  if (ratios.length === 0) return undefined;
  const off = (/** @type {number} */ value) => Math.max(value, 1 / value);
  return {
    geometricMean: geometricMean(medians),
    worstMedian: Math.max(...medians.map(off)),
    worstPair: Math.max(...ratios.map(off)),
  };
}

/**
 * @param {Race[]} races
 * @param {string[]} contenders
 * @param {number} [ceiling] GFLOP/s
 */
export function printRaces(races, contenders, ceiling) {
  console.log('\nMilliseconds, and in brackets GFLOP/s of useful work\n');
  const summary = summarize(races);
  const webgpu = summary.find(({ name }) => name === comparisons[0]?.name);
  const ofCeiling =
    ceiling && contenders.includes('ours-webgpu')
      ? (/** @type {Row | undefined} */ row) => (row?.gflops ? `${Math.round((row.gflops / ceiling) * 100)} %` : '–')
      : undefined;
  printTable([
    ['layer', ...contenders, ...(webgpu ? ['× peer'] : []), ...(ofCeiling ? ['of matmul'] : [])],
    ...races.map((race) => {
      const layer = race.rows[0]?.layer ?? '';
      const row = (/** @type {string} */ contender) => race.rows.find((row) => row.contender === contender);
      const cell = (/** @type {Row | undefined} */ row) =>
        row?.medianMs ? `${digits(row.medianMs)} (${digits(row.gflops)})` : (row?.error?.slice(0, 14) ?? '–');
      const mine = webgpu?.layers.find((entry) => entry.layer === layer);
      return [
        layer,
        ...contenders.map((contender) => cell(row(contender))),
        ...(webgpu ? [digits(mine?.ratio)] : []),
        ...(ofCeiling ? [ofCeiling(row('ours-webgpu'))] : []),
      ];
    }),
  ]);
  for (const row of races.flatMap((race) => race.rows)) {
    if (row.error)
      console.log(
        `  ${row.layer}, ${row.contender} (${row.setting}): ${row.error}${row.maxError === null ? '' : `, ${digits(row.maxError)}`}`,
      );
  }
  if (summary.length > 0) {
    console.log('\nMedians of per-round ratios\n');
    printTable([
      ['times as fast', 'geometric mean', 'least', 'on'],
      ...summary.map(({ name, geometricMean, least }) => [
        name,
        digits(geometricMean),
        digits(least.ratio),
        least.layer,
      ]),
    ]);
  }
  const control = controlOf(races);
  if (control) {
    const percent = (/** @type {number} */ value) => `${((value - 1) * 100).toFixed(1)} %`;
    console.log(
      `\nControl, one contender against itself: ${percent(control.geometricMean)} in the mean, ` +
        `${percent(control.worstMedian)} in the worst median, ${percent(control.worstPair)} in the worst pair`,
    );
  }
}

/**
 * Time per useful operation of layers `name 4× …` over that of `name 1×`, for what grows more than linearly with the work.
 *
 * @param {Race[]} races
 * @param {string[]} contenders
 */
export function printScaling(races, contenders) {
  const gflops = (/** @type {string} */ layer, /** @type {string} */ contender) =>
    races.flatMap((race) => race.rows).find((row) => row.layer === layer && row.contender === contender)?.gflops;
  const grown = races.map((race) => race.rows[0]?.layer ?? '').filter((layer) => / [2-9]×/.test(layer));
  if (grown.length === 0) return;
  console.log('\nTime per useful operation, over that of the same layer at 1×\n');
  printTable([
    ['layer', ...contenders],
    ...grown.map((layer) => [
      layer,
      ...contenders.map((contender) => {
        const base = gflops(`${layer.split(' ')[0] ?? ''} 1×`, contender);
        const here = gflops(layer, contender);
        return base && here ? digits(base / here) : '–';
      }),
    ]),
  ]);
}

/** @param {import('./measure/gradients.ts').GradientRow[]} rows */
export function printGradients(rows) {
  /** @param {(row: import('./measure/gradients.ts').GradientRow) => number | null} of */
  const mean = (of) => digits(geometricMean(rows.flatMap((row) => of(row) ?? [])));
  const parts = /** @type {const} */ (['gradInputMs', 'gradWeightMs', 'gradBiasMs', 'allMs']);
  console.log(
    '\nGradients: times the forward call of the same layer, and times as fast as TensorFlow.js (input and weight)\n',
  );
  printTable([
    ['layer', 'forward ms', 'input', 'weight', 'bias', 'all', 'tfjs ms', 'times as fast'],
    ...rows.map((row) => [
      row.layer,
      digits(row.forwardMs),
      ...parts.map((part) => digits(row[part] / row.forwardMs)),
      digits(row.tfjsMs),
      row.error ?? digits(row.ratio),
    ]),
    [
      'geometric mean',
      '',
      ...parts.map((part) => mean((row) => row[part] / row.forwardMs)),
      '',
      mean((row) => row.ratio),
    ],
  ]);
}
