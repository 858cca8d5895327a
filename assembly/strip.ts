// The strip: the part of an input image that one tile of outputs reads, channel by channel, with zeros where the image ends.
// The multiplication then needs to know nothing of borders, and its reads stay within the second-level cache.

import { joinHigh, joinLow, zipHigh, zipLow } from './lanes';

/**
 * strip[channel][row][column] = source[channel][row − top][column − left] inside the window, else 0.
 *
 * All strides are in bytes; `source` is the window's first element. Rows and columns of the window are
 * [top, bottom) and [left, right) within the strip.
 */
export function fillStrip(
  strip: usize,
  planeStride: usize,
  stripRowStride: usize,
  rows: i32,
  columns: i32,
  source: usize,
  channels: i32,
  channelStride: usize,
  rowStride: usize,
  columnStride: usize,
  top: i32,
  bottom: i32,
  left: i32,
  right: i32,
): void {
  const quads = channelStride == 4 && columnStride != 4 ? channels & ~3 : 0;
  for (let channel = 0; channel < quads; channel += 4) {
    const target = strip + <usize>channel * planeStride + <usize>top * stripRowStride + ((<usize>left) << 2);
    const from = source + ((<usize>channel) << 2);
    for (let row = 0; row < bottom - top; row++) {
      const y: usize = row;
      transpose(target + y * stripRowStride, planeStride, right - left, from + y * rowStride, columnStride);
    }
  }
  for (let channel = 0; channel < channels; channel++) {
    let target = strip;
    let from = source;
    for (let row = 0; row < rows; row++) {
      const end = target + ((<usize>columns) << 2);
      if (row < top || row >= bottom) {
        clear(target, end);
      } else {
        const first = target + ((<usize>left) << 2);
        const last = target + ((<usize>right) << 2);
        clear(target, first);
        if (columnStride == 4) copy(first, last, from);
        else if (channel >= quads) gather(first, last, from, columnStride);
        clear(last, end);
        from += rowStride;
      }
      target += stripRowStride;
    }
    strip += planeStride;
    source += channelStride;
  }
}

function clear(target: usize, end: usize): void {
  for (; target < end; target += 4) store<f32>(target, 0);
}

function copy(target: usize, end: usize, source: usize): void {
  for (; target + 16 <= end; target += 16, source += 16) v128.store(target, v128.load(source));
  for (; target < end; target += 4, source += 4) store<f32>(target, load<f32>(source));
}

function gather(target: usize, end: usize, source: usize, stride: usize): void {
  for (; target < end; target += 4, source += stride) store<f32>(target, load<f32>(source));
}

/** Four neighbouring channels, each to its plane. */
function transpose(target: usize, planeStride: usize, columns: i32, source: usize, columnStride: usize): void {
  const end = target + ((<usize>columns) << 2);
  for (; target + 16 <= end; target += 16, source += 4 * columnStride) {
    const a = v128.load(source);
    const b = v128.load(source + columnStride);
    const c = v128.load(source + 2 * columnStride);
    const d = v128.load(source + 3 * columnStride);
    const lowAB = zipLow(a, b);
    const lowCD = zipLow(c, d);
    const highAB = zipHigh(a, b);
    const highCD = zipHigh(c, d);
    v128.store(target, joinLow(lowAB, lowCD));
    v128.store(target + planeStride, joinHigh(lowAB, lowCD));
    v128.store(target + 2 * planeStride, joinLow(highAB, highCD));
    v128.store(target + 3 * planeStride, joinHigh(highAB, highCD));
  }
  for (; target < end; target += 4, source += columnStride) {
    store<f32>(target, load<f32>(source));
    store<f32>(target + planeStride, load<f32>(source, 4));
    store<f32>(target + 2 * planeStride, load<f32>(source, 8));
    store<f32>(target + 3 * planeStride, load<f32>(source, 12));
  }
}
