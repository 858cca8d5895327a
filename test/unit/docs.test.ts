/** The code in docs/ is that of examples/, word for word; each example is run by a test. See examples/README.md. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(root + path, 'utf8');

interface Quote {
  readonly page: string;
  readonly example: string;
  readonly region: string | undefined;
  readonly code: string;
}

/** The blocks of a page that name an example. */
function quotes(page: string): Quote[] {
  const blocks = read(page).matchAll(
    /^```(?:ts|js|html) (?<example>examples\/[\w./-]+\.\w+)(?:#(?<region>[\w-]+))?\n(?<code>.*?)^```$/gms,
  );
  return [...blocks].map(({ groups }) => ({
    page,
    example: groups!['example']!,
    region: groups!['region'],
    code: groups!['code']!,
  }));
}

/** An example, or what stands between `// #region NAME` and `// #endregion NAME` in it, without its indentation. */
function quotable(source: string, region: string | undefined): string {
  if (region === undefined) return source;
  const [, indentation, inside] =
    new RegExp(`^( *)// #region ${region}\\n(.*?)^ *// #endregion ${region}$`, 'ms').exec(source) ?? [];
  if (inside === undefined) throw new Error(`there is no region '${region}'`);
  return inside.replaceAll(new RegExp(`^${indentation ?? ''}`, 'gm'), '');
}

const pages = [
  'README.md',
  ...readdirSync(`${root}docs`, 'utf8')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const quoted = pages.flatMap(quotes);
const examples = readdirSync(`${root}examples`, 'utf8').filter((name) => name.endsWith('.ts'));

test.each(quoted)('$page quotes $example $region as it is', ({ example, region, code }) => {
  expect(code).toBe(quotable(read(example), region));
});

test.each(pages)('%s has no program that is not quoted from an example', (page) => {
  const programs = read(page).match(/^```(?:(?:ts|js|html)\b|.*examples\/).*$/gm) ?? [];
  expect(programs.length).toBe(quotes(page).length);
});

test.each(examples)('%s stands in docs/, and a test runs it', (name) => {
  expect(quoted.map(({ example }) => example)).toContain(`examples/${name}`);
  const tests = readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.test.ts'),
  );
  const imported = new RegExp(`['"\`/]examples/${name.replaceAll('.', '\\.')}['"\`]`);
  expect(tests.filter((path) => imported.test(read(`test/${path}`)))).not.toEqual([]);
});

test('a region is quoted without its indentation, and one that is missing is an error', () => {
  const source = 'a\n  // #region one\n  b\n    c\n\n  // #endregion one\nd\n';
  expect(quotable(source, 'one')).toBe('b\n  c\n\n');
  expect(quotable(source, undefined)).toBe(source);
  expect(() => quotable(source, 'two')).toThrow("no region 'two'");
});

describe('links, files and commands', () => {
  const texts = [...pages, 'CHANGELOG.md', 'bench/README.md', 'bench/NOTES.md', 'examples/README.md', 'test/README.md'];
  const withoutCode = (page: string): string => read(page).replaceAll(/^ *```.*?^ *```$/gms, '');
  /** What a heading is linked by, as GitHub makes it. */
  const anchor = (heading: string): string =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-');
  const anchors = (page: string): string[] =>
    [...withoutCode(page).matchAll(/^#+ (?<heading>.+)$/gm)].map(({ groups }) => anchor(groups!['heading']!));
  const targetsOf = (page: string): string[] =>
    [...withoutCode(page).matchAll(/\]\((?<target>[^)]+)\)/g)]
      .map(({ groups }) => groups!['target']!)
      .filter((target) => !target.startsWith('https:'));

  test.each(texts)('links of %s lead somewhere', (page) => {
    const dead = targetsOf(page).filter((target) => {
      const [path = '', place] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      return !existsSync(root + file) || (place !== undefined && !anchors(file).includes(place));
    });
    expect(dead).toEqual([]);
  });

  test.each(texts)('files that %s names are there', (page) => {
    const named = withoutCode(page).matchAll(
      /`(?<file>(?:assembly|bench|demo|docs|examples|scripts|shaders|src|test)\/[\w./-]+\.\w+)`/g,
    );
    const missing = [...named].map(({ groups }) => groups!['file']!).filter((file) => !existsSync(root + file));
    expect(missing).toEqual([]);
  });

  test.each(texts)('commands that %s names are there', (page) => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = read(page).matchAll(/npm run (?<script>[\w:]+)/g);
    const missing = [...named].map(({ groups }) => groups!['script']!).filter((script) => !(script in scripts));
    expect(missing).toEqual([]);
  });

  test('docs/README.md leads to every page', () => {
    const linked = targetsOf('docs/README.md').map((target) => join('docs', target));
    const others = pages.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md');
    expect(others.filter((page) => !linked.includes(page))).toEqual([]);
  });
});
