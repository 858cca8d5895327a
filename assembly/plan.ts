// A plan in a thread's working memory, as src/cpu/wasm-words.ts writes it: a head, whose fields have the order of the words there,
// and the tables that it leads to. `i32` counts things. `usize` is in bytes: an address, a distance between neighbours, or, named
// `…At` or `…End`, a place counted from the start of that memory, of which `at` makes an address.

// The numbers are KERNELS in src/cpu/wasm-words.ts; what is neither of these is `positions`.
export const ROWS = 0;
export const POINT = 1;

@unmanaged
export class Plan {
  // Addresses of the call's tensors.
  input: usize;
  weights: usize;
  output: usize;

  // What a job leaves to the next one, which is often on the same tile or with the same weights.
  /** The tile whose strip is filled, and the group whose weights are gathered; −1 before the first. */
  filled: i32;
  gathered: i32;
  /** The tile's image, its first group and how many groups there are from there on, its first row and column. */
  batch: i32;
  group: i32;
  count: i32;
  row: i32;
  column: i32;
  /** Addresses: where the strip's first channel holds inputs. Before and behind them are rows of zeros. */
  inputs: usize;
  inputsEnd: usize;

  kernel: i32;
  activation: i32;
  negativeSlope: f32;
  /** Channels of one group. */
  inChannels: i32;
  outChannels: i32;
  groups: i32;
  /** Groups of one job, and how many such sets there are. */
  groupsTogether: i32;
  groupSets: i32;
  /** Jobs of one tile: each computes some of its panels. */
  parts: i32;
  /** Panels of a group, and output channels of a panel. */
  panels: i32;
  panel: i32;
  /** The biases of all panels, which lie before the weights; and the weights of one panel. */
  biasBytes: usize;
  panelBytes: usize;

  outerAt: usize;
  innerAt: usize;
  inputBatch: usize;
  inputGroup: usize;
  inputChannel: usize;
  outputBatch: usize;
  outputGroup: usize;
  outputChannel: usize;

  stripAt: usize;
  planeStride: usize;
  stripRowStride: usize;
  /** Bands of rows, rows of each, and how many rows of the input they are apart. */
  bands: i32;
  bandRows: i32;
  bandStep: i32;
  columnBandsAt: usize;
  columnBandsEnd: usize;

  phasesAt: usize;
  phasesEnd: usize;
  /** Whether some taps may miss a tile, so that each tile selects its own. */
  selects: i32;
  /** By how many columns the positions of a tile may exceed it. */
  spread: i32;

  resultsAt: usize;
  resultsBytes: usize;
  channelStride: usize;
  rowStride: usize;
  phaseStride: usize;
  groupStride: usize;
  /** From one output channel to the next as `interleave` sees them: where groups go together, each is one channel. */
  storeStride: usize;
  /** A table: where each phase's results begin, from `resultsAt`. */
  phaseResultsAt: usize;

  gatheredAt: usize;
  /** Gathered weights of a group. */
  groupBytes: usize;
  blocksAt: usize;
  blocksEnd: usize;
  rowsAt: usize;
  rowsEnd: usize;
  /** Rows of a tile whose positions a block computes as one run. */
  runRows: i32;
}

@unmanaged
export class Axis {
  input: i32;
  output: i32;
  stride: i32;
  tile: i32;
  tiles: i32;
  /** What tiles are cut from: the last one may exceed it. */
  extent: i32;
  /** The strip of a tile at t begins at input t + low. */
  low: i32;
  inputStep: usize;
  outputStep: usize;
  /** A pair for each residue: how many positions it has, and their shift against tiles. */
  residuesAt: usize;
}

/** Columns of a strip that lie together in the input. */
@unmanaged
export class Band {
  offset: i32;
  at: usize;
  columns: i32;
}

@unmanaged
export class Phase {
  /** How many taps a tile uses, and pairs of offsets for each: of its input in the strip, and of its weights. */
  taps: i32;
  tapsAt: usize;
  /** All there are, where tiles select: such a pair, and the row and column that it reads for a tile at 0. */
  allAt: usize;
  allEnd: usize;
}

/** Rows that one kernel computes together. */
@unmanaged
export class Block {
  rows: i32;
  /** From the group's gathered weights. */
  weightsAt: usize;
  phaseAt: usize;
  /** Of a run's last row; the others go on through the halo. */
  positions: i32;
  /** From the group's results. */
  resultsAt: usize;
}

/** Where a row's weights go, from the group's gathered weights; and where they come from. */
@unmanaged
export class Row {
  at: usize;
  step: usize;
  /** Of its output channel in the panel. */
  channelAt: usize;
  phaseAt: usize;
}

export function at(plan: Plan, place: usize): usize {
  return changetype<usize>(plan) + place;
}

/** The bias of a panel; `index` counts the panels of all groups. */
export function biasOf(plan: Plan, index: i32): usize {
  return plan.weights + ((<usize>index * plan.panel) << 2);
}

export function weightsOf(plan: Plan, index: i32): usize {
  return plan.weights + plan.biasBytes + <usize>index * plan.panelBytes;
}
