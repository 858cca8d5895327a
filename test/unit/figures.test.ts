/** The README's table of speed says what the committed rows of the benchmark say. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { geometricMean } from '../../bench/report.mjs';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

interface Row {
  readonly layer: string;
  readonly contender: string;
  readonly medianMs?: number;
}
/** By machine, as the table's columns have them. */
const MACHINES = ['', '-intel-xeon'].map(
  (machine) => JSON.parse(read(`bench/results/chromium-156-swiftshader${machine}.json`)) as Row[],
);
const layers = (JSON.parse(read('bench/layers.json')) as { name: string }[]).map(({ name }) => name);

/** The time of the fastest of some contenders; of one that refuses a layer there is none. */
const fastest = (rows: readonly Row[], layer: string, contenders: readonly string[]): number =>
  Math.min(
    ...rows
      .filter((row) => row.layer === layer && contenders.includes(row.contender))
      .flatMap(({ medianMs }) => medianMs ?? []),
  );

/** A line of the table: ours, and what it is compared with. */
const LINES = [
  ['ours-webgpu', ['ort-webgpu', 'tfjs-webgpu']],
  ['ours-cpu', ['ort-wasm']],
  ['ours-cpu-output', ['ort-wasm']],
] as const;

test('of the README', () => {
  const said = [...read('README.md').matchAll(/[\d.]+× \([\d.]+×\)/g)].map(([figures]) => figures);
  const measured = LINES.flatMap(([ours, peers]) =>
    MACHINES.map((rows) => {
      const ratios = layers.map((layer) => fastest(rows, layer, peers) / fastest(rows, layer, [ours]));
      return `${geometricMean(ratios).toPrecision(3)}× (${Math.min(...ratios).toPrecision(3)}×)`;
    }),
  );
  expect(layers).toHaveLength(16);
  expect(said).toEqual(measured);
});
