// Compiles assembly/ with AssemblyScript, once for plain and once for relaxed SIMD, into src/cpu/wasm-simd.ts and
// src/cpu/wasm-relaxed-simd.ts, which git ignores. The modules are embedded there as text, so that no bundler, Node program or plain
// page has to find another file. Most bytes are one letter each, so that gzip finds the same repetitions as in the bytes themselves;
// base64, whose letters do not begin where bytes do, would be nearly twice as large.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** @param {string} variant */
const targetOf = (variant) => join(root, 'src', 'cpu', `wasm-${variant}.ts`);

/**
 * @param {boolean} relaxed whether to use relaxed SIMD
 * @returns {Promise<Uint8Array>} the module
 */
async function compile(relaxed) {
  // Imported here, since loading the compiler takes longer than finding that nothing changed.
  const { default: asc } = await import('assemblyscript/asc');
  /** @type {Uint8Array | undefined} */
  let binary;
  const options = [
    '--runtime',
    'stub',
    '--importMemory',
    '--noExportMemory',
    '--maximumMemory',
    '65536',
    '--noAssert',
    '--disableWarning',
    '112',
  ];
  const { error } = await asc.main(
    ['assembly/index.ts', '-o', 'module.wasm', '-O3z', '--converge', '--enable', 'simd', ...options].concat(
      relaxed ? ['--enable', 'relaxed-simd'] : [],
    ),
    {
      stdout: process.stdout,
      stderr: process.stderr,
      readFile: (name, base) => {
        const path = join(root, base === '.' ? '' : base, name);
        return existsSync(path) ? readFileSync(path, 'utf8') : null;
      },
      writeFile: (name, contents) => {
        if (name === 'module.wasm' && typeof contents !== 'string') binary = contents;
      },
    },
  );
  if (error !== null || binary === undefined) throw new Error('asc failed', { cause: error });
  return binary;
}

/**
 * @param {Uint8Array} module
 * @returns {number} where the flags of the imported memory's limits are: 1 = it has a maximum, 2 = it is shared
 */
function memoryFlags(module) {
  const name = Buffer.from('\x03env\x06memory\x02', 'latin1');
  const at = Buffer.from(module).indexOf(name) + name.length;
  if (at < name.length || module[at] !== 1) throw new Error('The module does not import its memory as expected.');
  return at;
}

/**
 * Bytes as printable text, from '#' on, which src/cpu/wasm-text.ts decodes. The 90 bytes that modules use most are one letter each: those from
 * 0xfc on, past 0xff round to 0, which include 0xfd, the prefix of vector instructions. The others are two letters: one of the last
 * two, which each stand for 83 bytes, and which of those.
 * @param {Uint8Array} bytes
 */
export function toText(bytes) {
  /** @param {number} letter */
  const letter = (letter) => String.fromCharCode('#'.charCodeAt(0) + letter);
  /** @param {number} byte */
  const letters = (byte) => {
    const rank = (byte - 0xfc) & 0xff;
    return rank < 90 ? letter(rank) : letter(90 + Math.floor((rank - 90) / 83)) + letter((rank - 90) % 83);
  };
  return Array.from(bytes, letters).join('');
}

/** Compiles the modules, unless nothing has changed since the last time. */
export async function buildAssembly() {
  const sources = readdirSync(join(root, 'assembly'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, 'assembly', name)));
  const version = readFileSync(join(root, 'node_modules', 'assemblyscript', 'package.json'));
  const hash = createHash('sha256');
  for (const input of [readFileSync(fileURLToPath(import.meta.url)), version, ...sources]) hash.update(input);
  const stamp = `// ${hash.digest('hex')}\n`;
  for (const variant of ['simd', 'relaxed-simd']) {
    const target = targetOf(variant);
    if (existsSync(target) && readFileSync(target, 'utf8').startsWith(stamp)) continue;
    const module = await compile(variant === 'relaxed-simd');
    const text = `// Made by scripts/build-assembly.mjs from assembly/.

/** The module, as wasm-text.ts reads it. */
export const text: string = ${JSON.stringify(toText(module))};
/** Where the flags of its imported memory's limits are. */
export const memoryFlags: number = ${memoryFlags(module)};
`;
    writeFileSync(target, stamp + text);
    console.log(`assembly: ${module.length} bytes with ${variant}`);
  }
}

if (process.argv[1] !== undefined && fileURLToPath(import.meta.url) === process.argv[1]) await buildAssembly();
