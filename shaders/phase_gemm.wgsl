// Transposed convolution as an implicit matrix product, all phases in one dispatch.
//
//   Y[m, c] = f(bias[c] + Σ_k A[m, k] · W[k, c])   for each phase and group, where
//   m = (n, row, column) counts the phase's positions, k = (tap row, tap column, input channel),
//   A[m, k] = x[n, q, row + i₀ − j·d′, column + i₀ − j·d′], 0 outside;  W[k, c] = w[q, c, k₀ + s′·j, k₀ + s′·j].
//
// input     elements n, g, q, row, column apart by the strides in Params
// weight    [g][kernel row][kernel column][q][c], c padded to whole vec4s
// bias      [g][c], padded to whole vec4s
// output    like the input; read only to continue the sums of an earlier dispatch
// residues  k₀, i₀, J of each row residue r, then of each column residue
//
// A workgroup computes POSITIONS × CHANNELS of one phase and group, DEPTH input channels of a tap at a time through workgroup
// memory. An invocation keeps 8 × 8 (`wide`) or 4 × 4 (`small`) of them in registers.

struct Params {
  input_stride: vec4u,   // batch, channel, row, column; in elements
  output_stride: vec4u,
  input_size: vec2u,     // rows, columns
  output_size: vec2u,
  stride: vec2u,         // s
  tap_step: vec2u,       // s′
  input_step: vec2u,     // d′
  batch: u32,
  groups: u32,
  in_channels: u32,      // of one group
  out_channels: u32,
  input_group: u32,      // elements between groups
  output_group: u32,
  weight_group: u32,
  weight_tap: u32,       // elements between taps
  weight_channel: u32,   // elements between input channels
  bias_group: u32,
  input_base: u32,       // element of the binding with index 0
  output_base: u32,
  weight_base: u32,
  bias_base: u32,
  kernel_width: u32,
  negative_slope: f32,
}

struct Residue {
  taps: u32,
  first_tap: u32,
  first_input: i32,
  positions: u32,
  ranked: u32,           // the residue that has this entry's rank, most taps first
}

alias Scalar = f32; // element type of input and output

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> residues: array<Residue>;
@group(0) @binding(2) var<storage, read> input: array<Scalar>;
@group(0) @binding(3) var<storage, read> weight: array<vec4f>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<Scalar>;

override POSITIONS: u32 = 64;      // a multiple of 16 (`wide`) or 4 (`small`)
override CHANNELS: u32 = 64;       // likewise
override INVOCATIONS: u32 = 64;    // POSITIONS · CHANNELS / 64 (`wide`) or / 16 (`small`)
override DEPTH: u32 = 16;          // a multiple of what a round loads: 4 · INVOCATIONS / POSITIONS, and / CHANNELS
override BEGINS: bool = true;      // sums start from the bias, or else from the output
override FINISHES: bool = true;    // the activation is applied
override ACTIVATION: u32 = 0;      // none, relu, relu6, leaky-relu, sigmoid, tanh, gelu, silu

// [k][position / 4] and [k][channel / 4]: what all rounds load. Where a round would load nothing, or more than DEPTH, these are
// no sizes, and there is no pipeline.
var<workgroup> input_tile: array<vec4f, DEPTH / (4 * INVOCATIONS / POSITIONS) * INVOCATIONS>;
var<workgroup> weight_tile: array<vec4f, DEPTH / (4 * INVOCATIONS / CHANNELS) * INVOCATIONS>;

// What a workgroup computes.
struct Tile {
  residue: vec2u,
  row: Residue,
  column: Residue,
  group: u32,
  first_position: u32,
  positions: u32,        // of the phase, in all images; 0 beyond the last tile
  first_channel: u32,
  taps: u32,             // of both axes
}

fn activated(v: vec4f) -> vec4f {
  switch (ACTIVATION) {
    case 1: { return max(v, vec4f()); }
    case 2: { return clamp(v, vec4f(), vec4f(6)); }
    case 3: { return select(v, v * params.negative_slope, v < vec4f()); }
    case 4: { return 1 / (1 + exp(-v)); }
    case 5: { return tanh(clamp(v, vec4f(-10), vec4f(10))); }
    case 6: { return 0.5 * v * (1 + tanh(clamp(0.7978845608 * (v + 0.044715 * v * v * v), vec4f(-10), vec4f(10)))); }
    case 7: { return v / (1 + exp(-v)); }
    default: { return v; }
  }
}

// NaN stays NaN, which WGSL does not guarantee of clamp and exp.
fn activate(v: vec4f) -> vec4f {
  if (ACTIVATION == 0) {
    return v;
  }
  return select(v, activated(v), v == v);
}

// Returns the remainder of an index and leaves the quotient in it.
fn split(index: ptr<function, u32>, count: u32) -> u32 {
  let whole = *index;
  *index = whole / count;
  return whole - *index * count;
}

// Position tiles follow each other, then channel tiles, groups, and phases: the phases with most taps first.
fn tile_of(workgroup: vec3u, grid: vec3u) -> Tile {
  var index = workgroup.y * grid.x + workgroup.x;
  let largest = params.batch * residues[0].positions * residues[params.stride.x].positions;
  let position_tiles = (largest + POSITIONS - 1) / POSITIONS;
  let channel_tiles = (params.out_channels + CHANNELS - 1) / CHANNELS;
  var tile: Tile;
  tile.first_position = split(&index, position_tiles) * POSITIONS;
  tile.first_channel = split(&index, channel_tiles) * CHANNELS;
  tile.group = split(&index, params.groups);
  let rank = vec2u(index / params.stride.y, index % params.stride.y);
  if (rank.x < params.stride.x) {
    tile.residue = vec2u(residues[rank.x].ranked, residues[params.stride.x + rank.y].ranked);
    tile.row = residues[tile.residue.x];
    tile.column = residues[params.stride.x + tile.residue.y];
    tile.positions = params.batch * tile.row.positions * tile.column.positions;
    // A tile beyond the last position of its phase, which may have fewer than the largest, has nothing to sum.
    if (tile.first_position < tile.positions) { tile.taps = tile.row.taps * tile.column.taps; }
  }
  return tile;
}

// Four positions of the phase, one after the other.
struct Four {
  images: vec4u,
  rows: vec4u,
  columns: vec4u,
  real: vec4<bool>,      // false beyond the last position
}

fn four_from(tile: Tile, position: u32) -> Four {
  var index = position;
  var at: array<vec3u, 4>;
  at[0].z = split(&index, max(tile.column.positions, 1));
  at[0].y = split(&index, max(tile.row.positions, 1));
  at[0].x = index;
  for (var i = 1; i < 4; i++) {
    at[i] = at[i - 1] + vec3u(0, 0, 1);
    if (at[i].z == tile.column.positions) { at[i] = vec3u(at[i].x, at[i].y + 1, 0); }
    if (at[i].y == tile.row.positions) { at[i] = vec3u(at[i].x + 1, 0, 0); }
  }
  return Four(
    vec4u(at[0].x, at[1].x, at[2].x, at[3].x),
    vec4u(at[0].y, at[1].y, at[2].y, at[3].y),
    vec4u(at[0].z, at[1].z, at[2].z, at[3].z),
    vec4u(position) + vec4u(0, 1, 2, 3) < vec4u(tile.positions),
  );
}

// What an invocation reads of both matrices: the same four positions and four channels at every k.
struct Lane {
  images: vec4u,         // element of the group's first channel in each position's image
  rows: vec4i,           // of the positions' inputs, before a tap moves them
  columns: vec4i,
  weights: u32,          // element of the group's first weight of the four channels
}

fn lane_of(tile: Tile, lane: u32) -> Lane {
  let four = four_from(tile, tile.first_position + lane % (POSITIONS / 4) * 4);
  return Lane(
    params.input_base + tile.group * params.input_group + four.images * params.input_stride.x,
    // A position beyond the last has no real input.
    select(vec4i(-1), vec4i(four.rows) + tile.row.first_input, four.real),
    vec4i(four.columns) + tile.column.first_input,
    params.weight_base + tile.group * params.weight_group + tile.first_channel + lane % (CHANNELS / 4) * 4,
  );
}

// The same at one tap: elements of the first input channel.
struct Source {
  inputs: vec4u,
  real: vec4<bool>,
  weights: u32,
}

fn source_at(tile: Tile, lane: Lane, tap: u32) -> Source {
  let j = vec2u(tap / tile.column.taps, tap % tile.column.taps);
  let rows = lane.rows - i32(j.x * params.input_step.x);
  let columns = lane.columns - i32(j.y * params.input_step.y);
  let real = (vec4u(rows) < vec4u(params.input_size.x)) & (vec4u(columns) < vec4u(params.input_size.y));
  let inputs = lane.images + vec4u(rows) * params.input_stride.z + vec4u(columns) * params.input_stride.w;
  let k = vec2u(tile.row.first_tap, tile.column.first_tap) + params.tap_step * j;
  return Source(
    select(vec4u(), inputs, real),
    real,
    lane.weights + (k.x * params.kernel_width + k.y) * params.weight_tap,
  );
}

// Loads DEPTH input channels from `first` on of both matrices, a vec4 an invocation and round. What lies beyond the last is not
// computed with, and what was computed from channels beyond the last output channel is not stored.
fn load_tiles(source: Source, first: u32, lane: u32) {
  for (var round = 0u; round < DEPTH / (4 * INVOCATIONS / POSITIONS); round++) {
    let channel = first + round * (4 * INVOCATIONS / POSITIONS) + lane / (POSITIONS / 4);
    let at = source.inputs + channel * params.input_stride.y;
    let x = vec4f(f32(input[at.x]), f32(input[at.y]), f32(input[at.z]), f32(input[at.w]));
    input_tile[round * INVOCATIONS + lane] = select(vec4f(), x, source.real);
  }
  for (var round = 0u; round < DEPTH / (4 * INVOCATIONS / CHANNELS); round++) {
    let channel = first + round * (4 * INVOCATIONS / CHANNELS) + lane / (CHANNELS / 4);
    weight_tile[round * INVOCATIONS + lane] = weight[(source.weights + channel * params.weight_channel) / 4];
  }
}

// Column p, row c: a position's input times a channel's weight. The loops around it have a constant bound and a break, not the
// count of channels as their bound: indices are then known to stay within the tiles, and are not clamped.
fn outer(x: vec4f, w: vec4f) -> mat4x4f {
  return mat4x4f(x.x * w, x.y * w, x.z * w, x.w * w);
}

// Four outputs of a channel, where they are real.
fn store(at: vec4u, real: vec4<bool>, sums: vec4f, first: f32) {
  var y = sums + first;
  if (!BEGINS) {
    y += vec4f(f32(output[at.x]), f32(output[at.y]), f32(output[at.z]), f32(output[at.w]));
  }
  if (FINISHES) {
    y = activate(y);
  }
  if (real.x) { output[at.x] = Scalar(y.x); }
  if (real.y) { output[at.y] = Scalar(y.y); }
  if (real.z) { output[at.z] = Scalar(y.z); }
  if (real.w) { output[at.w] = Scalar(y.w); }
}

// Stores four positions × four channels: a column of sums is a position's.
fn store_four(tile: Tile, four: Four, first_channel: u32, sums: mat4x4f) {
  let at = params.output_base + tile.group * params.output_group + four.images * params.output_stride.x
    + (four.rows * params.stride.x + tile.residue.x) * params.output_stride.z
    + (four.columns * params.stride.y + tile.residue.y) * params.output_stride.w;
  let channels = transpose(sums);
  for (var c = 0u; c < 4; c++) {
    let channel = first_channel + c;
    if (channel < params.out_channels) {
      var first = 0f;
      if (BEGINS) { first = bias[params.bias_base + tile.group * params.bias_group + channel]; }
      store(at + channel * params.output_stride.y, four.real, channels[c], first);
    }
  }
}

@compute @workgroup_size(INVOCATIONS)
fn wide(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = tile_of(workgroup, grid);
  let own = lane_of(tile, lane);
  // Eight positions and eight channels, in two halves each: neighbours read neighbouring words.
  let positions = POSITIONS / 8;
  let channels = CHANNELS / 8;
  let position = lane % positions;
  let channel = lane / positions;
  // s<half of the positions><half of the channels>
  var s00: mat4x4f;
  var s01: mat4x4f;
  var s10: mat4x4f;
  var s11: mat4x4f;
  for (var tap = 0u; tap < tile.taps; tap++) {
    let source = source_at(tile, own, tap);
    for (var q = 0u; q < params.in_channels; q += DEPTH) {
      load_tiles(source, q, lane);
      workgroupBarrier();
      for (var i = 0u; i < DEPTH; i++) {
        if (q + i >= params.in_channels) { break; }
        let a0 = input_tile[2 * i * positions + position];
        let a1 = input_tile[2 * i * positions + positions + position];
        let b0 = weight_tile[2 * i * channels + channel];
        let b1 = weight_tile[2 * i * channels + channels + channel];
        s00 += outer(a0, b0);
        s01 += outer(a0, b1);
        s10 += outer(a1, b0);
        s11 += outer(a1, b1);
      }
      workgroupBarrier();
    }
  }
  let first_channel = tile.first_channel + 4 * channel;
  var sums = array(s00, s01, s10, s11);
  for (var i = 0u; i < 4; i++) {
    let four = four_from(tile, tile.first_position + 4 * position + i / 2 * (POSITIONS / 2));
    store_four(tile, four, first_channel + i % 2 * (CHANNELS / 2), sums[i]);
  }
}

@compute @workgroup_size(INVOCATIONS)
fn small(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = tile_of(workgroup, grid);
  let own = lane_of(tile, lane);
  let position = lane % (POSITIONS / 4);
  let channel = lane / (POSITIONS / 4);
  var sums: mat4x4f;
  for (var tap = 0u; tap < tile.taps; tap++) {
    let source = source_at(tile, own, tap);
    for (var q = 0u; q < params.in_channels; q += DEPTH) {
      load_tiles(source, q, lane);
      workgroupBarrier();
      for (var i = 0u; i < DEPTH; i++) {
        if (q + i >= params.in_channels) { break; }
        sums += outer(input_tile[i * (POSITIONS / 4) + position], weight_tile[i * (CHANNELS / 4) + channel]);
      }
      workgroupBarrier();
    }
  }
  let four = four_from(tile, tile.first_position + 4 * position);
  store_four(tile, four, tile.first_channel + 4 * channel, sums);
}
