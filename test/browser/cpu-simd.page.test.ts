// The CPU path of an engine that has WebAssembly SIMD, and no relaxed one: numbers, laws and errors.
import { describeCpu } from '../support/cpu-suite.ts';
import './errors.test.ts';

const validate = WebAssembly.validate.bind(WebAssembly);
let asked = 0;
// The module with relaxed SIMD is asked for first.
WebAssembly.validate = (bytes): boolean => asked++ > 0 && validate(bytes);

describeCpu('wasm-simd');
