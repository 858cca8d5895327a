/** Error messages about arguments. */
import { ConvTranspose2dError } from './errors.ts';

/** How much of a value a message shows: letters of a string, elements of an array or keys of an object, levels of nested arrays. */
const [LETTERS, ELEMENTS, DEPTH] = [100, 8, 2];

/** A value as a message shows it: short, and never throwing. */
export function shown(value: unknown, depth: number = DEPTH): string {
  try {
    if (typeof value === 'string') return `'${value.slice(0, LETTERS)}${value.length > LETTERS ? '…' : ''}'`;
    if (Array.isArray(value)) {
      if (depth === 0) return '[…]';
      const elements = value.slice(0, ELEMENTS).map((element) => shown(element, depth - 1));
      return `[${elements.join(', ')}${value.length > ELEMENTS ? ', …' : ''}]`;
    }
    if (typeof value === 'function') return 'a function';
    if (typeof value !== 'object' || value === null) return String(value);
    const tag = Object.prototype.toString.call(value);
    if (ArrayBuffer.isView(value) && 'length' in value)
      return `${tag.slice('[object '.length, -1)}(${String(value.length)})`;
    return tag === '[object Object]' ? shownKeys(Object.keys(value)) : tag;
  } catch {
    // A getter or a proxy has thrown.
    return 'an object';
  }
}

/** An object by its keys: reading the values might run getters. */
function shownKeys(keys: readonly string[]): string {
  const some = keys.slice(0, ELEMENTS).map((key) => key.slice(0, LETTERS));
  return some.length === 0 ? '{}' : `{ ${[...some, ...(keys.length > ELEMENTS ? ['…'] : [])].join(', ')} }`;
}

/** Whether a value is an object with such a member, its own or inherited. */
export const has = <Name extends string>(value: unknown, name: Name): value is Record<Name, unknown> =>
  typeof value === 'object' && value !== null && name in value;

/** The error of an argument that breaks a rule: names the argument, its value and the rule. */
export function invalid(argument: string, value: unknown, rule: string): ConvTranspose2dError {
  return new ConvTranspose2dError('INVALID_ARGUMENT', `${argument} is ${shown(value)}; ${rule}`);
}
