import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plugin } from 'vite';

/** WGSL without line comments, indentation, trailing spaces and blank lines; the code is the same, token by token. */
export function stripComments(wgsl: string): string {
  // A block comment may hold `//` that means nothing; such a file is left alone.
  if (wgsl.includes('/*')) return wgsl;
  // WGSL has no strings: two slashes always begin a comment, which any of WGSL's line breaks ends.
  return wgsl
    .replace(/\/\/[^\n\v\f\r\u0085\u2028\u2029]*/g, '')
    .replace(/^[ \t]+|[ \t]+$/gm, '')
    .replace(/\n{2,}/g, '\n')
    .replace(/^\n/, '');
}

/** Words, numbers, signs: a word after `@` or in `<…>` after `var` is none that a shader declares. */
const TOKENS = /@\w+(?:\(\w+\))?|var<[^>]*>|[A-Za-z_]\w*|\d[\w.]*|\s+|[^\s\w]/g;

/** Names that a shader declares and nothing outside it goes by: not overrides, entry points and the marked line's `Scalar`. */
function ownNames(wgsl: string): Set<string> {
  const code = wgsl.replace(/@(?!compute|vertex|fragment)\w+(?:\([^)]*\))?\s*/g, '');
  const declared = [
    ...code.matchAll(
      /(?<!@(?:compute|vertex|fragment)\s*)\b(?:fn|let|const|struct|var(?:<[^>]*>)?)\s+(\w+)|\b(\w+)(?=\s*:)/g,
    ),
  ];
  const kept = [
    ...code.matchAll(
      /\boverride\s+(\w+)|@(?:compute|vertex|fragment)\s+fn\s+(\w+)|\bcase\s+(\w+)|\b(default)\b|\balias\s+(\w+)/g,
    ),
  ];
  const names = (matches: RegExpMatchArray[]): string[] => matches.map((match) => match.slice(1).find(Boolean) ?? '');
  const stay = new Set(names(kept));
  // A word of two letters is short enough, and one of xyzw or rgba may be a swizzle.
  return new Set(
    names(declared).filter((name) => name.length > 2 && !stay.has(name) && !/^([xyzw]+|[rgba]+|\d.*)$/.test(name)),
  );
}

/**
 * Own names become the shortest words that no shader of a family holds yet, and spaces go where they part nothing. A name becomes
 * the same word in all of them: what shaders have in common stays common, and is compressed.
 */
export function shorten(wgsl: string, family: readonly string[] = [wgsl]): string {
  // What `stripComments` leaves alone is left alone here.
  if (wgsl.includes('/*')) return wgsl;
  const own = ownNames(wgsl);
  const taken = new Set([
    ...family.flatMap((shader) => shader.match(/\w+/g) ?? []),
    'as',
    'do',
    'fn',
    'if',
    'in',
    'of',
  ]);
  const letters = 'abcdefghijklmnopqrstuvwxyz'.split('');
  const words = letters.flatMap((a) => letters.map((b) => a + b)).filter((word) => !taken.has(word));
  const names = [...new Set(family.flatMap((shader) => [...ownNames(shader)]))];
  const short = new Map(names.map((name, at) => [name, words[at] ?? name]));
  return (wgsl.match(TOKENS) ?? [])
    .map((token) =>
      /^\s/.test(token) ? (token.includes('\n') ? '\n' : ' ') : own.has(token) ? (short.get(token) ?? token) : token,
    )
    .join('')
    .replace(
      /alias Scalar = f32;|(?<=[^\w\s])\s+(?=\w)|(?<=\w)\s+(?=[^\w\s])|(?<=[(),;:{}[\]])\s+|\s+(?=[(),;:{}[\]])/g,
      (found) => found.trim(),
    );
}

/** Inlines `x.wgsl?raw` without what is for readers of the shaders: comments, spaces, long names. */
export function minifyWgsl(): Plugin {
  return {
    name: 'minify-wgsl',
    enforce: 'pre',
    load(id) {
      if (!id.endsWith('.wgsl?raw')) return null;
      const path = id.slice(0, -'?raw'.length);
      const code = (of: string): string => stripComments(readFileSync(of, 'utf8'));
      const names = readdirSync(dirname(path)).filter((name) => name.endsWith('.wgsl'));
      const family = names.map((name) => code(join(dirname(path), name)));
      return `export default ${JSON.stringify(shorten(code(path), family))}`;
    },
  };
}
