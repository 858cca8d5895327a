// Transposed convolution in registers, all phases at once, for few output channels: one invocation, some positions times
// some vec4s of columns. A column is a pair of a phase (one residue r an axis) and an output channel c.
//
//   y[n, g, c, s·(u − i₀) + r] = f(bias[g, c] + Σ_{j, q} x[n, g, q, u − j·d′] · w[g, k₀ + s′·j, q, c])
//
// over taps j and input channels q, for all u that some phase needs. All columns of a u share the inputs, if all phases
// have J taps; and if i₀ never falls from r to r + 1 and rises by at most 1 in all, the first and the last output bound u.
//
// input     elements n, g, q, row, column apart by the strides in Params; 0 outside
// weight    [g][kernel row][kernel column][q][c], c padded to whole vec4s
// bias      [g][c]
// output    like the input; read only to continue the sums of an earlier dispatch
// residues  k₀, i₀, J, positions of each row residue r, then of each column residue
//
// Invocations are counted in one line, fastest first: lane, block of positions, block of columns, group, n. Positions u are
// counted row by row; of a block of LANES · POSITIONS a lane takes every LANES-th. No workgroup memory: see phase_registers.wgsl.

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
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<Scalar>;

override WORKGROUP_SIZE: u32 = 8;
override LANES: u32 = 4;
override POSITIONS: u32 = 8;       // 1, 4 or 8
override VECTORS: u32 = 4;         // of columns: 1 to 4
override BEGINS: bool = true;      // sums start from the bias, or else from the output
override FINISHES: bool = true;    // the activation is applied
override ACTIVATION: u32 = 0;      // none, relu, relu6, leaky-relu, sigmoid, tanh, gelu, silu

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

// Returns the remainder of an index and leaves the quotient in it. With one division: emulated GPUs divide lane by lane.
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

// Four positions of a lane, by row and column, and the one after them.
struct Four {
  rows: vec4i,
  columns: vec4i,
  after: vec2u,
}

fn four(first: vec2u, step: vec2u, width: u32) -> Four {
  let second = advance(first, step, width);
  let third = advance(second, step, width);
  let fourth = advance(third, step, width);
  let rows = vec4i(vec4u(first.x, second.x, third.x, fourth.x));
  let columns = vec4i(vec4u(first.y, second.y, third.y, fourth.y));
  return Four(rows, columns, advance(fourth, step, width));
}

// Where four inputs are: whether there are such, and the elements of those, or of others that there are.
struct Reach {
  real: vec4<bool>,
  at: vec4u,
}

fn reach(image: u32, u: Four, corner: vec2i) -> Reach {
  let rows = u.rows + corner.x;
  let columns = u.columns + corner.y;
  let real = (vec4u(rows) < vec4u(params.input_size.x)) & (vec4u(columns) < vec4u(params.input_size.y));
  let at = vec4u(rows) * params.input_stride.z + vec4u(columns) * params.input_stride.w;
  return Reach(real, image + select(vec4u(), at, real));
}

// Missing inputs are zeros by choice, not by multiplication: what is read in their place may be Inf.
fn load(at: vec4u, real: vec4<bool>) -> vec4f {
  let x = f32(input[at.x]);
  if (POSITIONS == 1) {
    return vec4f(select(0, x, real.x));
  }
  return select(vec4f(), vec4f(x, f32(input[at.y]), f32(input[at.z]), f32(input[at.w])), real);
}

// A matrix of sums: its column p is position p.
fn add(sums: mat4x4f, x: vec4f, w: vec4f) -> mat4x4f {
  let first = fma(x.xxxx, w, sums[0]);
  if (POSITIONS == 1) {
    return mat4x4f(first, sums[1], sums[2], sums[3]);
  }
  return mat4x4f(first, fma(x.yyyy, w, sums[1]), fma(x.zzzz, w, sums[2]), fma(x.wwww, w, sums[3]));
}

struct Column {
  residue: vec2u,        // r, row and column
  channel: u32,          // c
}

fn column_of(at: u32) -> Column {
  var phase = at;
  let channel = split(&phase, params.out_channels);
  return Column(place_of(phase, params.stride.y), channel);
}

// The column after one; after the last, one that is never stored.
fn after(last: Column) -> Column {
  let channel = select(last.channel + 1, 0, last.channel + 1 == params.out_channels);
  let y = last.residue.y + select(0u, 1u, channel == 0);
  let residue = select(vec2u(last.residue.x, y), vec2u(last.residue.x + 1, 0), y == params.stride.y);
  return Column(residue, channel);
}

// The first weight of a column, from its group's first; the column is left for the one after it.
fn weight_of(column: ptr<function, Column>) -> u32 {
  let residue = (*column).residue;
  let tap = vec2u(residues[residue.x].first_tap, residues[params.stride.x + residue.y].first_tap);
  let at = (tap.x * params.kernel_width + tap.y) * params.weight_tap + (*column).channel;
  *column = after(*column);
  return at;
}

fn weights_of(column: ptr<function, Column>) -> vec4u {
  let x = weight_of(column);
  let y = weight_of(column);
  let z = weight_of(column);
  return vec4u(x, y, z, weight_of(column));
}

fn weights_at(at: vec4u) -> vec4f {
  return vec4f(weight[at.x], weight[at.y], weight[at.z], weight[at.w]);
}

// Four outputs of a column, where they are real.
fn store(at: vec4u, real: vec4<bool>, sums: vec4f, first: f32) {
  var y = sums + first;
  if (!BEGINS) {
    y += vec4f(f32(output[at.x]), f32(output[at.y]), f32(output[at.z]), f32(output[at.w]));
  }
  if (FINISHES) {
    y = activate(y);
  }
  if (real.x) { output[at.x] = Scalar(y.x); }
  if (POSITIONS > 1) {
    if (real.y) { output[at.y] = Scalar(y.y); }
    if (real.z) { output[at.z] = Scalar(y.z); }
    if (real.w) { output[at.w] = Scalar(y.w); }
  }
}

// Four outputs of a column: at positions m of residue r, from a channel's first.
fn store_at(first_out: u32, u: Four, delay: vec2u, r: vec2u, sums: vec4f, first: f32) {
  // Before the first position these are far beyond the last output.
  let rows = (vec4u(u.rows) - delay.x) * params.stride.x + r.x;
  let columns = (vec4u(u.columns) - delay.y) * params.stride.y + r.y;
  let real = (rows < vec4u(params.output_size.x)) & (columns < vec4u(params.output_size.y));
  store(first_out + rows * params.output_stride.z + columns * params.output_stride.w, real, sums, first);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = residues[0];
  let column = residues[params.stride.x];
  let low = vec2i(row.first_input, column.first_input);
  let final_output = params.output_size - 1;
  let final_residue = final_output % params.stride;
  let high = vec2i(final_output / params.stride)
    + vec2i(residues[final_residue.x].first_input, residues[params.stride.x + final_residue.y].first_input);
  let extent = vec2u(high - low) + 1;
  let width = extent.y;
  let positions = extent.x * width;
  let all_columns = params.stride.x * params.stride.y * params.out_channels;

  let block = LANES * POSITIONS;
  let blocks = (positions + block - 1) / block;
  let column_blocks = (all_columns + 4 * VECTORS - 1) / (4 * VECTORS);
  var index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  let lane = split(&index, LANES);
  if (WORKGROUP_SIZE == LANES) {
    // The same in all invocations, and said so that a compiler sees it: weights are then loaded once for all of them.
    index = workgroup.y * grid.x + workgroup.x;
  }
  let begin = split(&index, blocks) * block;
  let first_column = split(&index, column_blocks) * 4 * VECTORS;
  let group = split(&index, params.groups);
  let n = index;
  if (n >= params.batch) {
    return;
  }

  let first = begin + lane;
  let lanes = place_of(LANES, width);
  let u0 = four(place_of(first, width), lanes, width);
  var u1: Four;
  if (POSITIONS > 4) { u1 = four(u0.after, lanes, width); }

  // Whole rows of the block decide which taps are worth a visit.
  let step = vec2i(params.input_step);
  let end = min(begin + block, positions) - 1;
  let rows = vec2i(vec2u(begin, end) / width) + low.x;
  let row_hits = hits(row.taps, rows, step.x, params.input_size.x);
  let column_hits = hits(column.taps, vec2i(0, i32(width) - 1) + low.y, step.y, params.input_size.y);

  let image = params.input_base + n * params.input_stride.x + group * params.input_group;
  let weights = params.weight_base + group * params.weight_group;
  let start = column_of(first_column);
  var next = start;
  let f0 = weights + weights_of(&next);
  var f1: vec4u;
  var f2: vec4u;
  var f3: vec4u;
  if (VECTORS > 1) { f1 = weights + weights_of(&next); }
  if (VECTORS > 2) { f2 = weights + weights_of(&next); }
  if (VECTORS > 3) { f3 = weights + weights_of(&next); }

  // s<first or second four positions><vec4>
  var s00: mat4x4f;
  var s01: mat4x4f;
  var s02: mat4x4f;
  var s03: mat4x4f;
  var s10: mat4x4f;
  var s11: mat4x4f;
  var s12: mat4x4f;
  var s13: mat4x4f;
  // One loop over the taps of both axes: each level of loops blends all sums with the lanes that still run.
  let across = u32(max(column_hits.y - column_hits.x, 0));
  let visits = across * u32(max(row_hits.y - row_hits.x, 0));
  for (var visit = 0u; visit < visits; visit++) {
    let j = vec2u(vec2i(row_hits.x, column_hits.x)) + place_of(visit, across);
    let corner = low - vec2i(j) * step;
    let x0 = reach(image, u0, corner);
    var at0 = x0.at;
    var x1: Reach;
    if (POSITIONS > 4) { x1 = reach(image, u1, corner); }
    var at1 = x1.at;
    let tap = params.tap_step * j;
    var w = (tap.x * params.kernel_width + tap.y) * params.weight_tap;
    for (var q = 0u; q < params.in_channels; q++) {
      let a = load(at0, x0.real);
      let w0 = weights_at(f0 + w);
      s00 = add(s00, a, w0);
      var b: vec4f;
      if (POSITIONS > 4) {
        b = load(at1, x1.real);
        s10 = add(s10, b, w0);
      }
      if (VECTORS > 1) {
        let w1 = weights_at(f1 + w);
        s01 = add(s01, a, w1);
        if (POSITIONS > 4) { s11 = add(s11, b, w1); }
      }
      if (VECTORS > 2) {
        let w2 = weights_at(f2 + w);
        s02 = add(s02, a, w2);
        if (POSITIONS > 4) { s12 = add(s12, b, w2); }
      }
      if (VECTORS > 3) {
        let w3 = weights_at(f3 + w);
        s03 = add(s03, a, w3);
        if (POSITIONS > 4) { s13 = add(s13, b, w3); }
      }
      at0 += params.input_stride.y;
      at1 += params.input_stride.y;
      w += params.weight_channel;
    }
  }

  var sums0 = array<mat4x4f, 4>(transpose(s00), transpose(s01), transpose(s02), transpose(s03));
  var sums1 = array<mat4x4f, 4>(transpose(s10), transpose(s11), transpose(s12), transpose(s13));
  let image_out = params.output_base + n * params.output_stride.x + group * params.output_group;
  let bias_at = params.bias_base + group * params.bias_group;
  var at = start;
  for (var c = 0u; c < min(4 * VECTORS, all_columns - first_column); c++) {
    let r = vec2u(at.residue.x, params.stride.x + at.residue.y);
    // m = u - delay
    let delay = vec2u(vec2i(residues[r.x].first_input, residues[r.y].first_input) - low);
    let first_out = image_out + at.channel * params.output_stride.y;
    var first = 0f;
    if (BEGINS) { first = bias[bias_at + at.channel]; }
    store_at(first_out, u0, delay, at.residue, sums0[c >> 2][c & 3], first);
    if (POSITIONS > 4) { store_at(first_out, u1, delay, at.residue, sums1[c >> 2][c & 3], first); }
    at = after(at);
  }
}
