// The products for many output channels, a panel of eight at a time and each phase by itself:
//
//     results[position][output channel] = bias[output channel]
//         + Σ over taps and input channels of strip[input channel][position + tap] · weight[tap][input channel][output channel]
//
// A tap's input is at one offset from a position's place in the strip, and `planeStride` further for each channel, so nothing is
// copied into columns (im2col).
//
// Each kernel keeps its sums in eight vectors or more, which hide an addition's latency and still fit, with operands, into the
// sixteen registers of x86-64, of which V8 keeps one.

import { joinHigh, joinLow, multiplyAdd, zipHigh, zipLow } from './lanes';
import { at, Phase, Plan } from './plan';

/** Bytes of eight output channels: of a row of packed weights, and of the bias. */
const PANEL: usize = 32;

/**
 * A row of one phase's tile after the other, 6 or 4 positions × 8 output channels at a time: two vectors of weights, and inputs that
 * are in all lanes of a vector. Twelve sums keep the multipliers busier than eight, but fit, with operands, only where a multiply-add
 * needs no register between product and sum: with relaxed SIMD.
 *
 * Weights are [tap][input channel][8], results [row][8 channels][column]. Columns are rounded up to 4: the strip is readable, and the
 * results are writable, to there. Taps that reach the strip's rows of zeros alone are left out: the first or the last ones of a row.
 */
export function multiplyPositions(
  plan: Plan,
  phase: Phase,
  weights: usize,
  bias: usize,
  strip: usize,
  rows: i32,
  columns: i32,
  results: usize,
): void {
  const panelBytes: usize = <usize>plan.inChannels * PANEL;
  const channelStride = plan.channelStride;
  const taps = at(plan, phase.tapsAt);
  const tapsEnd: usize = taps + ((<usize>phase.taps) << 3);
  for (let tap = taps; tap < tapsEnd; tap += 8) touch(weights + load<i32>(tap, 4), panelBytes);
  const sixes = columnsInSixes(columns);
  for (let row = 0; row < rows; row++) {
    let first = taps;
    while (first < tapsEnd && !holdsInputs(plan, strip + load<i32>(first))) first += 8;
    let end = tapsEnd;
    while (end > first && !holdsInputs(plan, strip + load<i32>(end - 8))) end -= 8;
    let column = 0;
    if (ASC_FEATURE_RELAXED_SIMD) {
      for (; column < sixes; column += 6) {
        const to = (<usize>column) << 2;
        sixPositions(plan, strip + to, weights, bias, first, end, results + to);
      }
    }
    for (; column < columns; column += 4) {
      const to = (<usize>column) << 2;
      fourPositions(plan, strip + to, weights, bias, first, end, results + to);
    }
    strip += plan.stripRowStride;
    results += channelStride << 3;
  }
}

/** Whether an address in the strip's first channel is in a row of inputs, and not in the rows of zeros before or behind them. */
function holdsInputs(plan: Plan, address: usize): bool {
  return address >= plan.inputs && address < plan.inputsEnd;
}

/** How many of the columns to compute by six; fours do the rest. Together they make any even number but two. */
function columnsInSixes(columns: i32): i32 {
  const even = (columns + 1) & ~1;
  const rest = even % 6;
  return even - (rest == 2 ? 8 : rest);
}

function sixPositions(plan: Plan, strip: usize, weights: usize, bias: usize, taps: usize, end: usize, results: usize): void {
  multiplyColumns(6, plan, strip, weights, bias, taps, end, results);
}

function fourPositions(plan: Plan, strip: usize, weights: usize, bias: usize, taps: usize, end: usize, results: usize): void {
  multiplyColumns(4, plan, strip, weights, bias, taps, end, results);
}

/**
 * `count` positions: 6, or 4. It is a literal and the function is inlined, so the compiler decides every `if` on it. V128 locals
 * cannot be indexed, so the sums have names: a and b are the panel's first and last four channels.
 */
@inline
function multiplyColumns(
  count: i32,
  plan: Plan,
  strip: usize,
  weights: usize,
  bias: usize,
  taps: usize,
  tapsEnd: usize,
  results: usize,
): void {
  const planeStride = plan.planeStride;
  const panelBytes: usize = <usize>plan.inChannels * PANEL;
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
      input = v128.load32_splat(x, 4);
      a1 = multiplyAdd(input, wa, a1);
      b1 = multiplyAdd(input, wb, b1);
      input = v128.load32_splat(x, 8);
      a2 = multiplyAdd(input, wa, a2);
      b2 = multiplyAdd(input, wb, b2);
      input = v128.load32_splat(x, 12);
      a3 = multiplyAdd(input, wa, a3);
      b3 = multiplyAdd(input, wb, b3);
      if (count > 4) {
        input = v128.load32_splat(x, 16);
        a4 = multiplyAdd(input, wa, a4);
        b4 = multiplyAdd(input, wb, b4);
        input = v128.load32_splat(x, 20);
        a5 = multiplyAdd(input, wa, a5);
        b5 = multiplyAdd(input, wb, b5);
      }
      x += planeStride;
      w += PANEL;
    } while (w != end);
  }
  const channelStride = plan.channelStride;
  storeTransposed(results, channelStride, a0, a1, a2, a3);
  if (count > 4) storePair(results + 16, channelStride, a4, a5);
  const last: usize = results + 4 * channelStride;
  storeTransposed(last, channelStride, b0, b1, b2, b3);
  if (count > 4) storePair(last + 16, channelStride, b4, b5);
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
 * What `multiplyPositions` computes, 1 position × 8 output channels at a time, by four input channels: a matrix-vector product that
 * streams the weights.
 */
export function multiplyPoint(
  plan: Plan,
  phase: Phase,
  weights: usize,
  bias: usize,
  strip: usize,
  rows: i32,
  columns: i32,
  results: usize,
): void {
  const channels = plan.inChannels;
  const planeStride = plan.planeStride;
  const channelStride = plan.channelStride;
  const rowStride = plan.stripRowStride;
  const panelBytes: usize = <usize>channels * PANEL;
  const quadBytes: usize = <usize>(channels & ~3) * PANEL;
  const taps = at(plan, phase.tapsAt);
  const tapsEnd: usize = taps + ((<usize>phase.taps) << 3);
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
