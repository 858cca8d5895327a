// Inputs and weights of registers.wgsl as texels of four values: each lies where one load finds it.
//
//   inputs:   texels[n][g][q / 4][row][column] = x[n, g, q … q + 3, row, column], then one texel of zeros
//   weights:  texels[g][j][q][column / 4] = w[g, k₀ + s′·j, q, c] of four columns
//
// over q rounded up to whole fours; values that there are not are zeros. Columns are the output channels c and j all
// kernel positions; or, with ALL_PHASES, columns are the pairs of a phase and c, and j runs over the J taps of every phase.
//
// input     elements n, g, q, row, column apart by the strides in Params
// weight    [g][kernel row][kernel column][q][c], c padded to whole vec4s
// residues  k₀, i₀, J, positions of each row residue r, then of each column residue
// texels    4096 make a line
// One invocation writes one texel.

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
  begins: u32,           // 1: sums start from the bias; 0: from the output
  finishes: u32,         // 1: the activation is applied
  negative_slope: f32,
}

struct Residue {
  taps: u32,
  first_tap: u32,
  first_input: i32,
  positions: u32,
  ranked: u32,           // the residue that has this entry's rank, most taps first
}

alias Scalar = f32; // element type of input

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> residues: array<Residue>;
@group(0) @binding(2) var<storage, read> input: array<Scalar>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var texels: texture_storage_2d<rgba32float, write>;

override WORKGROUP_SIZE: u32 = 64;
override ALL_PHASES: bool = false;

fn put(at: u32, value: vec4f) {
  textureStore(texels, vec2u(at & 4095, at >> 12), value);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn inputs(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  let plane = params.input_size.x * params.input_size.y;
  let quads = (params.in_channels + 3) / 4;
  let image = index / plane;
  let group = image / quads;
  let n = group / params.groups;
  if (n >= params.batch) {
    if (index == params.batch * params.groups * quads * plane) {
      put(index, vec4f());
    }
    return;
  }
  let q = 4 * (image % quads);
  // A row follows on a row's last column.
  let base = params.input_base + n * params.input_stride.x + group % params.groups * params.input_group
    + index % plane * params.input_stride.w;
  var value = vec4f();
  for (var e = 0u; e < min(4, params.in_channels - q); e++) {
    value[e] = f32(input[base + (q + e) * params.input_stride.y]);
  }
  put(index, value);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn weights(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  let all_columns = params.out_channels * select(1, params.stride.x * params.stride.y, ALL_PHASES);
  var taps = vec2u(params.weight_group / params.weight_tap / params.kernel_width, params.kernel_width);
  if (ALL_PHASES) {
    taps = vec2u(residues[0].taps, residues[params.stride.x].taps);
  }
  var rest = index;
  let vectors = (all_columns + 3) / 4;
  let first = 4 * (rest % vectors);
  rest /= vectors;
  let channels = (params.in_channels + 3) / 4 * 4;
  let q = rest % channels;
  rest /= channels;
  let j = vec2u(rest / taps.y % taps.x, rest % taps.y);
  let group = rest / (taps.x * taps.y);
  if (group >= params.groups) {
    return;
  }
  var value = vec4f();
  if (q < params.in_channels) {
    for (var e = 0u; e < min(4, all_columns - first); e++) {
      var channel = first + e;
      var k = j;
      if (ALL_PHASES) {
        let phase = channel / params.out_channels;
        channel %= params.out_channels;
        let r = vec2u(phase / params.stride.y, phase % params.stride.y);
        k = vec2u(residues[r.x].first_tap, residues[params.stride.x + r.y].first_tap) + params.tap_step * j;
      }
      value[e] = weight[params.weight_base + group * params.weight_group
        + (k.x * params.kernel_width + k.y) * params.weight_tap + q * params.weight_channel + channel];
    }
  }
  put(index, value);
}
