// The CPU path of an engine that has no WebAssembly SIMD: numbers, laws and errors.
import { describeCpu } from '../support/cpu-suite.ts';
import './errors.test.ts';

WebAssembly.validate = (): boolean => false;

describeCpu('plain');
