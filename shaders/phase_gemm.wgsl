// Transposed convolution as an implicit matrix product, all phases in one dispatch.
//
//   Y[m, c] = f(bias[c] + Σ_k A[m, k] · W[k, c])   for each phase and group, where
//   m = (n, row, column) counts the phase's positions, k = (tap row, tap column, input channel),
//   A[m, k] = x[n, q, row + i₀ − j·d′, column + i₀ − j·d′], 0 outside;  W[k, c] = w[q, c, k₀ + s′·j, k₀ + s′·j].
//
// input     elements n, g, q, row, column apart by the strides in Params
// weight    [g][kernel row][kernel column][q][c], c padded to whole vec4s
// bias      [g][c], padded to whole vec4s
// output    like the input; read only where sums go on from an earlier dispatch
// residues  k₀, i₀, J of each row residue r, then of each column residue
//
// A workgroup computes TILE_POSITIONS × TILE_CHANNELS of one phase and group, TILE_DEPTH values of k at a time through
// workgroup memory. An invocation keeps 8 × 8 (`wide`) or 4 × 4 (`small`) of them in registers.

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

override TILE_POSITIONS: u32 = 64;
override TILE_CHANNELS: u32 = 64;
override TILE_DEPTH: u32 = 16;
override INVOCATIONS: u32 = 64; // TILE_POSITIONS · TILE_CHANNELS / (64 or 16)
override BEGINS: bool = true;      // sums start from the bias, or else from the output
override FINISHES: bool = true;    // the activation is applied
override ACTIVATION: u32 = 0;   // none, relu, relu6, leaky-relu, sigmoid, tanh, gelu, silu

// [k][position / 4] and [k][channel / 4]
var<workgroup> input_tile: array<vec4f, TILE_DEPTH * TILE_POSITIONS / 4>;
var<workgroup> weight_tile: array<vec4f, TILE_DEPTH * TILE_CHANNELS / 4>;

// What a workgroup computes.
struct Tile {
  residue: vec2u,
  row: Residue,
  column: Residue,
  group: u32,
  first_position: u32,
  positions: u32,        // of the phase, in all images; 0 beyond the last tile
  first_channel: u32,
  depth: u32,            // values of k
}

fn activate(v: vec4f) -> vec4f {
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

// Position tiles follow each other, then channel tiles, groups, and phases: the phases with most taps first.
fn tile_of(workgroup: vec3u, grid: vec3u) -> Tile {
  var index = workgroup.y * grid.x + workgroup.x;
  let largest = params.batch * residues[0].positions * residues[params.stride.x].positions;
  let position_tiles = (largest + TILE_POSITIONS - 1) / TILE_POSITIONS;
  let channel_tiles = (params.out_channels + TILE_CHANNELS - 1) / TILE_CHANNELS;
  var tile: Tile;
  tile.first_position = index % position_tiles * TILE_POSITIONS;
  index /= position_tiles;
  tile.first_channel = index % channel_tiles * TILE_CHANNELS;
  index /= channel_tiles;
  tile.group = index % params.groups;
  index /= params.groups;
  let rank = vec2u(index / params.stride.y, index % params.stride.y);
  if (rank.x < params.stride.x) {
    tile.residue = vec2u(residues[rank.x].ranked, residues[params.stride.x + rank.y].ranked);
    tile.row = residues[tile.residue.x];
    tile.column = residues[params.stride.x + tile.residue.y];
    tile.positions = params.batch * tile.row.positions * tile.column.positions;
    tile.depth = tile.row.taps * tile.column.taps * params.in_channels;
  }
  return tile;
}

// (image, row, column) of a position of the phase.
fn unravel(tile: Tile, position: u32) -> vec3u {
  let columns = max(tile.column.positions, 1);
  let rows = max(tile.row.positions, 1);
  let line = position / columns;
  return vec3u(line / rows, line % rows, position % columns);
}

// Four positions' inputs, before a tap moves them.
struct Source {
  images: vec4u,         // element of the first channel of each of four positions' images
  rows: vec4i,
  columns: vec4i,
}

fn source_of(tile: Tile, position: u32) -> Source {
  let at0 = unravel(tile, position);
  let at1 = unravel(tile, position + 1);
  let at2 = unravel(tile, position + 2);
  let at3 = unravel(tile, position + 3);
  var source: Source;
  source.images = params.input_base + tile.group * params.input_group
    + vec4u(at0.x, at1.x, at2.x, at3.x) * params.input_stride.x;
  // A position beyond the last has no real input.
  let real = vec4u(position) + vec4u(0, 1, 2, 3) < vec4u(tile.positions);
  source.rows = select(vec4i(-1), vec4i(vec4u(at0.y, at1.y, at2.y, at3.y)) + tile.row.first_input, real);
  source.columns = vec4i(vec4u(at0.z, at1.z, at2.z, at3.z)) + tile.column.first_input;
  return source;
}

// Reads TILE_DEPTH rows of both matrices from `from_k` on; every invocation stays with its four positions.
fn load_tiles(tile: Tile, source: Source, from_k: u32, lane: u32) {
  let input_lanes = TILE_POSITIONS / 4;
  for (var i = lane; i < TILE_DEPTH * input_lanes; i += INVOCATIONS) {
    let k = from_k + i / input_lanes;
    let tap = k / params.in_channels;
    let j = vec2i(vec2u(tap / max(tile.column.taps, 1), tap % max(tile.column.taps, 1))) * vec2i(params.input_step);
    let rows = source.rows - j.x;
    let columns = source.columns - j.y;
    let real = (rows >= vec4i()) & (rows < vec4i(i32(params.input_size.x)))
      & (columns >= vec4i()) & (columns < vec4i(i32(params.input_size.y))) & vec4<bool>(k < tile.depth);
    let at = source.images + k % params.in_channels * params.input_stride.y
      + vec4u(rows) * params.input_stride.z + vec4u(columns) * params.input_stride.w;
    let index = select(vec4u(), at, real);
    let x = vec4f(f32(input[index.x]), f32(input[index.y]), f32(input[index.z]), f32(input[index.w]));
    input_tile[i] = select(vec4f(), x, real);
  }
  let weight_lanes = TILE_CHANNELS / 4;
  for (var i = lane; i < TILE_DEPTH * weight_lanes; i += INVOCATIONS) {
    let k = from_k + i / weight_lanes;
    let channel = tile.first_channel + i % weight_lanes * 4;
    let tap = k / params.in_channels;
    let j = vec2u(tap / max(tile.column.taps, 1), tap % max(tile.column.taps, 1));
    let at = vec2u(tile.row.first_tap, tile.column.first_tap) + params.tap_step * j;
    let index = params.weight_base + tile.group * params.weight_group
      + (at.x * params.kernel_width + at.y) * params.weight_tap + k % params.in_channels * params.weight_channel + channel;
    let real = (k < tile.depth) & (channel < params.out_channels);
    weight_tile[i] = select(vec4f(), weight[select(0, index / 4, real)], real);
  }
}

// Writes four channels of a position of the tile.
fn store(tile: Tile, in_tile: u32, channel_in_tile: u32, sums: vec4f) {
  let position = tile.first_position + in_tile;
  if (position >= tile.positions) {
    return;
  }
  let channel = tile.first_channel + channel_in_tile;
  let at = unravel(tile, position);
  let place = at.yz * params.stride + tile.residue;
  let first = params.output_base + at.x * params.output_stride.x + tile.group * params.output_group
    + channel * params.output_stride.y + place.x * params.output_stride.z + place.y * params.output_stride.w;
  let bias_first = params.bias_base + tile.group * params.bias_group + channel;
  var starts: vec4f;
  for (var c = 0u; c < 4; c++) {
    if (channel + c < params.out_channels) {
      if (BEGINS) {
        starts[c] = bias[bias_first + c];
      } else {
        starts[c] = f32(output[first + c * params.output_stride.y]);
      }
    }
  }
  var values = starts + sums;
  if (FINISHES) {
    values = activate(values);
  }
  for (var c = 0u; c < 4; c++) {
    if (channel + c < params.out_channels) {
      output[first + c * params.output_stride.y] = Scalar(values[c]);
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
  let source = source_of(tile, tile.first_position + lane % (TILE_POSITIONS / 4) * 4);
  // Eight positions and eight channels, in two halves each: neighbours read neighbouring words.
  let rows = TILE_POSITIONS / 8;
  let lane_position = lane % rows;
  let lane_channel = lane / rows;
  var c00 = vec4f(); var c01 = vec4f();
  var c10 = vec4f(); var c11 = vec4f();
  var c20 = vec4f(); var c21 = vec4f();
  var c30 = vec4f(); var c31 = vec4f();
  var c40 = vec4f(); var c41 = vec4f();
  var c50 = vec4f(); var c51 = vec4f();
  var c60 = vec4f(); var c61 = vec4f();
  var c70 = vec4f(); var c71 = vec4f();
  for (var k = 0u; k < tile.depth; k += TILE_DEPTH) {
    load_tiles(tile, source, k, lane);
    workgroupBarrier();
    for (var i = 0u; i < TILE_DEPTH; i++) {
      let a0 = input_tile[i * (TILE_POSITIONS / 4) + lane_position];
      let a1 = input_tile[i * (TILE_POSITIONS / 4) + rows + lane_position];
      let b0 = weight_tile[i * (TILE_CHANNELS / 4) + lane_channel];
      let b1 = weight_tile[i * (TILE_CHANNELS / 4) + TILE_CHANNELS / 8 + lane_channel];
      c00 += a0.x * b0; c01 += a0.x * b1;
      c10 += a0.y * b0; c11 += a0.y * b1;
      c20 += a0.z * b0; c21 += a0.z * b1;
      c30 += a0.w * b0; c31 += a0.w * b1;
      c40 += a1.x * b0; c41 += a1.x * b1;
      c50 += a1.y * b0; c51 += a1.y * b1;
      c60 += a1.z * b0; c61 += a1.z * b1;
      c70 += a1.w * b0; c71 += a1.w * b1;
    }
    workgroupBarrier();
  }
  var sums = array<vec4f, 16>(
    c00, c01, c10, c11, c20, c21, c30, c31, c40, c41, c50, c51, c60, c61, c70, c71,
  );
  for (var i = 0u; i < 16; i++) {
    let p = i / 2;
    let position = lane_position * 4 + p % 4 + p / 4 * (TILE_POSITIONS / 2);
    store(tile, position, lane_channel * 4 + i % 2 * (TILE_CHANNELS / 2), sums[i]);
  }
}

@compute @workgroup_size(INVOCATIONS)
fn small(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = tile_of(workgroup, grid);
  let source = source_of(tile, tile.first_position + lane % (TILE_POSITIONS / 4) * 4);
  let rows = TILE_POSITIONS / 4;
  let lane_position = lane % rows;
  let lane_channel = lane / rows;
  var c00 = vec4f();
  var c10 = vec4f();
  var c20 = vec4f();
  var c30 = vec4f();
  for (var k = 0u; k < tile.depth; k += TILE_DEPTH) {
    load_tiles(tile, source, k, lane);
    workgroupBarrier();
    for (var i = 0u; i < TILE_DEPTH; i++) {
      let a0 = input_tile[i * rows + lane_position];
      let b0 = weight_tile[i * (TILE_CHANNELS / 4) + lane_channel];
      c00 += a0.x * b0;
      c10 += a0.y * b0;
      c20 += a0.z * b0;
      c30 += a0.w * b0;
    }
    workgroupBarrier();
  }
  var sums = array<vec4f, 4>(c00, c10, c20, c30);
  for (var i = 0u; i < 4; i++) {
    store(tile, lane_position * 4 + i, lane_channel * 4, sums[i]);
  }
}
