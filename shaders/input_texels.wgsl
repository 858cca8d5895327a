// Input of phase_registers.wgsl as texels of four values: each lies where one load finds it.
//
//   texels[n][g][q / 4][row][column] = x[n, g, q … q + 3, row, column], then one texel of zeros
//
// over q rounded up to whole fours; values that there are not are zeros.
//
// input     elements n, g, q, row, column apart by the strides in Params
// texels    in lines of 4096
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
  negative_slope: f32,
}

alias Scalar = f32; // element type of input

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Scalar>;
@group(0) @binding(2) var texels: texture_storage_2d<rgba32float, write>;

override WORKGROUP_SIZE: u32 = 64;

fn put(at: u32, value: vec4f) {
  textureStore(texels, vec2u(at & 4095, at >> 12), value);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
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
  // Rows lie one after the other: positions of an image are as far apart as columns.
  let base = params.input_base + n * params.input_stride.x + (group - n * params.groups) * params.input_group
    + (index - image * plane) * params.input_stride.w;
  let q = 4 * (image - group * quads) + vec4u(0, 1, 2, 3);
  let at = base + min(q, vec4u(params.in_channels - 1)) * params.input_stride.y;
  let x = vec4f(f32(input[at.x]), f32(input[at.y]), f32(input[at.z]), f32(input[at.w]));
  put(index, select(vec4f(), x, q < vec4u(params.in_channels)));
}
