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
const rows = JSON.parse(read('bench/results/chromium-156-swiftshader.json')) as Row[];
const layers = (JSON.parse(read('bench/layers.json')) as { name: string }[]).map(({ name }) => name);

/** The time of the fastest of some contenders; of one that refuses a layer there is none. */
const fastest = (layer: string, contenders: readonly string[]): number =>
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
  const table = read('README.md').matchAll(/^\|.*\| (?<mean>[\d.]+)× *\| (?<least>[\d.]+)× *\|$/gm);
  const said = [...table].map(({ groups }) => [groups!['mean'], groups!['least']]);
  const measured = LINES.map(([ours, peers]) => {
    const ratios = layers.map((layer) => fastest(layer, peers) / fastest(layer, [ours]));
    return [geometricMean(ratios), Math.min(...ratios)].map((ratio) => ratio.toPrecision(3));
  });
  expect(layers).toHaveLength(16);
  expect(said).toEqual(measured);
});
