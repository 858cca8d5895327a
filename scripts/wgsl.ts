import { readFileSync } from 'node:fs';
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

/** Inlines `x.wgsl?raw` without its comments, which are for readers of the shaders. */
export function minifyWgsl(): Plugin {
  return {
    name: 'minify-wgsl',
    apply: 'build',
    enforce: 'pre',
    load(id) {
      if (!id.endsWith('.wgsl?raw')) return null;
      const code = readFileSync(id.slice(0, -'?raw'.length), 'utf8');
      return `export default ${JSON.stringify(stripComments(code))}`;
    },
  };
}
