import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shorten, stripComments } from '../../scripts/wgsl.ts';

const shaders = new URL('../../shaders/', import.meta.url);

/** The code's characters in order, found by a scanner of another kind: comments and what separates tokens left out. */
function codeOf(wgsl: string): string {
  let code = '';
  let depth = 0;
  for (let i = 0; i < wgsl.length; i++) {
    const two = wgsl.slice(i, i + 2);
    if (depth === 0 && two === '//') {
      while (i < wgsl.length && !'\n\v\f\r\u0085\u2028\u2029'.includes(wgsl.charAt(i))) i++;
      code += ' ';
    } else if (two === '/*' || (depth > 0 && two === '*/')) {
      depth += two === '/*' ? 1 : -1;
      code += ' ';
      i++;
    } else if (depth === 0) {
      code += wgsl.charAt(i);
    }
  }
  return code.replace(/[\s\u0085]+/g, ' ').trim();
}

test.each(readdirSync(shaders).filter((name) => name.endsWith('.wgsl')))('%s keeps its code', (name) => {
  const wgsl = readFileSync(new URL(name, shaders), 'utf8');
  const stripped = stripComments(wgsl);
  expect(codeOf(stripped)).toBe(codeOf(wgsl));
  expect(stripped).not.toContain('//');
});

test('any text of comments, breaks and code keeps its code', () => {
  const pieces = [
    '//',
    '/*',
    '*/',
    '/',
    '*',
    '\n',
    '\r\n',
    '\r',
    '\v',
    '\u2028',
    '\u0085',
    ' ',
    '\t',
    'a',
    'b = c;',
    'é',
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 24 }), (parts) => {
      const wgsl = parts.join('');
      expect(codeOf(stripComments(wgsl))).toBe(codeOf(wgsl));
    }),
    { numRuns: 2000 },
  );
});

test('comments, indentation and blank lines go', () => {
  expect(stripComments('// y = x\n\nlet a = b; // b\n\n  // c\n  let d = e / f;\n')).toBe(
    'let a = b;\nlet d = e / f;\n',
  );
});

/** Words and signs in order; the marked line, whose spaces stay, like all others. */
const tokensOf = (wgsl: string): string[] =>
  (wgsl.match(/@\w+(?:\(\w+\))?|var<[^>]*>|\w+|[^\s\w]/g) ?? []).map((token) => token.replace(/\s/g, ''));

const family = new Map(
  readdirSync(shaders)
    .filter((name) => name.endsWith('.wgsl'))
    .map((name) => [name, stripComments(readFileSync(new URL(name, shaders), 'utf8'))]),
);

test.each([...family])('%s: a name for a name, else the same', (_, stripped) => {
  const shortened = shorten(stripped, [...family.values()]);
  const [before, after] = [tokensOf(stripped), tokensOf(shortened)];
  expect(after.length).toBe(before.length);
  const renamed = new Map(before.map((token, at) => [token, after[at]!]));
  // The same name everywhere, and no two names alike.
  expect(before.map((token) => renamed.get(token))).toEqual(after);
  expect(new Set(renamed.values()).size).toBe(renamed.size);
  // What pipelines go by.
  const known = /\boverride (\w+)|@(?:compute|vertex|fragment)[^]*?fn (\w+)|^alias (\w+)/gm;
  for (const [, ...names] of stripped.matchAll(known)) {
    const [known] = names.filter(Boolean);
    expect(renamed.get(known!)).toBe(known);
  }
  for (const attribute of stripped.match(/@\w+(\(\w+\))?/g) ?? []) expect(shortened).toContain(attribute);
});

test('names, spaces and the marked line', () => {
  const wgsl =
    'alias Scalar = f32;\nstruct Params {\n  size: u32,\n}\nfn twice(value: u32) -> u32 {\n  return value - -1;\n}\n';
  expect(shorten(wgsl)).toBe('alias Scalar = f32;struct aa{ab:u32,}fn ac(ad:u32)->u32{return ad- -1;}');
});

test('a name that shaders share becomes the same word in each, and none that one of them has', () => {
  const pair = ['fn size()->u32{return 1;}', 'fn aa(){}fn twice()->u32{return 2*size();}fn size()->u32{return 1;}'];
  expect(pair.map((wgsl) => shorten(wgsl, pair))).toEqual([
    'fn ab()->u32{return 1;}',
    'fn aa(){}fn ac()->u32{return 2*ab();}fn ab()->u32{return 1;}',
  ]);
});
