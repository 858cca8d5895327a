// Transposed convolution in registers: one invocation, some positions of a phase times some vec4s of output channels, four
// input channels a round.
//
//   y[n, g, c, s·m + r] = f(bias[g, c] + Σ_{j, q} x[n, g, q, m + i₀ − j·d′] · w[g, k₀ + s′·j, q, c])
//
// over taps j and input channels q, for all positions m of a phase: one residue r an axis, which decides J, k₀ and i₀.
//
// input     texels [n][g][q / 4][row][column] of four channels, then one of zeros; see input_texels.wgsl
// weight    texels [g][kernel row][kernel column][q][c / 4] of four output channels, zeros behind the last q up to a whole four
// bias      [g][c]
// output    elements n, g, c, row, column apart by the strides in Params; read only to continue the sums of an earlier dispatch
// residues  k₀, i₀, J, positions of each row residue r, then of each column residue
//
// Invocations are counted in one line, fastest first: lane, block of positions, block of channels, group, n, phase (most taps
// first). Positions are counted row by row; of a block of LANES · POSITIONS a lane takes every LANES-th. There is no workgroup
// memory: this is for a GPU emulated on a CPU, where a texel costs little more than one element of a buffer, and only a larger tile
// helps.

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
@group(0) @binding(6) var nearest: sampler;

override WORKGROUP_SIZE: u32 = 8;
override LANES: u32 = 4;
override POSITIONS: u32 = 16;      // 1, 4, 8, 12 or 16
override VECTORS: u32 = 8;         // of output channels: 1 to 8
override BEGINS: bool = true;      // sums start from the bias, or else from the output
override FINISHES: bool = true;    // the activation is applied
override SAMPLED: bool = true;     // texels are sampled, or else loaded
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

// The position `step` further, by row and column. Requires step.y < width.
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

// Which of four positions, by row and column, are within a size.
fn within(rows: vec4i, columns: vec4i, size: vec2u) -> vec4<bool> {
  return (vec4u(rows) < vec4u(size.x)) & (vec4u(columns) < vec4u(size.y));
}

// Where the first channels of four positions' inputs lie in the texture, in lines; `corner` is the inputs' distance from the positions.
// `missing` where there is no input.
fn texels_of(image: u32, m: Four, corner: vec2i, missing: u32) -> vec4f {
  let rows = m.rows + corner.x;
  let columns = m.columns + corner.y;
  let at = image + vec4u(rows) * params.input_size.y + vec4u(columns);
  return vec4f(select(vec4u(missing), at, within(rows, columns, params.input_size))) / 4096;
}

// The texel at a place that is counted in lines: its fraction is the column, and `share` is the height of a line in texture coordinates.
// On an emulated GPU a sample takes a third of the time of a load, whose coordinates are clamped first. It is exact, since width and
// height are powers of two; and the sampler repeats horizontally, so that the column need not be split off.
fn texel(texels: texture_2d<f32>, at: f32, share: f32) -> vec4f {
  if (SAMPLED) {
    return textureSampleLevel(texels, nearest, vec2f(at, at * share), 0);
  }
  let line = floor(at);
  return textureLoad(texels, vec2u(vec2f(4096 * (at - line), line)), 0);
}

// Rows: four positions. Columns: four channels of each.
fn inputs(at: vec4f, share: f32) -> mat4x4f {
  let x = texel(input, at.x, share);
  if (POSITIONS == 1) {
    return transpose(mat4x4f(x, x, x, x));
  }
  return transpose(mat4x4f(x, texel(input, at.y, share), texel(input, at.z, share), texel(input, at.w, share)));
}

// Rows: four input channels, `steps` behind the first. Columns: four output channels of each.
fn weights(at: f32, steps: vec3f, share: f32) -> mat4x4f {
  return transpose(mat4x4f(
    texel(weight, at, share),
    texel(weight, at + steps.x, share),
    texel(weight, at + steps.y, share),
    texel(weight, at + steps.z, share),
  ));
}

// Rows of sums: four positions, of which all but the first are idle where POSITIONS is 1. Columns: four output channels.
fn add(sums: mat4x4f, x: mat4x4f, w: mat4x4f) -> mat4x4f {
  if (POSITIONS == 1) {
    let y = transpose(x)[0] * w;
    return mat4x4f(
      vec4f(sums[0].x + y.x, sums[0].yzw),
      vec4f(sums[1].x + y.y, sums[1].yzw),
      vec4f(sums[2].x + y.z, sums[2].yzw),
      vec4f(sums[3].x + y.w, sums[3].yzw),
    );
  }
  return sums + x * w;
}

// The same for every four positions of the tile: sums s, inputs x.
fn add_all(
  s0: ptr<function, mat4x4f>,
  s1: ptr<function, mat4x4f>,
  s2: ptr<function, mat4x4f>,
  s3: ptr<function, mat4x4f>,
  x0: mat4x4f,
  x1: mat4x4f,
  x2: mat4x4f,
  x3: mat4x4f,
  w: mat4x4f,
) {
  *s0 = add(*s0, x0, w);
  if (POSITIONS > 4) { *s1 = add(*s1, x1, w); }
  if (POSITIONS > 8) { *s2 = add(*s2, x2, w); }
  if (POSITIONS > 12) { *s3 = add(*s3, x3, w); }
}

// Of four positions m of residue r, by row and column: the elements of their outputs, from a channel's first.
fn outputs_of(m: Four, r: vec2u) -> vec4u {
  return (vec4u(m.rows) * params.stride.x + r.x) * params.output_stride.z
    + (vec4u(m.columns) * params.stride.y + r.y) * params.output_stride.w;
}

// The sums of four positions as a list, for a loop over their channels.
fn list(
  sums: ptr<function, array<mat4x4f, 8>>,
  s0: mat4x4f,
  s1: mat4x4f,
  s2: mat4x4f,
  s3: mat4x4f,
  s4: mat4x4f,
  s5: mat4x4f,
  s6: mat4x4f,
  s7: mat4x4f,
) {
  (*sums)[0] = s0;
  if (VECTORS > 1) { (*sums)[1] = s1; }
  if (VECTORS > 2) { (*sums)[2] = s2; }
  if (VECTORS > 3) { (*sums)[3] = s3; }
  if (VECTORS > 4) { (*sums)[4] = s4; }
  if (VECTORS > 5) { (*sums)[5] = s5; }
  if (VECTORS > 6) { (*sums)[6] = s6; }
  if (VECTORS > 7) { (*sums)[7] = s7; }
}

// Stores four outputs of a channel, those that exist.
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
  if (WORKGROUP_SIZE == LANES) {
    // The same in all invocations, and said so that a compiler sees it: weights are then loaded once for all of them.
    index = workgroup.y * grid.x + workgroup.x;
  }
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
  let m0 = four(place_of(first, width), lanes, width);
  // What a smaller tile has not is no code, and compiles in no time.
  var m1: Four;
  var m2: Four;
  var m3: Four;
  if (POSITIONS > 4) { m1 = four(m0.after, lanes, width); }
  if (POSITIONS > 8) { m2 = four(m1.after, lanes, width); }
  if (POSITIONS > 12) { m3 = four(m2.after, lanes, width); }

  // The block's rows, and its columns within a row, decide which taps are worth a visit.
  let step = vec2i(params.input_step);
  let end = min(begin + block, positions) - 1;
  let corners = array(vec2i(place_of(begin, width)), vec2i(place_of(end, width)));
  let rows = vec2i(corners[0].x, corners[1].x) + low.x;
  let columns = select(vec2i(0, i32(width) - 1), vec2i(corners[0].y, corners[1].y), rows.x == rows.y) + low.y;
  let row_hits = hits(row.taps, rows, step.x, params.input_size.x);
  let column_hits = hits(column.taps, columns, step.y, params.input_size.y);

  let plane = params.input_size.x * params.input_size.y;
  let quads = (params.in_channels + 3) / 4;
  let image = (n * params.groups + group) * quads * plane;
  let missing = params.batch * params.groups * quads * plane;
  // In lines: exact, as are the sums of these.
  let next = f32(params.weight_channel / 4) / 4096; // between input channels
  let steps = vec3f(next, 2 * next, 3 * next);
  let next_plane = f32(plane) / 4096;
  let none = vec4f(f32(missing) / 4096);
  let input_line = 1 / f32(textureDimensions(input).y);
  let weight_line = 1 / f32(textureDimensions(weight).y);
  let first_channel = 4 * vector;

  // s<four positions><vec4>
  var s00: mat4x4f;
  var s01: mat4x4f;
  var s02: mat4x4f;
  var s03: mat4x4f;
  var s04: mat4x4f;
  var s05: mat4x4f;
  var s06: mat4x4f;
  var s07: mat4x4f;
  var s10: mat4x4f;
  var s11: mat4x4f;
  var s12: mat4x4f;
  var s13: mat4x4f;
  var s14: mat4x4f;
  var s15: mat4x4f;
  var s16: mat4x4f;
  var s17: mat4x4f;
  var s20: mat4x4f;
  var s21: mat4x4f;
  var s22: mat4x4f;
  var s23: mat4x4f;
  var s24: mat4x4f;
  var s25: mat4x4f;
  var s26: mat4x4f;
  var s27: mat4x4f;
  var s30: mat4x4f;
  var s31: mat4x4f;
  var s32: mat4x4f;
  var s33: mat4x4f;
  var s34: mat4x4f;
  var s35: mat4x4f;
  var s36: mat4x4f;
  var s37: mat4x4f;

  // One loop over the taps of both axes: each level of loops blends all sums with the lanes that still run.
  let across = u32(max(column_hits.y - column_hits.x, 0));
  let visits = across * u32(max(row_hits.y - row_hits.x, 0));
  for (var visit = 0u; visit < visits; visit++) {
    let j = vec2u(vec2i(row_hits.x, column_hits.x)) + place_of(visit, across);
    let corner = low - vec2i(j) * step;
    let at0 = texels_of(image, m0, corner, missing);
    var at1: vec4f;
    if (POSITIONS > 4) { at1 = texels_of(image, m1, corner, missing); }
    var at2: vec4f;
    if (POSITIONS > 8) { at2 = texels_of(image, m2, corner, missing); }
    var at3: vec4f;
    if (POSITIONS > 12) { at3 = texels_of(image, m3, corner, missing); }
    let k = vec2u(row.first_tap, column.first_tap) + params.tap_step * j;
    let tap = params.weight_base + group * params.weight_group + (k.x * params.kernel_width + k.y) * params.weight_tap;
    var w = f32(tap / 4 + vector) / 4096;
    var x = 0f;
    for (var q = 0u; q < params.in_channels; q += 4) {
      let a = inputs(min(at0 + x, none), input_line);
      var b: mat4x4f;
      var c: mat4x4f;
      var d: mat4x4f;
      if (POSITIONS > 4) { b = inputs(min(at1 + x, none), input_line); }
      if (POSITIONS > 8) { c = inputs(min(at2 + x, none), input_line); }
      if (POSITIONS > 12) { d = inputs(min(at3 + x, none), input_line); }
      add_all(&s00, &s10, &s20, &s30, a, b, c, d, weights(w, steps, weight_line));
      if (VECTORS > 1) { add_all(&s01, &s11, &s21, &s31, a, b, c, d, weights(w + 1.0 / 4096, steps, weight_line)); }
      if (VECTORS > 2) { add_all(&s02, &s12, &s22, &s32, a, b, c, d, weights(w + 2.0 / 4096, steps, weight_line)); }
      if (VECTORS > 3) { add_all(&s03, &s13, &s23, &s33, a, b, c, d, weights(w + 3.0 / 4096, steps, weight_line)); }
      if (VECTORS > 4) { add_all(&s04, &s14, &s24, &s34, a, b, c, d, weights(w + 4.0 / 4096, steps, weight_line)); }
      if (VECTORS > 5) { add_all(&s05, &s15, &s25, &s35, a, b, c, d, weights(w + 5.0 / 4096, steps, weight_line)); }
      if (VECTORS > 6) { add_all(&s06, &s16, &s26, &s36, a, b, c, d, weights(w + 6.0 / 4096, steps, weight_line)); }
      if (VECTORS > 7) { add_all(&s07, &s17, &s27, &s37, a, b, c, d, weights(w + 7.0 / 4096, steps, weight_line)); }
      x += next_plane;
      w += 4 * next;
    }
  }

  let first_out = params.output_base + n * params.output_stride.x + group * params.output_group
    + first_channel * params.output_stride.y;
  let first_bias = params.bias_base + group * params.bias_group + first_channel;
  let size = vec2u(row.positions, column.positions);
  var sums0: array<mat4x4f, 8>;
  let out0 = first_out + outputs_of(m0, r);
  let real0 = within(m0.rows, m0.columns, size);
  list(&sums0, s00, s01, s02, s03, s04, s05, s06, s07);
  var sums1: array<mat4x4f, 8>;
  var out1: vec4u;
  var real1: vec4<bool>;
  if (POSITIONS > 4) {
    out1 = first_out + outputs_of(m1, r);
    real1 = within(m1.rows, m1.columns, size);
    list(&sums1, s10, s11, s12, s13, s14, s15, s16, s17);
  }
  var sums2: array<mat4x4f, 8>;
  var out2: vec4u;
  var real2: vec4<bool>;
  if (POSITIONS > 8) {
    out2 = first_out + outputs_of(m2, r);
    real2 = within(m2.rows, m2.columns, size);
    list(&sums2, s20, s21, s22, s23, s24, s25, s26, s27);
  }
  var sums3: array<mat4x4f, 8>;
  var out3: vec4u;
  var real3: vec4<bool>;
  if (POSITIONS > 12) {
    out3 = first_out + outputs_of(m3, r);
    real3 = within(m3.rows, m3.columns, size);
    list(&sums3, s30, s31, s32, s33, s34, s35, s36, s37);
  }
  for (var c = 0u; c < min(4 * VECTORS, params.out_channels - first_channel); c++) {
    let further = c * params.output_stride.y;
    var first = 0f;
    if (BEGINS) { first = bias[first_bias + c]; }
    store(out0 + further, real0, sums0[c >> 2][c & 3], first);
    if (POSITIONS > 4) { store(out1 + further, real1, sums1[c >> 2][c & 3], first); }
    if (POSITIONS > 8) { store(out2 + further, real2, sums2[c >> 2][c & 3], first); }
    if (POSITIONS > 12) { store(out3 + further, real3, sums3[c >> 2][c & 3], first); }
  }
}
