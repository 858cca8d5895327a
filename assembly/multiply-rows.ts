// The product for few output channels: a row is one output channel of one phase, and all phases whose taps fall on the same
// inputs are rows of one product:
//
//     results[row][position] = bias[row] + Σ over taps and input channels of weight[tap][input channel][row] · strip[input
//     channel][position + tap]
//
// Positions run on through the strip's rows, halo included. Weights are splatted, inputs are vectors. `weights` begins with the
// rows' bias (see `gatherRow`); of `taps` only the inputs' offsets are read. Results are written up to the next whole step of
// positions, and the strip is read as far: 32, 16, 12 or 8 for 1, 2, 3 or 4 rows, so that each kernel has eight or nine sums.

import { multiplyAdd } from './lanes';

/** 1 row × 32 positions. */
export function multiply1Row(
  strip: usize,
  planeStride: usize,
  channels: i32,
  weights: usize,
  taps: usize,
  tapCount: i32,
  positions: i32,
  results: usize,
  resultStride: usize,
): void {
  const tapsEnd: usize = taps + ((<usize>tapCount) << 3);
  const end = results + ((<usize>positions) << 2);
  for (; results < end; results += 128, strip += 128) {
    let a0 = v128.load32_splat(weights);
    let b0 = a0;
    let c0 = a0;
    let d0 = a0;
    let e0 = a0;
    let f0 = a0;
    let g0 = a0;
    let h0 = a0;
    let w = weights + 4;
    for (let tap = taps; tap < tapsEnd; tap += 8) {
      let x: usize = strip + load<i32>(tap);
      for (let channel = 0; channel < channels; channel++) {
        const w0 = v128.load32_splat(w);
        let input = v128.load(x);
        a0 = multiplyAdd(w0, input, a0);
        input = v128.load(x, 16);
        b0 = multiplyAdd(w0, input, b0);
        input = v128.load(x, 32);
        c0 = multiplyAdd(w0, input, c0);
        input = v128.load(x, 48);
        d0 = multiplyAdd(w0, input, d0);
        input = v128.load(x, 64);
        e0 = multiplyAdd(w0, input, e0);
        input = v128.load(x, 80);
        f0 = multiplyAdd(w0, input, f0);
        input = v128.load(x, 96);
        g0 = multiplyAdd(w0, input, g0);
        input = v128.load(x, 112);
        h0 = multiplyAdd(w0, input, h0);
        x += planeStride;
        w += 4;
      }
    }
    v128.store(results, a0);
    v128.store(results, b0, 16);
    v128.store(results, c0, 32);
    v128.store(results, d0, 48);
    v128.store(results, e0, 64);
    v128.store(results, f0, 80);
    v128.store(results, g0, 96);
    v128.store(results, h0, 112);
  }
}

/** 2 rows × 16 positions. */
export function multiply2Rows(
  strip: usize,
  planeStride: usize,
  channels: i32,
  weights: usize,
  taps: usize,
  tapCount: i32,
  positions: i32,
  results: usize,
  resultStride: usize,
): void {
  const tapsEnd: usize = taps + ((<usize>tapCount) << 3);
  const end = results + ((<usize>positions) << 2);
  for (; results < end; results += 64, strip += 64) {
    let a0 = v128.load32_splat(weights);
    let a1 = v128.load32_splat(weights, 4);
    let b0 = a0;
    let b1 = a1;
    let c0 = a0;
    let c1 = a1;
    let d0 = a0;
    let d1 = a1;
    let w = weights + 8;
    for (let tap = taps; tap < tapsEnd; tap += 8) {
      let x: usize = strip + load<i32>(tap);
      for (let channel = 0; channel < channels; channel++) {
        const w0 = v128.load32_splat(w);
        const w1 = v128.load32_splat(w + 4);
        let input = v128.load(x);
        a0 = multiplyAdd(w0, input, a0);
        a1 = multiplyAdd(w1, input, a1);
        input = v128.load(x, 16);
        b0 = multiplyAdd(w0, input, b0);
        b1 = multiplyAdd(w1, input, b1);
        input = v128.load(x, 32);
        c0 = multiplyAdd(w0, input, c0);
        c1 = multiplyAdd(w1, input, c1);
        input = v128.load(x, 48);
        d0 = multiplyAdd(w0, input, d0);
        d1 = multiplyAdd(w1, input, d1);
        x += planeStride;
        w += 8;
      }
    }
    let target = results;
    v128.store(target, a0);
    v128.store(target, b0, 16);
    v128.store(target, c0, 32);
    v128.store(target, d0, 48);
    target += resultStride;
    v128.store(target, a1);
    v128.store(target, b1, 16);
    v128.store(target, c1, 32);
    v128.store(target, d1, 48);
  }
}

/** 3 rows × 12 positions. */
export function multiply3Rows(
  strip: usize,
  planeStride: usize,
  channels: i32,
  weights: usize,
  taps: usize,
  tapCount: i32,
  positions: i32,
  results: usize,
  resultStride: usize,
): void {
  const tapsEnd: usize = taps + ((<usize>tapCount) << 3);
  const end = results + ((<usize>positions) << 2);
  for (; results < end; results += 48, strip += 48) {
    let a0 = v128.load32_splat(weights);
    let a1 = v128.load32_splat(weights, 4);
    let a2 = v128.load32_splat(weights, 8);
    let b0 = a0;
    let b1 = a1;
    let b2 = a2;
    let c0 = a0;
    let c1 = a1;
    let c2 = a2;
    let w = weights + 12;
    for (let tap = taps; tap < tapsEnd; tap += 8) {
      let x: usize = strip + load<i32>(tap);
      for (let channel = 0; channel < channels; channel++) {
        const w0 = v128.load32_splat(w);
        const w1 = v128.load32_splat(w + 4);
        const w2 = v128.load32_splat(w + 8);
        let input = v128.load(x);
        a0 = multiplyAdd(w0, input, a0);
        a1 = multiplyAdd(w1, input, a1);
        a2 = multiplyAdd(w2, input, a2);
        input = v128.load(x, 16);
        b0 = multiplyAdd(w0, input, b0);
        b1 = multiplyAdd(w1, input, b1);
        b2 = multiplyAdd(w2, input, b2);
        input = v128.load(x, 32);
        c0 = multiplyAdd(w0, input, c0);
        c1 = multiplyAdd(w1, input, c1);
        c2 = multiplyAdd(w2, input, c2);
        x += planeStride;
        w += 12;
      }
    }
    let target = results;
    v128.store(target, a0);
    v128.store(target, b0, 16);
    v128.store(target, c0, 32);
    target += resultStride;
    v128.store(target, a1);
    v128.store(target, b1, 16);
    v128.store(target, c1, 32);
    target += resultStride;
    v128.store(target, a2);
    v128.store(target, b2, 16);
    v128.store(target, c2, 32);
  }
}

/** 4 rows × 8 positions. */
export function multiply4Rows(
  strip: usize,
  planeStride: usize,
  channels: i32,
  weights: usize,
  taps: usize,
  tapCount: i32,
  positions: i32,
  results: usize,
  resultStride: usize,
): void {
  const tapsEnd: usize = taps + ((<usize>tapCount) << 3);
  const end = results + ((<usize>positions) << 2);
  for (; results < end; results += 32, strip += 32) {
    let a0 = v128.load32_splat(weights);
    let a1 = v128.load32_splat(weights, 4);
    let a2 = v128.load32_splat(weights, 8);
    let a3 = v128.load32_splat(weights, 12);
    let b0 = a0;
    let b1 = a1;
    let b2 = a2;
    let b3 = a3;
    let w = weights + 16;
    for (let tap = taps; tap < tapsEnd; tap += 8) {
      let x: usize = strip + load<i32>(tap);
      for (let channel = 0; channel < channels; channel++) {
        const xa = v128.load(x);
        const xb = v128.load(x, 16);
        let weight = v128.load32_splat(w);
        a0 = multiplyAdd(weight, xa, a0);
        b0 = multiplyAdd(weight, xb, b0);
        weight = v128.load32_splat(w + 4);
        a1 = multiplyAdd(weight, xa, a1);
        b1 = multiplyAdd(weight, xb, b1);
        weight = v128.load32_splat(w + 8);
        a2 = multiplyAdd(weight, xa, a2);
        b2 = multiplyAdd(weight, xb, b2);
        weight = v128.load32_splat(w + 12);
        a3 = multiplyAdd(weight, xa, a3);
        b3 = multiplyAdd(weight, xb, b3);
        x += planeStride;
        w += 16;
      }
    }
    let target = results;
    v128.store(target, a0);
    v128.store(target, b0, 16);
    target += resultStride;
    v128.store(target, a1);
    v128.store(target, b1, 16);
    target += resultStride;
    v128.store(target, a2);
    v128.store(target, b2, 16);
    target += resultStride;
    v128.store(target, a3);
    v128.store(target, b3, 16);
  }
}

/** Copies a row's bias, then its weights, `stride` bytes from one input channel to the next, to every `step` bytes of `target`. */
export function gatherRow(
  target: usize,
  step: usize,
  bias: usize,
  weights: usize,
  stride: usize,
  channels: i32,
  taps: usize,
  tapCount: i32,
): void {
  const tapsEnd: usize = taps + ((<usize>tapCount) << 3);
  store<f32>(target, load<f32>(bias));
  for (let tap = taps; tap < tapsEnd; tap += 8) {
    let source: usize = weights + load<i32>(tap, 4);
    for (let channel = 0; channel < channels; channel++, source += stride) {
      target += step;
      store<f32>(target, load<f32>(source));
    }
  }
}
