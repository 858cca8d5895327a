/** The package as it is published: packed by npm, installed into an empty project, then read, compiled against and run. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, type Metafile, type OutputFile } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'package-'));
const consumer = join(directory, 'consumer');
const installed = join(consumer, 'node_modules', 'webgpu-conv-transpose2d');
/** The packed file, and what npm lists as its contents. */
let tarball = '';
let contents: string[] = [];

interface Manifest {
  exports: Record<string, string | { types: string; default: string }>;
  dependencies?: object;
}
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;

/** Runs a program and returns what it printed; a failure carries everything that it said. */
function run(program: string, args: readonly string[], cwd: string): string {
  try {
    // A user's home: nothing in it is ours.
    const env = { ...process.env, HOME: join(directory, 'home') };
    return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: 'pipe', env });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${program} ${args.join(' ')}\n${stdout}\n${stderr}`, { cause: error });
  }
}
const node = (args: readonly string[], cwd: string): string => run(process.execPath, args, cwd);
const bin = (path: string): string => join(root, 'node_modules', path);

beforeAll(() => {
  mkdirSync(consumer, { recursive: true });
  run('npm', ['run', 'build'], root);
  const packed = run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', directory], root);
  const [{ filename, files }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
  tarball = join(directory, filename);
  contents = files.map(({ path }) => path);
  writeFileSync(join(consumer, 'package.json'), '{ "type": "module", "private": true }');
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], consumer);
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** What may be published; a file of any other kind fails the test. */
const published = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  /^dist\/[\w-]+\.js(\.map)?$/,
  /^dist\/chunks\/[\w-]+\.js(\.map)?$/,
  /^dist\/types\/([\w-]+\/)*[\w-]+\.d\.ts$/,
  /^shaders\/\w+\.wgsl$/,
  /^docs\/[\w-]+\.md$/,
  // The pages lead to them.
  /^examples\/([\w-]+\/)*[\w.-]+\.(ts|mjs|html|md)$/,
];

test('it holds what users need and nothing else', () => {
  expect(contents.filter((path) => !published.some((kind) => kind.test(path)))).toEqual([]);
  const shaders = readdirSync(join(root, 'shaders')).map((name) => `shaders/${name}`);
  expect(contents).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', ...shaders]));
});

test('no published text names a path of the machine that built it, or evaluates text as code', () => {
  const texts = contents.map((path) => ({ path, text: readFileSync(join(installed, path), 'utf8') }));
  expect(texts.filter(({ text }) => text.includes(root)).map(({ path }) => path)).toEqual([]);
  const scripts = texts.filter(({ path }) => path.endsWith('.js'));
  expect(scripts.filter(({ text }) => /\beval\(|\bFunction\(/.test(text)).map(({ path }) => path)).toEqual([]);
});

test('every export leads to a file', () => {
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  );
  const missing = targets.filter((target) => !target.includes('*') && !existsSync(join(installed, target)));
  expect(missing).toEqual([]);
});

test('publint finds nothing', () => {
  expect(node([bin('publint/src/cli.js'), installed, '--strict'], root)).toContain('All good');
});

test('are-the-types-wrong finds nothing', () => {
  // It fails on a problem. ESM alone, as the package says: what CommonJS and old resolutions find is not asked.
  const report = node([bin('@arethetypeswrong/cli/dist/index.js'), tarball, '--profile', 'esm-only'], root);
  expect(report).toContain('webgpu-conv-transpose2d/reference');
});

/** are-the-types-wrong's own TypeScript, 5.6, whose DOM library has no WebGPU. */
const olderTypeScript = ((): string => {
  const cli = createRequire(import.meta.url).resolve('@arethetypeswrong/cli/package.json');
  const core = createRequire(cli).resolve('@arethetypeswrong/core/package.json');
  return createRequire(core).resolve('typescript/lib/tsc.js');
})();

describe.each([
  ['this TypeScript', bin('typescript/bin/tsc'), []],
  ['this TypeScript and @webgpu/types', bin('typescript/bin/tsc'), ['@webgpu/types']],
  ['TypeScript 5.6 and @webgpu/types', olderTypeScript, ['@webgpu/types']],
])('its types compile in a consumer, %s', (_, tsc, types) => {
  test.each(['bundler', 'nodenext'])('%s', (moduleResolution) => {
    cpSync(join(root, 'test/package/consumer.ts'), join(consumer, 'consumer.ts'));
    cpSync(join(root, 'node_modules/@webgpu'), join(consumer, 'node_modules/@webgpu'), { recursive: true });
    const compilerOptions = {
      target: 'ES2022',
      lib: ['ES2022', 'DOM'],
      module: moduleResolution === 'bundler' ? 'ESNext' : 'NodeNext',
      moduleResolution,
      types,
      strict: true,
      exactOptionalPropertyTypes: true,
      // Where both declare WebGPU, the two differ in what is nobody's here.
      skipLibCheck: types.length > 0 && tsc !== olderTypeScript,
      noEmit: true,
    };
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
    const listed = node([tsc, '-p', consumer, '--listFiles'], consumer);
    expect(listed).toContain(join('webgpu-conv-transpose2d', 'dist', 'types', 'index.d.ts'));
    expect(listed.includes(join('@webgpu', 'types'))).toBe(types.length > 0);
  });
});

test('the examples compile in a consumer who has @webgpu/types', () => {
  const others = ['node.ts', 'onnxruntime.ts', 'tensorflow.ts']; // whose other packages are not installed here
  cpSync(join(installed, 'examples'), join(consumer, 'examples'), { recursive: true });
  const names = readdirSync(join(consumer, 'examples'), { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name.endsWith('.ts') && !others.includes(name));
  expect(files.length).toBeGreaterThan(8);
  const compilerOptions = {
    target: 'ES2022',
    lib: ['ES2022', 'DOM'],
    module: 'ESNext',
    moduleResolution: 'bundler',
    types: ['@webgpu/types'],
    strict: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    noEmit: true,
  };
  const config = { compilerOptions, files: files.map((name) => join('examples', name)) };
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify(config));
  node([bin('typescript/bin/tsc'), '-p', consumer], consumer);
});

test('in a worker, whose library has no elements, the types compile as an example uses them', () => {
  cpSync(join(installed, 'examples'), join(consumer, 'examples'), { recursive: true });
  const compilerOptions = {
    ...{ target: 'ES2022', lib: ['ES2022', 'WebWorker'], module: 'ESNext', moduleResolution: 'bundler', types: [] },
    ...{ strict: true, allowImportingTsExtensions: true, noEmit: true },
  };
  const config = { compilerOptions, files: ['examples/upsample.worker.ts'] };
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify(config));
  node([bin('typescript/bin/tsc'), '-p', consumer], consumer);
});

test('it runs in Node without a GPU and without anything else installed', () => {
  const program = `
    import { convTranspose2d } from 'webgpu-conv-transpose2d';
    import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
    import * as frameworks from 'webgpu-conv-transpose2d/frameworks';
    const input = { shape: [1, 2, 2, 2], data: Float32Array.from({ length: 8 }, (_, i) => i - 3) };
    const weight = { shape: [2, 1, 3, 3], data: Float32Array.from({ length: 18 }, (_, i) => (i % 5) - 2) };
    const options = { stride: 2, padding: 1, outputPadding: 1 };
    const output = await convTranspose2d(input, weight, null, { ...options, device: 'cpu' });
    const expected = convTranspose2dReference(input, weight, null, options);
    const plain = ({ shape, data }) => ({ shape: [...shape], data: [...data].map((value) => value + 0) });
    console.log(JSON.stringify([plain(output), plain(expected), Object.keys(frameworks).length > 0]));
  `;
  writeFileSync(join(consumer, 'program.mjs'), program);
  const [output, expected, importers] = JSON.parse(node(['program.mjs'], consumer)) as unknown[];
  expect(output).toEqual(expected);
  expect(importers).toBe(true);
});

test('every entry loads in Node without a GPU, and costs nothing to have', () => {
  const entries = Object.entries(manifest.exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([name]) => `webgpu-conv-transpose2d${name.slice(1)}`);
  expect(entries.length).toBeGreaterThan(4);
  const program = `
    const before = Reflect.ownKeys(globalThis).length;
    const counts = [];
    for (const name of ${JSON.stringify(entries)}) counts.push(Object.keys(await import(name)).length);
    console.log(JSON.stringify([Math.min(...counts), Reflect.ownKeys(globalThis).length - before]));
  `;
  writeFileSync(join(consumer, 'entries.mjs'), program);
  const [fewest, globals] = JSON.parse(node(['entries.mjs'], consumer)) as [number, number];
  expect(fewest).toBeGreaterThan(0);
  expect(globals).toBe(0);
});

test('the shaders are exported as files', () => {
  const shaders = readdirSync(join(root, 'shaders')).filter((name) => name.endsWith('.wgsl'));
  const program = `console.log(import.meta.resolve('webgpu-conv-transpose2d/shaders/${shaders[0] ?? ''}'))`;
  writeFileSync(join(consumer, 'resolve.mjs'), program);
  expect(existsSync(fileURLToPath(node(['resolve.mjs'], consumer).trim()))).toBe(true);
});

test('it has no runtime dependency', () => {
  expect(manifest.dependencies).toBeUndefined();
});

/** The files that esbuild makes of a program, minified; more than one where it may split them. */
async function bundled(contents: string, splitting: boolean): Promise<{ files: OutputFile[]; outputs: Outputs }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: consumer },
    absWorkingDir: directory,
    outdir: splitting ? 'split' : 'whole',
    bundle: true,
    splitting,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    target: 'es2022',
  });
  return { files: outputFiles, outputs: metafile.outputs };
}
type Outputs = Metafile['outputs'];

const gzipped = ({ contents }: OutputFile): number => gzipSync(contents, { level: 9 }).length;

/** Bytes of a program as one file. */
async function shaken(contents: string): Promise<number> {
  const { files } = await bundled(contents, false);
  expect(files.length).toBe(1);
  return gzipped(files[0]!);
}

/** Bytes of what a program imports statically, itself included, and of what some of its chunks need besides. */
async function loaded(contents: string, later: RegExp): Promise<{ first: number; later: number }> {
  const { files, outputs } = await bundled(contents, true);
  const sizes = new Map(files.map((file) => [relative(directory, file.path).replaceAll('\\', '/'), gzipped(file)]));
  const withImports = (roots: readonly string[]): Set<string> => {
    const paths = new Set(roots);
    // It grows while it is gone through.
    for (const path of paths) {
      for (const { kind, path: needed } of outputs[path]!.imports) if (kind === 'import-statement') paths.add(needed);
    }
    return paths;
  };
  const first = withImports(Object.keys(outputs).filter((path) => outputs[path]?.entryPoint === '<stdin>'));
  const more = withImports(Object.keys(outputs).filter((path) => later.test(path)));
  const sum = (paths: readonly string[]): number => paths.reduce((total, path) => total + sizes.get(path)!, 0);
  return { first: sum([...first]), later: sum([...more].filter((path) => !first.has(path))) };
}

test('what a page with a GPU loads of ConvTranspose2d: at most 29,400 bytes', async () => {
  const program = `export { ConvTranspose2d } from 'webgpu-conv-transpose2d';`;
  const { first } = await loaded(program, /^$/);
  expect(first).toBeGreaterThan(15_000);
  expect(first).toBeLessThanOrEqual(29_400);
});

test.each(['simd', 'relaxed-simd'])(
  'what a layer on the CPU loads besides, with %s: at most 14,500 bytes',
  async (variant) => {
    const program = `export { ConvTranspose2d } from 'webgpu-conv-transpose2d';`;
    const { later } = await loaded(program, new RegExp(`/(calls|wasm-${variant})-`));
    expect(later).toBeGreaterThan(10_000);
    expect(later).toBeLessThanOrEqual(14_500);
  },
);

test.each([false, true])('bundled by esbuild, it runs in Node; split: %s', async (splitting) => {
  const program = `
    import { convTranspose2d, convTranspose2dBackward } from 'webgpu-conv-transpose2d';
    const ones = (...shape) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b)).fill(1) });
    const [wide, input, weight] = [ones(1, 1, 4, 4), ones(1, 1, 2, 2), ones(1, 1, 2, 2)];
    const output = await convTranspose2d(input, weight, null, { stride: 2, device: 'cpu' });
    const { gradInput } = await convTranspose2dBackward(wide, input, weight, { stride: 2, device: 'cpu' });
    console.log(JSON.stringify([...output.data, ...gradInput.data]));
  `;
  const { files } = await bundled(program, splitting);
  expect(files.length > 1).toBe(splitting);
  for (const { path, contents } of files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
  }
  writeFileSync(join(dirname(files[0]!.path), 'package.json'), '{ "type": "module" }');
  const entry = files.find(({ path }) => path.endsWith('stdin.js'))!;
  expect(JSON.parse(node([entry.path], directory))).toEqual([
    ...Array<number>(16).fill(1),
    ...Array<number>(4).fill(4),
  ]);
});

test('registerConvTranspose2d adds at most 1,300 bytes to a layer, and none of TensorFlow.js', async () => {
  const layer = await shaken(`export { ConvTranspose2d } from 'webgpu-conv-transpose2d';`);
  const registered = await shaken(`export { registerConvTranspose2d } from 'webgpu-conv-transpose2d/tfjs';`);
  expect(registered).toBeGreaterThan(layer);
  expect(registered - layer).toBeLessThanOrEqual(1_300);
});

/** Most bytes of a program that imports this much and nothing else. */
describe.each([
  ['ConvTranspose2d', '', 46_100],
  ['outputShape', '', 3_250],
  ['requestDevice', '', 2_000],
  ['upload, download', '', 3_600],
  ['bilinearWeight, icnrWeight', '', 1_900],
  ['convTranspose2dReference', '/reference', 1_950],
  ['fromOnnx', '/frameworks', 2_000],
  ['*', '/frameworks', 4_300],
  ['readSafetensors', '/weights', 3_850],
  ['imageToTensor', '/image', 5_150],
  ['tensorToCanvas', '/image', 5_000],
  ['*', '/image', 6_125],
])('shaken: %s of webgpu-conv-transpose2d%s', (names, entry, most) => {
  test(`at most ${String(most)} bytes`, async () => {
    const what = names === '*' ? '*' : `{ ${names} }`;
    const bytes = await shaken(`export ${what} from 'webgpu-conv-transpose2d${entry}';`);
    expect(bytes).toBeGreaterThan(most * 0.5);
    expect(bytes).toBeLessThanOrEqual(most);
  });
});
