// What phase_registers.wgsl computes, by little code: one tile of 4 positions of a phase × 8 output channels an invocation.
// It is for calls that would wait longer for a larger tile to compile than for the result.
//
//   y[n, g, c, s·m + r] = f(bias[g, c] + Σ_{j, q} x[n, g, q, m + i₀ − j·d′] · w[g, k₀ + s′·j, q, c])
//
// over taps j and input channels q, for all positions m of a phase: one residue r an axis, which decides J, k₀ and i₀.
//
// input     texels [n][g][q / 4][row][column] of four channels, then one of zeros; see input_texels.wgsl
// weight    texels [g][kernel row][kernel column][q][c / 4] of four output channels, zeros behind the last q up to a whole four
// bias      [g][c]
// output    elements n, g, c, row, column apart by the strides in Params; read only where sums go on from an earlier dispatch
// residues  k₀, i₀, J, positions of each row residue r, then of each column residue
//
// A line of invocations: lane (fastest), block of positions, block of channels, group, n, phase (most taps first).
// Positions are counted row by row; of a block of LANES · POSITIONS a lane takes every LANES-th.

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

alias Scalar = f32; // element type of output

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> residues: array<Residue>;
@group(0) @binding(2) var input: texture_2d<f32>;
@group(0) @binding(3) var weight: texture_2d<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<Scalar>;

const POSITIONS = 4u;
const VECTORS = 2u;                // of output channels

override WORKGROUP_SIZE: u32 = 8;
override LANES: u32 = 4;
override BEGINS: bool = true;      // sums start from the bias, or else from the output
override FINISHES: bool = true;    // the activation is applied
override ACTIVATION: u32 = 0;      // none, relu, relu6, leaky-relu, sigmoid, tanh, gelu, silu

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

// The remainder of an index; the quotient is left. Emulated GPUs divide lane by lane: one division is enough.
fn split(index: ptr<function, u32>, count: u32) -> u32 {
  let whole = *index;
  *index = whole / count;
  return whole - *index * count;
}

// The taps [x, y) that find a real input from some i₀ + m in [first.x, first.y]: 0 ≤ i₀ + m − j·step < size.
fn hits(taps: u32, first: vec2i, step: i32, size: u32) -> vec2i {
  let begin = select(0, (first.x - i32(size)) / step + 1, first.x >= i32(size));
  return vec2i(begin, select(0, min(i32(taps), first.y / step + 1), first.y >= 0));
}

// Row and column of a position.
fn place_of(position: u32, width: u32) -> vec2u {
  let row = position / width;
  return vec2u(row, position - row * width);
}

// The position `step` further, row and column; step.y < width.
fn advance(at: vec2u, step: vec2u, width: u32) -> vec2u {
  let next = at + step;
  return select(next, vec2u(next.x + 1, next.y - width), next.y >= width);
}

// Whether positions, row and column, are among those of a size.
fn within(rows: vec4i, columns: vec4i, size: vec2u) -> vec4<bool> {
  return (vec4u(rows) < vec4u(size.x)) & (vec4u(columns) < vec4u(size.y));
}

// Where texel `at` is: 4096 make a line.
fn place(at: u32) -> vec2u {
  return vec2u(at & 4095, at >> 12);
}

// The texels of four positions' first channels; `missing` where there is no such input.
fn texels_of(image: u32, rows: vec4i, columns: vec4i, missing: vec4u) -> vec4u {
  let at = image + vec4u(rows) * params.input_size.y + vec4u(columns);
  return select(missing, at, within(rows, columns, params.input_size));
}

// Rows: four positions. Columns: four channels of each.
fn inputs(at: vec4u) -> mat4x4f {
  return transpose(mat4x4f(
    textureLoad(input, place(at.x), 0),
    textureLoad(input, place(at.y), 0),
    textureLoad(input, place(at.z), 0),
    textureLoad(input, place(at.w), 0),
  ));
}

// Rows: four input channels. Columns: four output channels of each.
fn weights(at: u32, step: u32) -> mat4x4f {
  return transpose(mat4x4f(
    textureLoad(weight, place(at), 0),
    textureLoad(weight, place(at + step), 0),
    textureLoad(weight, place(at + 2 * step), 0),
    textureLoad(weight, place(at + 3 * step), 0),
  ));
}

// Of four positions m of residue r, by row and column: the elements of their outputs, from a channel's first.
fn outputs_of(rows: vec4i, columns: vec4i, r: vec2u) -> vec4u {
  return (vec4u(rows) * params.stride.x + r.x) * params.output_stride.z
    + (vec4u(columns) * params.stride.y + r.y) * params.output_stride.w;
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

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let most = residues[0].positions * residues[params.stride.x].positions;
  let vectors = (params.out_channels + 3) / 4;
  let block = LANES * POSITIONS;
  let blocks = (most + block - 1) / block;
  let channel_blocks = (vectors + VECTORS - 1) / VECTORS;
  var index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  let lane = split(&index, LANES);
  let begin = split(&index, blocks) * block;
  let vector = split(&index, channel_blocks) * VECTORS;
  let group = split(&index, params.groups);
  let n = split(&index, params.batch);
  let phase = index;
  if (phase >= params.stride.x * params.stride.y) {
    return;
  }
  let ranks = place_of(phase, params.stride.y);
  let r = vec2u(residues[ranks.x].ranked, residues[params.stride.x + ranks.y].ranked);
  let row = residues[r.x];
  let column = residues[params.stride.x + r.y];
  let width = column.positions;
  let positions = row.positions * width;
  if (begin >= positions) {
    return;
  }

  let low = vec2i(row.first_input, column.first_input);
  let first = begin + lane;
  let lanes = place_of(LANES, width);
  let p0 = place_of(first, width);
  let p1 = advance(p0, lanes, width);
  let p2 = advance(p1, lanes, width);
  let p3 = advance(p2, lanes, width);
  let rows_at = low.x + vec4i(vec4u(p0.x, p1.x, p2.x, p3.x));
  let columns_at = low.y + vec4i(vec4u(p0.y, p1.y, p2.y, p3.y));

  // Whole rows of the block decide which taps are worth a visit.
  let step = vec2i(params.input_step);
  let end = min(begin + block, positions) - 1;
  let rows = vec2i(vec2u(begin, end) / width) + low.x;
  let row_hits = hits(row.taps, rows, step.x, params.input_size.x);
  let column_hits = hits(column.taps, vec2i(0, i32(width) - 1) + low.y, step.y, params.input_size.y);

  let plane = params.input_size.x * params.input_size.y;
  let quads = (params.in_channels + 3) / 4;
  let next = params.weight_channel / 4; // texels between input channels
  let image = (n * params.groups + group) * quads * plane;
  let missing = vec4u(params.batch * params.groups * quads * plane);
  let first_channel = 4 * vector;

  // Rows: four positions. Columns: four output channels.
  var sums0: mat4x4f;
  var sums1: mat4x4f;

  // One loop over the taps of both axes: each level of loops blends all sums with the lanes that still run.
  let across = u32(max(column_hits.y - column_hits.x, 0));
  let visits = across * u32(max(row_hits.y - row_hits.x, 0));
  for (var visit = 0u; visit < visits; visit++) {
    let j = vec2u(vec2i(row_hits.x, column_hits.x)) + place_of(visit, across);
    let at = texels_of(image, rows_at - i32(j.x) * step.x, columns_at - i32(j.y) * step.y, missing);
    let k = vec2u(row.first_tap, column.first_tap) + params.tap_step * j;
    let tap = params.weight_base + group * params.weight_group + (k.x * params.kernel_width + k.y) * params.weight_tap;
    var w = tap / 4 + vector;
    var x = 0u;
    for (var q = 0u; q < params.in_channels; q += 4) {
      let a = inputs(min(at + x, missing));
      sums0 += a * weights(w, next);
      sums1 += a * weights(w + 1, next);
      x += plane;
      w += params.weight_channel;
    }
  }

  let first_out = params.output_base + n * params.output_stride.x + group * params.output_group
    + first_channel * params.output_stride.y;
  let first_bias = params.bias_base + group * params.bias_group + first_channel;
  let size = vec2u(row.positions, column.positions);
  let out = first_out + outputs_of(rows_at - low.x, columns_at - low.y, r);
  let real = within(rows_at - low.x, columns_at - low.y, size);
  var sums = array(sums0, sums1);
  for (var c = 0u; c < min(4 * VECTORS, params.out_channels - first_channel); c++) {
    let further = c * params.output_stride.y;
    var first = 0f;
    if (BEGINS) { first = bias[first_bias + c]; }
    store(out + further, real, sums[c >> 2][c & 3], first);
  }
}
