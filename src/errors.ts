/**
 * What went wrong, for a program to act on.
 * - INVALID_ARGUMENT: an argument breaks a rule. The message names it, its value and what is allowed.
 * - UNSUPPORTED: legal, and beyond this device or place.
 * - NOT_READY: too early, since no device is known yet; or code that is loaded when it is first needed did not load: the next
 *   call tries again.
 * - DESTROYED: the layer was.
 * - OUT_OF_MEMORY: there is no room, for now. What the call made is let go of; another may succeed.
 * - DEVICE_LOST: the GPU, or a worker of the CPU path, is gone. The message says what makes another.
 * - GPU_ERROR: the device refused what it was given, does not compile a kernel, or computes wrong numbers.
 */
export type ConvTranspose2dErrorCode =
  'INVALID_ARGUMENT' | 'UNSUPPORTED' | 'NOT_READY' | 'DESTROYED' | 'OUT_OF_MEMORY' | 'DEVICE_LOST' | 'GPU_ERROR';

/** Every error that this package raises of its own; an aborted call rejects with its signal's reason instead. */
export class ConvTranspose2dError extends Error {
  /** What went wrong. */
  readonly code: ConvTranspose2dErrorCode;

  /** @internal */
  constructor(code: ConvTranspose2dErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ConvTranspose2dError';
    this.code = code;
  }
}

/** Of a value, a message shows at most these: letters of a string, elements of an array or an object, arrays within arrays. */
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
    // A getter of the caller's, or a proxy.
    return 'an object';
  }
}

/** An object, by what it has; its values are not asked for. */
function shownKeys(keys: readonly string[]): string {
  const some = keys.slice(0, ELEMENTS).map((key) => key.slice(0, LETTERS));
  return some.length === 0 ? '{}' : `{ ${[...some, ...(keys.length > ELEMENTS ? ['…'] : [])].join(', ')} }`;
}

/** The error of an argument that breaks a rule: names the argument, its value and the rule. */
export function invalid(argument: string, value: unknown, rule: string): ConvTranspose2dError {
  return new ConvTranspose2dError('INVALID_ARGUMENT', `${argument} is ${shown(value)}; ${rule}`);
}
