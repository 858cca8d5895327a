// A plan's jobs: the part of the tensors that each reads and writes, and the order of the work.

import { activate } from './activation';
import { interleave } from './interleave';
import { multiplyPoint, multiplyPositions } from './multiply';
import { gather, multiplyBlock } from './multiply-rows';
import { at, Axis, Band, biasOf, Block, Phase, Plan, POINT, ROWS, weightsOf } from './plan';
import { fillStrip } from './strip';

/** Runs jobs `first` to `end` − 1. Neighbours share a strip or weights, and are best run by the same thread. */
export function run(plan: Plan, first: i32, end: i32): void {
  for (let job = first; job < end; job++) {
    const tile = job / plan.parts;
    if (tile != plan.filled) {
      plan.filled = tile;
      enter(plan, tile);
      fill(plan);
      if (plan.selects) select(plan);
    }
    if (plan.kernel == ROWS) {
      // In the order of the taps, which are each tile's own where tiles select.
      if (plan.group != plan.gathered || plan.selects) gather(plan);
      plan.gathered = plan.group;
      computeRows(plan);
    } else {
      const part: i64 = job % plan.parts;
      const panels: i64 = plan.panels;
      let panel = <i32>((panels * part) / plan.parts);
      const endPanel = <i32>((panels * (part + 1)) / plan.parts);
      for (; panel < endPanel; panel++) computePanel(plan, panel);
    }
  }
}

function enter(plan: Plan, index: i32): void {
  const outer = changetype<Axis>(at(plan, plan.outerAt));
  const inner = changetype<Axis>(at(plan, plan.innerAt));
  plan.column = (index % inner.tiles) * inner.tile;
  index /= inner.tiles;
  plan.row = (index % outer.tiles) * outer.tile;
  index /= outer.tiles;
  plan.group = (index % plan.groupSets) * plan.groupsTogether;
  plan.batch = index / plan.groupSets;
  plan.count = min(plan.groupsTogether, plan.groups - plan.group);
}

function fill(plan: Plan): void {
  const outer = changetype<Axis>(at(plan, plan.outerAt));
  const inner = changetype<Axis>(at(plan, plan.innerAt));
  const image = plan.input + plan.inputBatch * plan.batch + plan.inputGroup * plan.group;
  let row = plan.row + outer.low;
  let target = at(plan, plan.stripAt);
  for (let b = 0; b < plan.bands; b++) {
    const top = clamp(-row, 0, plan.bandRows);
    const bottom = clamp(outer.input - row, top, plan.bandRows);
    for (let bandAt = plan.columnBandsAt; bandAt < plan.columnBandsEnd; bandAt += offsetof<Band>()) {
      const band = changetype<Band>(at(plan, bandAt));
      const column = plan.column + inner.low + band.offset;
      const left = clamp(-column, 0, band.columns);
      const right = clamp(inner.input - column, left, band.columns);
      fillStrip(
        target + band.at,
        plan.planeStride,
        plan.stripRowStride,
        plan.bandRows,
        band.columns,
        image + outer.inputStep * (row + top) + inner.inputStep * (column + left),
        plan.count * plan.inChannels,
        plan.inputChannel,
        outer.inputStep,
        inner.inputStep,
        top,
        bottom,
        left,
        right,
      );
    }
    if (b == 0) plan.inputs = target + plan.stripRowStride * top;
    plan.inputsEnd = target + plan.stripRowStride * bottom;
    row += plan.bandStep;
    target += plan.stripRowStride * plan.bandRows;
  }
}

/** Each phase's taps that reach inputs of the tile: others read zeros alone. */
function select(plan: Plan): void {
  const outer = changetype<Axis>(at(plan, plan.outerAt));
  const inner = changetype<Axis>(at(plan, plan.innerAt));
  for (let phaseAt = plan.phasesAt; phaseAt < plan.phasesEnd; phaseAt += offsetof<Phase>()) {
    const phase = changetype<Phase>(at(plan, phaseAt));
    phase.taps = 0;
    let target = at(plan, phase.tapsAt);
    for (let tapAt = phase.allAt; tapAt < phase.allEnd; tapAt += 16) {
      const tap = at(plan, tapAt);
      const row = plan.row + load<i32>(tap, 8);
      const column = plan.column + load<i32>(tap, 12);
      if (row + outer.tile <= 0 || row >= outer.input) continue;
      if (column + inner.tile + plan.spread <= 0 || column >= inner.input) continue;
      store<u64>(target, load<u64>(tap));
      target += 8;
      phase.taps++;
    }
  }
}

/** The positions that a tile from `start` on has of a residue: the first. */
function firstOf(plan: Plan, axis: Axis, residue: i32, start: i32): i32 {
  const pair = at(plan, axis.residuesAt) + ((<usize>residue) << 3);
  return clamp(start - load<i32>(pair, 4), 0, load<i32>(pair));
}

/** The one after the last. */
function endOf(plan: Plan, axis: Axis, residue: i32, start: i32): i32 {
  return firstOf(plan, axis, residue, start + axis.tile);
}

/** How far into the tile the first is. */
function skippedOf(plan: Plan, axis: Axis, residue: i32, start: i32): usize {
  const shift = load<i32>(at(plan, axis.residuesAt) + ((<usize>residue) << 3), 4);
  return firstOf(plan, axis, residue, start) + shift - start;
}

/** Computes eight output channels of a tile, outer residue by outer residue: the phases of one are written together. */
function computePanel(plan: Plan, panel: i32): void {
  const outer = changetype<Axis>(at(plan, plan.outerAt));
  const inner = changetype<Axis>(at(plan, plan.innerAt));
  const index = plan.group * plan.panels + panel;
  const weights = weightsOf(plan, index);
  const bias = biasOf(plan, index);
  const results = at(plan, plan.resultsAt);
  for (let r = 0; r < outer.stride; r++) {
    const rows = endOf(plan, outer, r, plan.row) - firstOf(plan, outer, r, plan.row);
    if (rows == 0) continue;
    let phaseAt = plan.phasesAt + r * inner.stride * offsetof<Phase>();
    const strip = at(plan, plan.stripAt) + skippedOf(plan, outer, r, plan.row) * plan.stripRowStride;
    let target = results;
    for (let s = 0; s < inner.stride; s++) {
      const phase = changetype<Phase>(at(plan, phaseAt));
      const columns = endOf(plan, inner, s, plan.column) - firstOf(plan, inner, s, plan.column);
      if (plan.kernel == POINT) multiplyPoint(plan, phase, weights, bias, strip, rows, columns, target);
      else multiplyPositions(plan, phase, weights, bias, strip, rows, columns, target);
      target += plan.phaseStride;
      phaseAt += offsetof<Phase>();
    }
    finish(plan);
    write(plan, r, results, panel << 3, min(8, plan.outChannels - (panel << 3)));
  }
}

function computeRows(plan: Plan): void {
  const outer = changetype<Axis>(at(plan, plan.outerAt));
  const rows = min(outer.tile, outer.extent - plan.row);
  let strip = at(plan, plan.stripAt);
  let weights = at(plan, plan.gatheredAt);
  let results = at(plan, plan.resultsAt);
  for (let g = 0; g < plan.count; g++) {
    for (let blockAt = plan.blocksAt; blockAt < plan.blocksEnd; blockAt += offsetof<Block>()) {
      const block = changetype<Block>(at(plan, blockAt));
      for (let row = 0; row < rows; row += plan.runRows) {
        const before = min(plan.runRows, rows - row) - 1;
        const positions = before * <i32>(plan.stripRowStride >> 2) + block.positions;
        const from = strip + plan.stripRowStride * row;
        const to = results + block.resultsAt + plan.rowStride * row;
        multiplyBlock(plan, block, positions, from, weights + block.weightsAt, to);
      }
    }
    strip += plan.planeStride * plan.inChannels;
    weights += plan.groupBytes;
    results += plan.groupStride;
  }
  finish(plan);
  for (let r = 0; r < outer.stride; r++) {
    const skipped = skippedOf(plan, outer, r, plan.row) * plan.rowStride;
    write(plan, r, at(plan, plan.resultsAt) + skipped, 0, plan.count * plan.panel);
  }
}

function finish(plan: Plan): void {
  if (plan.activation) {
    activate(at(plan, plan.resultsAt), <i32>(plan.resultsBytes >> 2), plan.activation, plan.negativeSlope);
  }
}

/** Rows of the output from the results of an outer residue's phases. */
function write(plan: Plan, residue: i32, results: usize, firstChannel: i32, channels: i32): void {
  const outer = changetype<Axis>(at(plan, plan.outerAt));
  const inner = changetype<Axis>(at(plan, plan.innerAt));
  const first = firstOf(plan, outer, residue, plan.row);
  const column = plan.column * inner.stride;
  interleave(
    results,
    at(plan, plan.phaseResultsAt) + ((<usize>(residue * inner.stride)) << 2),
    inner.stride,
    plan.storeStride,
    plan.rowStride,
    plan.output +
      plan.outputBatch * plan.batch +
      plan.outputGroup * plan.group +
      plan.outputChannel * firstChannel +
      outer.outputStep * (first * outer.stride + residue) +
      inner.outputStep * column,
    plan.outputChannel,
    outer.outputStep * outer.stride,
    inner.outputStep,
    channels,
    endOf(plan, outer, residue, plan.row) - first,
    min(inner.output - column, inner.tile * inner.stride),
  );
}

function clamp(value: i32, low: i32, high: i32): i32 {
  return min(max(value, low), high);
}
