// From the results of each phase to rows of the output, where the columns of the phases alternate.

import { joinHigh, joinLow, zipHigh, zipLow } from './lanes';

/**
 * output[channel][row][stride·m + r] = phase r's results[channel][row][m], for all columns below `columns`.
 *
 * `phases` points to `stride` byte offsets from `results`, one per r. All other strides are in bytes.
 */
export function interleave(
  results: usize,
  phases: usize,
  stride: i32,
  resultChannelStride: usize,
  resultRowStride: usize,
  output: usize,
  channelStride: usize,
  rowStride: usize,
  columnStride: usize,
  channels: i32,
  rows: i32,
  columns: i32,
): void {
  for (; channelStride == 4 && channels >= 4; channels -= 4) {
    let from = results;
    let to = output;
    for (let row = 0; row < rows; row++) {
      interleaveChannels(from, phases, stride, resultChannelStride, to, columnStride, columns);
      from += resultRowStride;
      to += rowStride;
    }
    results += 4 * resultChannelStride;
    output += 16;
  }
  for (let channel = 0; channel < channels; channel++) {
    let from = results;
    let to = output;
    for (let row = 0; row < rows; row++) {
      const done = columnStride == 4 ? interleaveQuads(from, phases, stride, to, columns) : 0;
      for (let r = 0; r < stride; r++) {
        let source: usize = from + load<i32>(phases + ((<usize>r) << 2)) + ((<usize>done) << 2);
        for (let column = done * stride + r; column < columns; column += stride, source += 4) {
          store<f32>(to + <usize>column * columnStride, load<f32>(source));
        }
      }
      from += resultRowStride;
      to += rowStride;
    }
    results += resultChannelStride;
    output += channelStride;
  }
}

/** Four m at a time, for strides 1, 2, 3 and multiples of 4; returns how many m are done. */
function interleaveQuads(results: usize, phases: usize, stride: i32, output: usize, columns: i32): i32 {
  const whole = (columns / stride) & ~3;
  if (stride == 1) {
    const source: usize = results + load<i32>(phases);
    for (let m = 0; m < whole; m += 4) {
      const at = (<usize>m) << 2;
      v128.store(output + at, v128.load(source + at));
    }
    return whole;
  }
  if (stride == 2) {
    const even: usize = results + load<i32>(phases);
    const odd: usize = results + load<i32>(phases, 4);
    for (let m = 0; m < whole; m += 4) {
      const at = (<usize>m) << 2;
      const a = v128.load(even + at);
      const b = v128.load(odd + at);
      v128.store(output + (at << 1), zipLow(a, b));
      v128.store(output + (at << 1), zipHigh(a, b), 16);
    }
    return whole;
  }
  if (stride == 3) {
    const first: usize = results + load<i32>(phases);
    const second: usize = results + load<i32>(phases, 4);
    const third: usize = results + load<i32>(phases, 8);
    for (let m = 0; m < whole; m += 4) {
      const at = (<usize>m) << 2;
      const a = v128.load(first + at);
      const b = v128.load(second + at);
      const c = v128.load(third + at);
      const target = output + 3 * at;
      v128.store(target, v128.shuffle<f32>(v128.shuffle<f32>(a, b, 0, 4, 1, 1), c, 0, 1, 4, 2));
      v128.store(target, v128.shuffle<f32>(v128.shuffle<f32>(b, c, 1, 5, 2, 2), a, 0, 1, 6, 2), 16);
      v128.store(target, v128.shuffle<f32>(v128.shuffle<f32>(c, a, 2, 7, 3, 3), b, 0, 1, 7, 2), 32);
    }
    return whole;
  }
  if (stride & 3) return 0;
  const step: usize = (<usize>stride) << 2;
  for (let r = 0; r < stride; r += 4) {
    const table: usize = phases + ((<usize>r) << 2);
    const source0: usize = results + load<i32>(table);
    const source1: usize = results + load<i32>(table, 4);
    const source2: usize = results + load<i32>(table, 8);
    const source3: usize = results + load<i32>(table, 12);
    let target: usize = output + ((<usize>r) << 2);
    for (let m = 0; m < whole; m += 4) {
      const at = (<usize>m) << 2;
      const a = v128.load(source0 + at);
      const b = v128.load(source1 + at);
      const c = v128.load(source2 + at);
      const d = v128.load(source3 + at);
      const lowAB = zipLow(a, b);
      const lowCD = zipLow(c, d);
      const highAB = zipHigh(a, b);
      const highCD = zipHigh(c, d);
      v128.store(target, joinLow(lowAB, lowCD));
      v128.store(target + step, joinHigh(lowAB, lowCD));
      target += step << 1;
      v128.store(target, joinLow(highAB, highCD));
      v128.store(target + step, joinHigh(highAB, highCD));
      target += step << 1;
    }
  }
  return whole;
}

/** A row of four channels that are neighbours in the output. */
function interleaveChannels(
  results: usize,
  phases: usize,
  stride: i32,
  channelStride: usize,
  output: usize,
  columnStride: usize,
  columns: i32,
): void {
  const step: usize = columnStride * stride;
  for (let r = 0; r < stride; r++) {
    let source: usize = results + load<i32>(phases + ((<usize>r) << 2));
    let target = output + columnStride * r;
    // Columns are counted, for addresses beyond the last may be beyond 4 GiB.
    let column = r;
    for (; column + 3 * stride < columns; column += stride << 2, target += step << 2, source += 16) {
      const a = v128.load(source);
      const b = v128.load(source + channelStride);
      const c = v128.load(source + 2 * channelStride);
      const d = v128.load(source + 3 * channelStride);
      const lowAB = zipLow(a, b);
      const lowCD = zipLow(c, d);
      const highAB = zipHigh(a, b);
      const highCD = zipHigh(c, d);
      v128.store(target, joinLow(lowAB, lowCD));
      v128.store(target + step, joinHigh(lowAB, lowCD));
      v128.store(target + 2 * step, joinLow(highAB, highCD));
      v128.store(target + 3 * step, joinHigh(highAB, highCD));
    }
    for (; column < columns; column += stride, target += step, source += 4) {
      store<f32>(target, load<f32>(source));
      store<f32>(target, load<f32>(source + channelStride), 4);
      store<f32>(target, load<f32>(source + 2 * channelStride), 8);
      store<f32>(target, load<f32>(source + 3 * channelStride), 12);
    }
  }
}
