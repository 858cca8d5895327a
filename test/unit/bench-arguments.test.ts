// What the benchmarks are told wrong is said in a line, before anything is built.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const bench = fileURLToPath(new URL('../../bench', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'bench-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const [layer] = JSON.parse(readFileSync(join(bench, 'layers.json'), 'utf8')) as [Readonly<Record<string, unknown>>];
function fileOf(text: string): string {
  const file = join(folder, 'layers.json');
  writeFileSync(file, text);
  return file;
}

describe.each(['run.mjs', 'dawn.mjs'])('%s', (program) => {
  test.each<[string, () => string[], RegExp]>([
    ['an option that there is not', () => ['--layer', 'x'], /^Unknown option '--layer'/],
    [
      'a file that is not there',
      () => ['--layers', join(folder, 'none')],
      /^--layers: '.*none' cannot be read: .*ENOENT/,
    ],
    ['half a file', () => ['--layers', fileOf('[{ "name"')], /layers\.json' cannot be read: SyntaxError/],
    ['no list', () => ['--layers', fileOf('{}')], /layers\.json' is no list of layers$/],
    ['no layers', () => ['--layers', fileOf('[]')], /layers\.json' is no list of layers$/],
    [
      'half a layer',
      () => ['--layers', fileOf('[{ "name": "x" }]')],
      /layer 1, input is undefined; 4 whole numbers from 1 on wanted$/,
    ],
    [
      'a stride of nothing',
      () => ['--layers', fileOf(JSON.stringify([layer, { ...layer, stride: [2, 0] }]))],
      /layer 2, stride is \[2,0\]; 2 whole numbers from 1 on wanted$/,
    ],
    [
      'a padding that leaves nothing',
      () => ['--layers', fileOf(JSON.stringify([{ ...layer, padding: [0, 2] }]))],
      /layer 1, padding is 2; it leaves nothing of 4$/,
    ],
    [
      'groups of no channels',
      () => ['--layers', fileOf(JSON.stringify([{ ...layer, groups: 3 }]))],
      /layer 1, groups is 3; it must divide both channels$/,
    ],
    [
      'rows beyond the stride',
      () => ['--layers', fileOf(JSON.stringify([{ ...layer, outputPadding: [1, 0] }]))],
      /layer 1, outputPadding is 1; it must be smaller than stride or dilation$/,
    ],
    ['rounds', () => ['--rounds', '0'], /^--rounds is '0'; a whole number is wanted$/],
    ['a folder for the rows', () => ['--json', folder], /^--json is '.*', a folder; a file is wanted$/],
  ])('%s', (_, options, message) => {
    const { status, stderr } = spawnSync(process.execPath, [join(bench, program), ...options()], { encoding: 'utf8' });
    expect(stderr.trim()).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(2);
  });
});
