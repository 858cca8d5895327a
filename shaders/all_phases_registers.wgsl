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
// output    like the input; read only where sums go on from an earlier dispatch
// residues  k₀, i₀, J, positions of each row residue r, then of each column residue
//
// A line of invocations: lane (fastest), block of positions, block of columns, group, n. Positions u are counted row by
// row; of a block of LANES · POSITIONS a lane takes every LANES-th. No workgroup memory: see phase_registers.wgsl.

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

fn activate(v: f32) -> f32 {
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

// Where the inputs of four positions are, along one axis.
struct Reach {
  real: vec4<bool>,      // whether there is such an input
  offset: vec4u,         // of the input, or of one that there is
}

fn reach(at: vec4i, size: u32, stride: u32) -> Reach {
  let last = vec4i(i32(size) - 1);
  return Reach((at >= vec4i()) & (at <= last), vec4u(clamp(at, vec4i(), last)) * stride);
}

// The taps [x, y) that find a real input from some i₀ + m in [first.x, first.y]: 0 ≤ i₀ + m − j·step < size.
fn hits(taps: u32, first: vec2i, step: i32, size: u32) -> vec2i {
  let begin = select(0, (first.x - i32(size)) / step + 1, first.x >= i32(size));
  return vec2i(begin, select(0, min(i32(taps), first.y / step + 1), first.y >= 0));
}

// The position `step` further, row and column; step.y < width.
fn advance(at: vec2u, step: vec2u, width: u32) -> vec2u {
  let next = at + step;
  return select(next, vec2u(next.x + 1, next.y - width), next.y >= width);
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
  let phase = at / params.out_channels;
  return Column(vec2u(phase / params.stride.y, phase % params.stride.y), at % params.out_channels);
}

// The first weight of a column, from its group's first.
fn weight_of(at: u32) -> u32 {
  let column = column_of(at);
  let tap = vec2u(residues[column.residue.x].first_tap, residues[params.stride.x + column.residue.y].first_tap);
  return (tap.x * params.kernel_width + tap.y) * params.weight_tap + column.channel;
}

fn weights_of(at: vec4u) -> vec4u {
  return vec4u(weight_of(at.x), weight_of(at.y), weight_of(at.z), weight_of(at.w));
}

fn weights_at(at: vec4u) -> vec4f {
  return vec4f(weight[at.x], weight[at.y], weight[at.z], weight[at.w]);
}

// What the sums of four columns begin with, at all positions.
fn begin_sums(group_bias: u32, at: vec4u) -> mat4x4f {
  let c = group_bias + at % params.out_channels;
  let b = vec4f(bias[c.x], bias[c.y], bias[c.z], bias[c.w]);
  let first = select(vec4f(), b, BEGINS);
  return mat4x4f(first, first, first, first);
}

fn finish(at: u32, total: f32) {
  var sum = total;
  if (!BEGINS) {
    sum += f32(output[at]);
  }
  if (FINISHES) {
    sum = activate(sum);
  }
  output[at] = Scalar(sum);
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
  let lane = index % LANES;
  index /= LANES;
  let begin = index % blocks * block;
  index /= blocks;
  let first_column = index % column_blocks * 4 * VECTORS;
  index /= column_blocks;
  let group = index % params.groups;
  let n = index / params.groups;
  if (n >= params.batch) {
    return;
  }

  let first = begin + lane;
  let lanes = vec2u(LANES / width, LANES % width);
  let p0 = vec2u(first / width, first % width);
  let p1 = advance(p0, lanes, width);
  let p2 = advance(p1, lanes, width);
  let p3 = advance(p2, lanes, width);
  let p4 = advance(p3, lanes, width);
  let p5 = advance(p4, lanes, width);
  let p6 = advance(p5, lanes, width);
  let p7 = advance(p6, lanes, width);
  let rows0 = vec4i(vec4u(p0.x, p1.x, p2.x, p3.x)) + low.x;
  let rows1 = vec4i(vec4u(p4.x, p5.x, p6.x, p7.x)) + low.x;
  let columns0 = vec4i(vec4u(p0.y, p1.y, p2.y, p3.y)) + low.y;
  let columns1 = vec4i(vec4u(p4.y, p5.y, p6.y, p7.y)) + low.y;

  // Whole rows of the block decide which taps are worth a visit.
  let step = vec2i(params.input_step);
  let end = min(begin + block, positions) - 1;
  let rows = vec2i(vec2u(begin, end) / width) + low.x;
  let columns = vec2i(0, i32(width) - 1) + low.y;
  let row_hits = hits(row.taps, rows, step.x, params.input_size.x);
  let column_hits = hits(column.taps, columns, step.y, params.input_size.y);

  let image = params.input_base + n * params.input_stride.x + group * params.input_group;
  let weights = params.weight_base + group * params.weight_group;
  let bias_at = params.bias_base + group * params.bias_group;

  let c0 = min(first_column + vec4u(0, 1, 2, 3), vec4u(all_columns - 1));
  let c1 = min(first_column + vec4u(4, 5, 6, 7), vec4u(all_columns - 1));
  let c2 = min(first_column + vec4u(8, 9, 10, 11), vec4u(all_columns - 1));
  let c3 = min(first_column + vec4u(12, 13, 14, 15), vec4u(all_columns - 1));
  // s<first or second four positions><vec4>
  var s00 = begin_sums(bias_at, c0);
  var s01 = begin_sums(bias_at, c1);
  var s02 = begin_sums(bias_at, c2);
  var s03 = begin_sums(bias_at, c3);
  var s10 = s00;
  var s11 = s01;
  var s12 = s02;
  var s13 = s03;
  let f0 = weights + weights_of(c0);
  let f1 = weights + weights_of(c1);
  let f2 = weights + weights_of(c2);
  let f3 = weights + weights_of(c3);
  for (var jy = row_hits.x; jy < row_hits.y; jy++) {
    let y0 = reach(rows0 - jy * step.x, params.input_size.x, params.input_stride.z);
    let y1 = reach(rows1 - jy * step.x, params.input_size.x, params.input_stride.z);
    for (var jx = column_hits.x; jx < column_hits.y; jx++) {
      let x0 = reach(columns0 - jx * step.y, params.input_size.y, params.input_stride.w);
      let x1 = reach(columns1 - jx * step.y, params.input_size.y, params.input_stride.w);
      let real0 = y0.real & x0.real;
      let real1 = y1.real & x1.real;
      var at0 = image + y0.offset + x0.offset;
      var at1 = image + y1.offset + x1.offset;
      let tap = params.tap_step * vec2u(u32(jy), u32(jx));
      var w = (tap.x * params.kernel_width + tap.y) * params.weight_tap;
      for (var q = 0u; q < params.in_channels; q++) {
        let a = load(at0, real0);
        let w0 = weights_at(f0 + w);
        s00 = add(s00, a, w0);
        var b: vec4f;
        if (POSITIONS > 4) {
          b = load(at1, real1);
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
  }

  var sums = array<mat4x4f, 8>(s00, s01, s02, s03, s10, s11, s12, s13);
  let columns_here = min(4 * VECTORS, all_columns - first_column);
  let image_out = params.output_base + n * params.output_stride.x + group * params.output_group;
  for (var c = 0u; c < columns_here; c++) {
    let at = column_of(first_column + c);
    let r = vec2u(at.residue.x, params.stride.x + at.residue.y);
    // m = u - delay
    let delay = vec2u(vec2i(residues[r.x].first_input, residues[r.y].first_input) - low);
    let most = vec2u(residues[r.x].positions, residues[r.y].positions);
    let channel_out = image_out + at.channel * params.output_stride.y;
    var u = p0;
    for (var p = 0u; p < POSITIONS; p++) {
      if (all((u >= delay) & (u - delay < most))) {
        let o = ((u - delay) * params.stride + at.residue) * params.output_stride.zw;
        finish(channel_out + o.x + o.y, sums[p / 4 * 4 + c / 4][p % 4][c % 4]);
      }
      u = advance(u, lanes, width);
    }
  }
}
