import * as directOnly from 'direct-only';
import type { Contender } from './contender.ts';
import { onWebgpu } from './ours.ts';

/** The library with no kernel but `direct`: what the other kernels gain, whatever the adapter. */
export const oursDirect: Contender = onWebgpu('ours-direct', directOnly);
