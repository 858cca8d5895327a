// Activations in place, four at a time, to about the last bit of a float32.

import { multiplyAdd } from './lanes';

// The numbers are the caller's ACTIVATIONS, in src/types.ts: none is 0 and never gets here.
const RELU = 1;
const RELU6 = 2;
const LEAKY_RELU = 3;
const SIGMOID = 4;
const TANH = 5;
const GELU = 6;

/** values[i] = activation(values[i]) for i < count, rounded up to 4. */
export function activate(values: usize, count: i32, kind: i32, negativeSlope: f32): void {
  const end: usize = values + ((<usize>count) << 2);
  for (; values < end; values += 16) v128.store(values, activated(v128.load(values), kind, negativeSlope));
}

function activated(x: v128, kind: i32, negativeSlope: f32): v128 {
  const zero = f32x4.splat(0);
  if (kind == RELU) return f32x4.max(x, zero);
  if (kind == RELU6) return f32x4.min(f32x4.max(x, zero), f32x4.splat(6));
  if (kind == LEAKY_RELU) return v128.bitselect(f32x4.mul(x, f32x4.splat(negativeSlope)), x, f32x4.lt(x, zero));
  if (kind == SIGMOID) return logistic(x);
  if (kind == TANH) return tanh(x);
  if (kind == GELU) {
    // ½x(1 + tanh(u)) = x·logistic(2u), u = √(2/π)·(x + 0.044715·x³)
    const cubic = multiplyAdd(f32x4.mul(x, x), f32x4.splat(0.044715), f32x4.splat(1));
    return f32x4.mul(x, logistic(f32x4.mul(f32x4.mul(x, f32x4.splat(1.5957691216057308)), cubic)));
  }
  return f32x4.mul(x, logistic(x));
}

/** 1 / (1 + e⁻ˣ) */
function logistic(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exponential(f32x4.neg(x))));
}

function tanh(x: v128): v128 {
  const one = f32x4.splat(1);
  const magnitude = f32x4.abs(x);
  const far = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(one, exponential(f32x4.add(magnitude, magnitude)))));
  // Near 0 that loses digits; there an odd polynomial, fitted on |x| < 0.625.
  const square = f32x4.mul(x, x);
  let near = multiplyAdd(f32x4.splat(-0.00570498872745), square, f32x4.splat(0.0206390887954));
  near = multiplyAdd(near, square, f32x4.splat(-0.0537397155531));
  near = multiplyAdd(near, square, f32x4.splat(0.133314422036));
  near = multiplyAdd(near, square, f32x4.splat(-0.333332819422));
  near = multiplyAdd(f32x4.mul(near, square), magnitude, magnitude);
  const result = v128.bitselect(near, far, f32x4.lt(magnitude, f32x4.splat(0.625)));
  return v128.bitselect(x, result, f32x4.splat(-0.0));
}

/** eˣ = 2ⁿ·eʳ with |r| ≤ ½·ln 2; below −87 the least of normal float32s, and Infinity where 2ⁿ is: from 88.4 on. */
function exponential(x: v128): v128 {
  x = f32x4.max(f32x4.min(x, f32x4.splat(89)), f32x4.splat(-87));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.4426950408889634)));
  // ln 2 in two parts, so that the first product is exact.
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let sum = multiplyAdd(f32x4.splat(1.98756915e-4), r, f32x4.splat(1.3981999507e-3));
  sum = multiplyAdd(sum, r, f32x4.splat(8.3334519073e-3));
  sum = multiplyAdd(sum, r, f32x4.splat(4.1665795894e-2));
  sum = multiplyAdd(sum, r, f32x4.splat(1.6666665459e-1));
  sum = multiplyAdd(sum, r, f32x4.splat(0.5));
  sum = f32x4.add(multiplyAdd(f32x4.mul(sum, r), r, r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return f32x4.mul(sum, power);
}
