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
