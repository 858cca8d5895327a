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
// output    elements n, g, c, row, column apart by the strides in Params; read only to continue the sums of an earlier dispatch
// residues  k₀, i₀, J, positions of each row residue r, then of each column residue
//
// Invocations are counted in one line, fastest first: block of a row's positions, row, block of channels, group, n, phase.

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

const POSITIONS = 4u;              // neighbours in a row
const VECTORS = 2u;                // of output channels

override WORKGROUP_SIZE: u32 = 8;
override BEGINS: bool = true;      // sums start from the bias, or else from the output
override FINISHES: bool = true;    // the activation is applied
override ACTIVATION: u32 = 0;      // none, relu, relu6, leaky-relu, sigmoid, tanh, gelu, silu

fn activated(v: f32) -> f32 {
  switch (ACTIVATION) {
    case 1: { return max(v, 0); }
    case 2: { return clamp(v, 0, 6); }
    case 3: { return select(v, v * params.negative_slope, v < 0); }
    case 4: { return 1 / (1 + exp(-v)); }
    case 5: { return tanh(clamp(v, -10, 10)); }
    case 6: { return 0.5 * v * (1 + tanh(clamp(0.7978845608 * (v + 0.044715 * v * v * v), -10, 10))); }
    case 7: { return v / (1 + exp(-v)); }
    default: { return v; }
  }
}

// NaN stays NaN, which WGSL does not guarantee of clamp and exp.
fn activate(v: f32) -> f32 {
  if (ACTIVATION == 0) {
    return v;
  }
  return select(v, activated(v), v == v);
}

// The texel that lies so many lines behind the first; `share` is one line of the height. Samples take an emulated GPU a third of
// the time of loads, whose coordinates are held against limits; powers of two keep it exact, and columns repeat in each line.
fn texel(texels: texture_2d<f32>, at: f32, share: f32) -> vec4f {
  return textureSampleLevel(texels, nearest, vec2f(at, at * share), 0);
}

// Four input channels of four positions: a column each.
fn inputs(at: vec4f, share: f32) -> mat4x4f {
  return mat4x4f(
    texel(input, at.x, share),
    texel(input, at.y, share),
    texel(input, at.z, share),
    texel(input, at.w, share),
  );
}

// Four output channels of four input channels, `steps` behind the first: a column each.
fn weights(at: f32, steps: vec3f, share: f32) -> mat4x4f {
  return mat4x4f(
    texel(weight, at, share),
    texel(weight, at + steps.x, share),
    texel(weight, at + steps.y, share),
    texel(weight, at + steps.z, share),
  );
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

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let vectors = params.weight_channel / 4;
  var index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  let first = POSITIONS * split(&index, (residues[params.stride.x].positions + POSITIONS - 1) / POSITIONS);
  let m = split(&index, residues[0].positions);
  let vector = VECTORS * split(&index, (params.out_channels + 4 * VECTORS - 1) / (4 * VECTORS));
  let group = split(&index, params.groups);
  let n = split(&index, params.batch);
  let column_residue = split(&index, params.stride.y);
  if (index >= params.stride.x) {
    return;
  }
  let row = &residues[index];
  let column = &residues[params.stride.x + column_residue];
  if (m >= row.positions || first >= column.positions) {
    return;
  }

  let low = vec2i(vec2u(m, first)) + vec2i(row.first_input, column.first_input);
  let step = vec2i(params.input_step);
  let row_hits = hits(row.taps, vec2i(low.x), step.x, params.input_size.x);
  let column_hits = hits(column.taps, low.y + vec2i(0, 3), step.y, params.input_size.y);
  let visits = u32(max(row_hits.y - row_hits.x, 0) * max(column_hits.y - column_hits.x, 0));

  let plane = params.input_size.x * params.input_size.y;
  let quads = (params.in_channels + 3) / 4;
  let image = (n * params.groups + group) * quads * plane;
  let missing = params.batch * params.groups * quads * plane;
  // In lines: exact, as are the sums of these.
  let next = f32(vectors) / 4096; // between input channels
  let steps = vec3f(next, 2 * next, 3 * next);
  let next_plane = f32(plane) / 4096;
  let none = vec4f(f32(missing) / 4096);
  let input_line = 1 / f32(textureDimensions(input).y);
  let weight_line = 1 / f32(textureDimensions(weight).y);
  let first_weight = (params.weight_base + group * params.weight_group) / 4 + vector;
  // Four output channels of four positions: a column each.
  var sums0: mat4x4f;
  var sums1: mat4x4f;
  // One loop over taps and channels: each level of loops blends all sums with the lanes that still run.
  var j = vec2i(row_hits.x, column_hits.x);
  var q = params.in_channels;
  var at: vec4f;
  var w: f32;
  for (var round = visits * quads; round > 0; round--) {
    if (q >= params.in_channels) {
      let corner = vec2u(low - j * step);
      let columns = corner.y + vec4u(0, 1, 2, 3);
      let real = columns < vec4u(params.input_size.y);
      at = vec4f(select(vec4u(missing), image + corner.x * params.input_size.y + columns, real)) / 4096;
      let k = vec2u(row.first_tap, column.first_tap) + params.tap_step * vec2u(j);
      w = f32(first_weight + (k.x * params.kernel_width + k.y) * (params.weight_tap / 4)) / 4096;
      j = select(j + vec2i(0, 1), vec2i(j.x + 1, column_hits.x), j.y + 1 == column_hits.y);
      q = 0;
    }
    let a = inputs(at, input_line);
    sums0 += weights(w, steps, weight_line) * a;
    sums1 += weights(w + 1.0 / 4096, steps, weight_line) * a;
    at = min(at + next_plane, none);
    w += 4 * next;
    q += 4;
  }

  let first_channel = 4 * vector;
  let first_bias = params.bias_base + group * params.bias_group + first_channel;
  let out = params.output_base + n * params.output_stride.x + group * params.output_group
    + first_channel * params.output_stride.y
    + (m * params.stride.x + index) * params.output_stride.z
    + (first * params.stride.y + column_residue) * params.output_stride.w;
  let real = min(POSITIONS, column.positions - first);
  let channels = min(4 * VECTORS, params.out_channels - first_channel);
  var sums = array(sums0, sums1);
  for (var i = 0u; i < 4 * channels; i++) {
    let c = i >> 2;
    let p = i & 3;
    if (p >= real) {
      continue;
    }
    let at = out + c * params.output_stride.y + p * params.stride.y * params.output_stride.w;
    var y = sums[c >> 2][p][c & 3];
    if (BEGINS) { y += bias[first_bias + c]; } else { y += f32(output[at]); }
    if (FINISHES) { y = activate(y); }
    output[at] = Scalar(y);
  }
}
