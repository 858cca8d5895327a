/** What went wrong, for a program to act on. */
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

/** A value as a message shows it: short, and never throwing. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(shown).join(', ')}${value.length > 8 ? ', …' : ''}]`;
  if (typeof value === 'object' && value !== null) return Object.prototype.toString.call(value);
  if (typeof value === 'function') return 'a function';
  return String(value);
}

/** The error of an argument that breaks a rule: names the argument, its value and the rule. */
export function invalid(argument: string, value: unknown, rule: string): ConvTranspose2dError {
  return new ConvTranspose2dError('INVALID_ARGUMENT', `${argument} is ${shown(value)}; ${rule}`);
}
