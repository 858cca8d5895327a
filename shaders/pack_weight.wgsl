// Packs a weight tensor of any layout for the kernels: a permutation, with channels padded to whole fours by zeros.
//
//   packed[g][kernel row][kernel column][q][c] = source[g·Q + q, c, kernel row, kernel column]
//
// source    words of the tensor as it is stored: one float32, or two float16, from the binding's start
// packed    float32
// One invocation writes one packed element.

struct Params {
  source_stride: vec4u,  // input channel, output channel, row, column; in elements
  groups: u32,
  kernel_height: u32,
  kernel_width: u32,
  in_channels: u32,      // Q, of one group
  out_channels: u32,     // of one group
  padded_in_channels: u32,
  padded_out_channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> packed: array<f32>;

override WORKGROUP_SIZE: u32 = 64;
override FLOAT16: bool = false;

fn element(index: u32) -> f32 {
  if (FLOAT16) {
    let both = unpack2x16float(source[index / 2]);
    return select(both.x, both.y, index % 2 == 1);
  }
  return bitcast<f32>(source[index]);
}

// Returns the remainder of an index and leaves the quotient in it.
fn split(index: ptr<function, u32>, count: u32) -> u32 {
  let whole = *index;
  *index = whole / count;
  return whole - *index * count;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  var rest = index;
  let channel = split(&rest, params.padded_out_channels);
  let in_channel = split(&rest, params.padded_in_channels);
  let column = split(&rest, params.kernel_width);
  let row = split(&rest, params.kernel_height);
  let group = rest;
  if (group >= params.groups) {
    return;
  }
  var value = 0.0;
  if (channel < params.out_channels && in_channel < params.in_channels) {
    let at = vec4u(group * params.in_channels + in_channel, channel, row, column) * params.source_stride;
    value = element(at.x + at.y + at.z + at.w);
  }
  packed[index] = value;
}
