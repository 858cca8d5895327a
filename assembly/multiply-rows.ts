// The product for few output channels. A row is one output channel of one phase, and all phases whose taps fall on the same inputs
// are rows of one product:
//
//     results[row][position] = bias[row]
//                            + Σ over taps and input channels of weight[tap][input channel][row] · strip[input channel][position + tap]
//
// Positions run on through the strip's rows, halo included. A weight is in all lanes of a vector, inputs are vectors of four
// neighbours.

import { multiplyAdd } from './lanes';
import { at, biasOf, Block, Phase, Plan, Row, weightsOf } from './plan';

/** One block of rows, over `positions` from `strip` on. `weights` is what `gather` wrote for the block. */
export function multiplyBlock(
  plan: Plan,
  block: Block,
  positions: i32,
  strip: usize,
  weights: usize,
  results: usize,
): void {
  if (block.rows == 1) multiplyRows(1, 8, plan, block, positions, strip, weights, results);
  else if (block.rows == 2) multiplyRows(2, 4, plan, block, positions, strip, weights, results);
  else if (block.rows == 3) multiplyRows(3, 3, plan, block, positions, strip, weights, results);
  else multiplyRows(4, 2, plan, block, positions, strip, weights, results);
}

/**
 * `rows` rows × `vectors` vectors of positions a step: eight or nine sums, named by vector and row, since V128 locals cannot be
 * indexed. Both numbers are literals and the function is inlined, so the compiler decides every `if` on them, and a sum that a
 * block does not have costs nothing. The last step reads the strip, and writes the results, up to its end.
 */
@inline
function multiplyRows(
  rows: i32,
  vectors: i32,
  plan: Plan,
  block: Block,
  positions: i32,
  strip: usize,
  weights: usize,
  results: usize,
): void {
  const phase = changetype<Phase>(at(plan, block.phaseAt));
  const taps = at(plan, phase.tapsAt);
  const tapsEnd: usize = taps + ((<usize>phase.taps) << 3);
  const planeStride = plan.planeStride;
  const channels = plan.inChannels;
  const resultStride = plan.channelStride;
  const end: usize = results + ((<usize>positions) << 2);
  for (let first = results, origin = strip; first < end; first += vectors << 4, origin += vectors << 4) {
    let a0 = v128.load32_splat(weights);
    let a1 = rows > 1 ? v128.load32_splat(weights, 4) : a0;
    let a2 = rows > 2 ? v128.load32_splat(weights, 8) : a0;
    let a3 = rows > 3 ? v128.load32_splat(weights, 12) : a0;
    let b0 = a0;
    let b1 = a1;
    let b2 = a2;
    let b3 = a3;
    let c0 = a0;
    let c1 = a1;
    let c2 = a2;
    let d0 = a0;
    let d1 = a1;
    let e0 = a0;
    let f0 = a0;
    let g0 = a0;
    let h0 = a0;
    let w: usize = weights + (rows << 2);
    for (let tap = taps; tap < tapsEnd; tap += 8) {
      let x: usize = origin + load<i32>(tap);
      for (let channel = 0; channel < channels; channel++) {
        const w0 = v128.load32_splat(w);
        const w1 = rows > 1 ? v128.load32_splat(w, 4) : w0;
        const w2 = rows > 2 ? v128.load32_splat(w, 8) : w0;
        const w3 = rows > 3 ? v128.load32_splat(w, 12) : w0;
        let input = v128.load(x);
        a0 = multiplyAdd(w0, input, a0);
        if (rows > 1) a1 = multiplyAdd(w1, input, a1);
        if (rows > 2) a2 = multiplyAdd(w2, input, a2);
        if (rows > 3) a3 = multiplyAdd(w3, input, a3);
        input = v128.load(x, 16);
        b0 = multiplyAdd(w0, input, b0);
        if (rows > 1) b1 = multiplyAdd(w1, input, b1);
        if (rows > 2) b2 = multiplyAdd(w2, input, b2);
        if (rows > 3) b3 = multiplyAdd(w3, input, b3);
        if (vectors > 2) {
          input = v128.load(x, 32);
          c0 = multiplyAdd(w0, input, c0);
          if (rows > 1) c1 = multiplyAdd(w1, input, c1);
          if (rows > 2) c2 = multiplyAdd(w2, input, c2);
        }
        if (vectors > 3) {
          input = v128.load(x, 48);
          d0 = multiplyAdd(w0, input, d0);
          if (rows > 1) d1 = multiplyAdd(w1, input, d1);
        }
        if (vectors > 4) {
          e0 = multiplyAdd(w0, v128.load(x, 64), e0);
          f0 = multiplyAdd(w0, v128.load(x, 80), f0);
          g0 = multiplyAdd(w0, v128.load(x, 96), g0);
          h0 = multiplyAdd(w0, v128.load(x, 112), h0);
        }
        x += planeStride;
        w += rows << 2;
      }
    }
    v128.store(first, a0);
    v128.store(first, b0, 16);
    if (vectors > 2) v128.store(first, c0, 32);
    if (vectors > 3) v128.store(first, d0, 48);
    if (vectors > 4) {
      v128.store(first, e0, 64);
      v128.store(first, f0, 80);
      v128.store(first, g0, 96);
      v128.store(first, h0, 112);
    }
    let target = first;
    if (rows > 1) {
      target += resultStride;
      v128.store(target, a1);
      v128.store(target, b1, 16);
      if (vectors > 2) v128.store(target, c1, 32);
      if (vectors > 3) v128.store(target, d1, 48);
    }
    if (rows > 2) {
      target += resultStride;
      v128.store(target, a2);
      v128.store(target, b2, 16);
      if (vectors > 2) v128.store(target, c2, 32);
    }
    if (rows > 3) {
      target += resultStride;
      v128.store(target, a3);
      v128.store(target, b3, 16);
    }
  }
}

/** Each row's bias and weights, one behind the other in the order in which the kernels above read them, group by group. */
export function gather(plan: Plan): void {
  let target = at(plan, plan.gatheredAt);
  for (let g = 0; g < plan.count; g++) {
    for (let rowAt = plan.rowsAt; rowAt < plan.rowsEnd; rowAt += offsetof<Row>()) {
      gatherRow(plan, changetype<Row>(at(plan, rowAt)), plan.group + g, target);
    }
    target += plan.groupBytes;
  }
}

function gatherRow(plan: Plan, row: Row, group: i32, target: usize): void {
  const phase = changetype<Phase>(at(plan, row.phaseAt));
  const weights = weightsOf(plan, group) + row.channelAt;
  const taps = at(plan, phase.tapsAt);
  const tapsEnd: usize = taps + ((<usize>phase.taps) << 3);
  const channels = plan.inChannels;
  const stride: usize = (<usize>plan.panel) << 2;
  const step = row.step;
  target += row.at;
  store<f32>(target, load<f32>(biasOf(plan, group) + row.channelAt));
  for (let tap = taps; tap < tapsEnd; tap += 8) {
    let source: usize = weights + load<i32>(tap, 4);
    for (let channel = 0; channel < channels; channel++, source += stride) {
      target += step;
      store<f32>(target, load<f32>(source));
    }
  }
}
