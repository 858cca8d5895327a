const filters = ['validation', 'out-of-memory', 'internal'] as const;

/**
 * Runs a synchronous segment inside validation, out-of-memory and internal error scopes, and throws what they caught.
 * Scopes are a stack per device: anything asynchronous inside would let another segment's errors in, hence the type.
 */
export async function inScopes<T>(
  device: GPUDevice,
  segment: () => T extends PromiseLike<unknown> ? never : T,
): Promise<T> {
  for (const filter of filters) device.pushErrorScope(filter);
  let caught: Promise<GPUError | null>[];
  let result: T;
  try {
    result = segment();
  } finally {
    caught = filters.map(() => device.popErrorScope());
  }
  const errors = (await Promise.all(caught)).filter((error) => error !== null);
  if (errors.length > 0) {
    throw new Error(errors.map((error) => `${error.constructor.name}: ${error.message}`).join('\n'));
  }
  return result;
}
