// Transposed convolution, one output an invocation.
//
//   y[n, g, c, o] = f(bias[g, c] + Σ_{j, q} x[n, g, q, i] · w[g, k, q, c])   over taps j of both axes and input channels q,
//   o = s·m + r,   k = k₀ + s′·j,   i = m + i₀ − j·d′,   x = 0 outside: only the taps that hit real input are visited.
//
// input     elements n, g, q, row, column apart by the strides in Params
// weight    [g][kernel row][kernel column][q][c], c padded to whole vec4s
// bias      [g][c]
// output    like the input; read only to continue the sums of an earlier dispatch
// residues  k₀, i₀, J of each row residue r, then of each column residue

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

override WORKGROUP_SIZE: u32 = 64;
override BEGINS: bool = true;      // sums start from the bias, or else from the output
override FINISHES: bool = true;    // the activation is applied
override ACTIVATION: u32 = 0;      // none, relu, relu6, leaky-relu, sigmoid, tanh, gelu, silu
override CHANNELS_LAST: bool = false;

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
  var index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  let channels = params.groups * params.out_channels;
  var at: vec4u; // batch, channel, row, column: the last in memory fastest
  if (CHANNELS_LAST) { at.y = split(&index, channels); }
  at.w = split(&index, params.output_size.y);
  at.z = split(&index, params.output_size.x);
  if (!CHANNELS_LAST) { at.y = split(&index, channels); }
  at.x = index;
  if (at.x >= params.batch) {
    return;
  }

  let group = at.y / params.out_channels;
  let channel = at.y % params.out_channels;
  let row = residues[at.z % params.stride.x];
  let column = residues[params.stride.x + at.w % params.stride.y];
  let first = vec2i(at.zw / params.stride) + vec2i(row.first_input, column.first_input);
  let step = vec2i(params.input_step);
  let row_hits = hits(row.taps, vec2i(first.x), step.x, params.input_size.x);
  let column_hits = hits(column.taps, vec2i(first.y), step.y, params.input_size.y);

  let input_image = params.input_base + at.x * params.input_stride.x + group * params.input_group;
  let weight_column = params.weight_base + group * params.weight_group + channel;
  let target_index = params.output_base + at.x * params.output_stride.x + group * params.output_group
    + channel * params.output_stride.y + at.z * params.output_stride.z + at.w * params.output_stride.w;

  var sum: f32;
  if (BEGINS) {
    sum = bias[params.bias_base + group * params.bias_group + channel];
  } else {
    sum = f32(output[target_index]);
  }
  for (var jy = row_hits.x; jy < row_hits.y; jy++) {
    for (var jx = column_hits.x; jx < column_hits.y; jx++) {
      let at_input = vec2u(first - vec2i(jy, jx) * step);
      let tap = vec2u(row.first_tap, column.first_tap) + params.tap_step * vec2u(u32(jy), u32(jx));
      var x = input_image + at_input.x * params.input_stride.z + at_input.y * params.input_stride.w;
      var w = weight_column + (tap.x * params.kernel_width + tap.y) * params.weight_tap;
      for (var q = 0u; q < params.in_channels; q++) {
        sum += f32(input[x]) * weight[w];
        x += params.input_stride.y;
        w += params.weight_channel;
      }
    }
  }
  if (FINISHES) {
    sum = activate(sum);
  }
  output[target_index] = Scalar(sum);
}
