/** The CPU path's own chunks: loaded when a layer or a call finds that it runs there, and never on a page with a GPU. */
import { ConvTranspose2dError } from '../errors.ts';
import type * as Calls from './calls.ts';
import type * as CpuGradients from './gradients.ts';

/** What computes calls. @throws ConvTranspose2dError NOT_READY */
export function loadCalls(): Promise<typeof Calls> {
  return loaded(import('./calls.ts'));
}

/** What computes gradients. @throws ConvTranspose2dError NOT_READY */
export function loadGradients(): Promise<typeof CpuGradients> {
  return loaded(import('./gradients.ts'));
}

async function loaded<Module>(chunk: Promise<Module>): Promise<Module> {
  try {
    return await chunk;
  } catch (cause) {
    const message = `the code of the CPU path did not load, which the next call tries again: ${String(cause)}`;
    throw new ConvTranspose2dError('NOT_READY', message, { cause });
  }
}
