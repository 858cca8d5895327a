// The CPU path of an engine that has no WebAssembly SIMD.
import { describeCpu } from '../support/cpu-suite.ts';

WebAssembly.validate = (): boolean => false;

describeCpu('plain');
