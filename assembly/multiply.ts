// The multiplications: per phase, result[position][output channel] = bias + Σ over taps and input channels of
// strip[input channel][position + tap] · weight[tap][input channel][output channel].
//
// `taps` points to `tapCount` pairs of byte offsets: of the tap's first input in the strip, and of its weights. A position's
// input is at one offset from the strip's origin for every tap, `planeStride` apart for every channel; no im2col is written.
//
// Each kernel keeps its sums in eight vectors or more, which hide an addition's latency and still fit, with operands, into the
// sixteen registers of x86-64, of which V8 keeps one. V128 locals cannot be indexed, so they have names.

import { joinHigh, joinLow, multiplyAdd, zipHigh, zipLow } from './lanes';

/** Bytes of eight output channels: of a row of packed weights, and of the bias. */
const PANEL: usize = 32;

/**
 * 6 or 4 positions × 8 output channels: two vectors of weights, splatted inputs. Twelve sums keep the multipliers busier than
 * eight, but fit, with operands, only where a multiply-add needs no register between product and sum.
 *
 * Weights are [tap][input channel][8], results [row][8 channels][column], columns rounded up to 4: the strip is readable, and
 * the results writable, so far.
 */
export function multiplyPositions(
  strip: usize,
  rowStride: usize,
  planeStride: usize,
  channels: i32,
  weights: usize,
  bias: usize,
  taps: usize,
  tapCount: i32,
  rows: i32,
  columns: i32,
  results: usize,
  channelStride: usize,
): void {
  const panelBytes: usize = <usize>channels * PANEL;
  const tapsEnd: usize = taps + ((<usize>tapCount) << 3);
  for (let tap = taps; tap < tapsEnd; tap += 8) touch(weights + load<i32>(tap, 4), panelBytes);
  const sixes = columnsInSixes(columns);
  for (let row = 0; row < rows; row++) {
    let column = 0;
    if (ASC_FEATURE_RELAXED_SIMD) {
      for (; column < sixes; column += 6) {
        const at = (<usize>column) << 2;
        sixPositions(strip + at, planeStride, panelBytes, weights, bias, taps, tapsEnd, results + at, channelStride);
      }
    }
    for (; column < columns; column += 4) {
      const at = (<usize>column) << 2;
      fourPositions(strip + at, planeStride, panelBytes, weights, bias, taps, tapsEnd, results + at, channelStride);
    }
    strip += rowStride;
    results += channelStride << 3;
  }
}

/** How many of the columns to compute by six; fours do the rest. Together they make any even number but two. */
function columnsInSixes(columns: i32): i32 {
  const even = (columns + 1) & ~1;
  const rest = even % 6;
  return even - (rest == 2 ? 8 : rest);
}

function sixPositions(
  strip: usize,
  planeStride: usize,
  panelBytes: usize,
  weights: usize,
  bias: usize,
  taps: usize,
  tapsEnd: usize,
  results: usize,
  channelStride: usize,
): void {
  let a0 = v128.load(bias);
  let b0 = v128.load(bias, 16);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let a4 = a0;
  let a5 = a0;
  let b1 = b0;
  let b2 = b0;
  let b3 = b0;
  let b4 = b0;
  let b5 = b0;
  for (let tap = taps; tap < tapsEnd; tap += 8) {
    let x: usize = strip + load<i32>(tap);
    let w: usize = weights + load<i32>(tap, 4);
    const end = w + panelBytes;
    do {
      const wa = v128.load(w);
      const wb = v128.load(w, 16);
      let input = v128.load32_splat(x);
      a0 = multiplyAdd(input, wa, a0);
      b0 = multiplyAdd(input, wb, b0);
      input = v128.load32_splat(x + 4);
      a1 = multiplyAdd(input, wa, a1);
      b1 = multiplyAdd(input, wb, b1);
      input = v128.load32_splat(x + 8);
      a2 = multiplyAdd(input, wa, a2);
      b2 = multiplyAdd(input, wb, b2);
      input = v128.load32_splat(x + 12);
      a3 = multiplyAdd(input, wa, a3);
      b3 = multiplyAdd(input, wb, b3);
      input = v128.load32_splat(x + 16);
      a4 = multiplyAdd(input, wa, a4);
      b4 = multiplyAdd(input, wb, b4);
      input = v128.load32_splat(x + 20);
      a5 = multiplyAdd(input, wa, a5);
      b5 = multiplyAdd(input, wb, b5);
      x += planeStride;
      w += PANEL;
    } while (w != end);
  }
  storeTransposed(results, channelStride, a0, a1, a2, a3);
  storePair(results + 16, channelStride, a4, a5);
  results += 4 * channelStride;
  storeTransposed(results, channelStride, b0, b1, b2, b3);
  storePair(results + 16, channelStride, b4, b5);
}

function fourPositions(
  strip: usize,
  planeStride: usize,
  panelBytes: usize,
  weights: usize,
  bias: usize,
  taps: usize,
  tapsEnd: usize,
  results: usize,
  channelStride: usize,
): void {
  let a0 = v128.load(bias);
  let b0 = v128.load(bias, 16);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b1 = b0;
  let b2 = b0;
  let b3 = b0;
  for (let tap = taps; tap < tapsEnd; tap += 8) {
    let x: usize = strip + load<i32>(tap);
    let w: usize = weights + load<i32>(tap, 4);
    const end = w + panelBytes;
    do {
      const wa = v128.load(w);
      const wb = v128.load(w, 16);
      let input = v128.load32_splat(x);
      a0 = multiplyAdd(input, wa, a0);
      b0 = multiplyAdd(input, wb, b0);
      input = v128.load32_splat(x + 4);
      a1 = multiplyAdd(input, wa, a1);
      b1 = multiplyAdd(input, wb, b1);
      input = v128.load32_splat(x + 8);
      a2 = multiplyAdd(input, wa, a2);
      b2 = multiplyAdd(input, wb, b2);
      input = v128.load32_splat(x + 12);
      a3 = multiplyAdd(input, wa, a3);
      b3 = multiplyAdd(input, wb, b3);
      x += planeStride;
      w += PANEL;
    } while (w != end);
  }
  storeTransposed(results, channelStride, a0, a1, a2, a3);
  storeTransposed(results + 4 * channelStride, channelStride, b0, b1, b2, b3);
}

/**
 * Reads each cache line once. Weights that come from far are first met here, where many reads are under way at once; the
 * product would wait for a few at a time.
 */
function touch(from: usize, bytes: usize): void {
  for (const end = from + bytes; from < end; from += 64) load<i32>(from);
}

/** Four positions' channels become four channels' positions. */
function storeTransposed(target: usize, stride: usize, p0: v128, p1: v128, p2: v128, p3: v128): void {
  const low01 = zipLow(p0, p1);
  const low23 = zipLow(p2, p3);
  v128.store(target, joinLow(low01, low23));
  v128.store(target + stride, joinHigh(low01, low23));
  const high01 = zipHigh(p0, p1);
  const high23 = zipHigh(p2, p3);
  v128.store(target + 2 * stride, joinLow(high01, high23));
  v128.store(target + 3 * stride, joinHigh(high01, high23));
}

/** Two positions' channels become four channels' positions. */
function storePair(target: usize, stride: usize, p0: v128, p1: v128): void {
  const low = zipLow(p0, p1);
  const high = zipHigh(p0, p1);
  v128.store64_lane(target, low, 0);
  v128.store64_lane(target + stride, low, 1);
  v128.store64_lane(target + 2 * stride, high, 0);
  v128.store64_lane(target + 3 * stride, high, 1);
}

/**
 * 1 position × 8 output channels, four input channels at a time: a matrix-vector product that streams the weights.
 * Arguments are those of `multiplyPositions`.
 */
export function multiplyPoint(
  strip: usize,
  rowStride: usize,
  planeStride: usize,
  channels: i32,
  weights: usize,
  bias: usize,
  taps: usize,
  tapCount: i32,
  rows: i32,
  columns: i32,
  results: usize,
  channelStride: usize,
): void {
  const panelBytes: usize = <usize>channels * PANEL;
  const quadBytes: usize = <usize>(channels & ~3) * PANEL;
  const tapsEnd: usize = taps + ((<usize>tapCount) << 3);
  const zero = f32x4.splat(0);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const origin: usize = strip + ((<usize>column) << 2);
      let a0 = v128.load(bias);
      let b0 = v128.load(bias, 16);
      let a1 = zero;
      let b1 = zero;
      let a2 = zero;
      let b2 = zero;
      let a3 = zero;
      let b3 = zero;
      for (let tap = taps; tap < tapsEnd; tap += 8) {
        let x: usize = origin + load<i32>(tap);
        let w: usize = weights + load<i32>(tap, 4);
        const end = w + panelBytes;
        const quadEnd = w + quadBytes;
        for (; w != quadEnd; w += 4 * PANEL) {
          let input = v128.load32_splat(x);
          a0 = multiplyAdd(input, v128.load(w), a0);
          b0 = multiplyAdd(input, v128.load(w, 16), b0);
          input = v128.load32_splat(x + planeStride);
          a1 = multiplyAdd(input, v128.load(w, 32), a1);
          b1 = multiplyAdd(input, v128.load(w, 48), b1);
          x += planeStride << 1;
          input = v128.load32_splat(x);
          a2 = multiplyAdd(input, v128.load(w, 64), a2);
          b2 = multiplyAdd(input, v128.load(w, 80), b2);
          input = v128.load32_splat(x + planeStride);
          a3 = multiplyAdd(input, v128.load(w, 96), a3);
          b3 = multiplyAdd(input, v128.load(w, 112), b3);
          x += planeStride << 1;
        }
        for (; w != end; w += PANEL) {
          const input = v128.load32_splat(x);
          a0 = multiplyAdd(input, v128.load(w), a0);
          b0 = multiplyAdd(input, v128.load(w, 16), b0);
          x += planeStride;
        }
      }
      const a = f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3));
      const b = f32x4.add(f32x4.add(b0, b1), f32x4.add(b2, b3));
      let target: usize = results + ((<usize>column) << 2);
      v128.store_lane<f32>(target, a, 0);
      v128.store_lane<f32>((target += channelStride), a, 1);
      v128.store_lane<f32>((target += channelStride), a, 2);
      v128.store_lane<f32>((target += channelStride), a, 3);
      v128.store_lane<f32>((target += channelStride), b, 0);
      v128.store_lane<f32>((target += channelStride), b, 1);
      v128.store_lane<f32>((target += channelStride), b, 2);
      v128.store_lane<f32>((target += channelStride), b, 3);
    }
    strip += rowStride;
    results += channelStride << 3;
  }
}
