/** What the benchmarks are told, checked before minutes of work: what is wrong is said in a line. */
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** @typedef {import('./layer.ts').Layer} Layer */

/**
 * What a step gives; a message and the end of the program where it throws.
 * @template T
 * @param {() => T} step
 * @returns {T}
 */
function orEnd(step) {
  try {
    return step();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}

/**
 * The options of the command line.
 * @template {NonNullable<import('node:util').ParseArgsConfig['options']>} Options
 * @param {Options} options
 */
export function optionsGiven(options) {
  const { values } = orEnd(() => parseArgs({ options }));
  return values;
}

/**
 * A whole number, at least 1.
 * @param {string} name
 * @param {string} value
 */
export function wholeNumber(name, value) {
  return orEnd(() => {
    const number = Number(value);
    if (!Number.isInteger(number) || number < 1) throw new Error(`${name} is '${value}'; a whole number is wanted`);
    return number;
  });
}

/**
 * Where results go, if anywhere.
 * @param {string} name
 * @param {string | undefined} file
 */
export function checkTarget(name, file) {
  orEnd(() => {
    if (file === undefined || statSync(resolve(file), { throwIfNoEntry: false })?.isDirectory() !== true) return;
    throw new Error(`${name} is '${file}', a folder; a file is wanted`);
  });
}

/** How many numbers a layer's entries have, and the least that each may be; none for a number alone. */
const ENTRIES = /** @type {const} */ ([
  ['input', 4, 1],
  ['outChannels', undefined, 1],
  ['kernelSize', 2, 1],
  ['stride', 2, 1],
  ['padding', 2, 0],
  ['outputPadding', 2, 0],
  ['groups', undefined, 1],
  ['dilation', 2, 1],
]);

/**
 * The layers of a file.
 * @param {string} file
 * @returns {Layer[]}
 */
export function layersOf(file) {
  return orEnd(() => {
    /** @type {unknown} */
    let given;
    try {
      given = JSON.parse(readFileSync(resolve(file), 'utf8'));
    } catch (cause) {
      throw new Error(`--layers: '${file}' cannot be read: ${String(cause)}`, { cause });
    }
    if (!Array.isArray(given) || given.length === 0) throw new Error(`--layers: '${file}' is no list of layers`);
    return given.map((/** @type {unknown} */ layer, at) => checkedLayer(layer, `--layers: '${file}', layer ${at + 1}`));
  });
}

/**
 * @param {unknown} layer
 * @param {string} where
 * @returns {Layer}
 */
function checkedLayer(layer, where) {
  if (typeof layer !== 'object' || layer === null) throw new Error(`${where} is ${JSON.stringify(layer)}`);
  const given = /** @type {Record<string, unknown>} */ (layer);
  if (typeof given['name'] !== 'string') throw new Error(`${where} has no name`);
  for (const [name, count, least] of ENTRIES) {
    const { [name]: value } = given;
    const numbers =
      count === undefined ? [value] : Array.isArray(value) && value.length === count ? value : [undefined];
    if (numbers.every((number) => Number.isInteger(number) && number >= least)) continue;
    const wanted = count === undefined ? 'a whole number' : `${count} whole numbers`;
    throw new Error(`${where}, ${name} is ${JSON.stringify(value)}; ${wanted} from ${least} on wanted`);
  }
  const checked = /** @type {Layer} */ (layer);
  const wrong = impossible(checked);
  if (wrong !== undefined) throw new Error(`${where}, ${wrong}`);
  return checked;
}

/**
 * Why there is no such layer.
 * @param {Layer} layer
 */
function impossible({ input, outChannels, kernelSize, stride, padding, outputPadding, groups, dilation }) {
  if (input[1] % groups !== 0 || outChannels % groups !== 0) return `groups is ${groups}; it must divide both channels`;
  for (const axis of /** @type {const} */ ([0, 1])) {
    const more = outputPadding[axis];
    if (more >= Math.max(stride[axis], dilation[axis]))
      return `outputPadding is ${more}; it must be smaller than stride or dilation`;
    const full = (input[axis === 0 ? 2 : 3] - 1) * stride[axis] + dilation[axis] * (kernelSize[axis] - 1) + 1;
    if (full + more <= 2 * padding[axis]) return `padding is ${padding[axis]}; it leaves nothing of ${full + more}`;
  }
  return undefined;
}
