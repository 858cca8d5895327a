// A picture's pixels as a tensor.
//
//   tensor[c, row, column] = (picture[row, column].c − mean.c) / deviation.c
//
// picture  red, green, blue, alpha from 0 to 1, not premultiplied; of one channel, the luma of ITU-R BT.601
// tensor   elements c, row, column apart by the strides in Params; a word holds one float32 or, with HALVES, two float16
// One invocation stores one word.

struct Params {
  mean: vec4f,
  deviation: vec4f,
  size: vec2u,           // rows, columns
  channels: u32,         // 1, 3 or 4
  channel_stride: u32,   // in elements
  row_stride: u32,
  column_stride: u32,
  base: u32,             // element of the binding that the picture begins with
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var picture: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> tensor: array<u32>;

override WORKGROUP_SIZE: u32 = 64;
override HALVES: bool = false;

const LUMA = vec3f(0.299, 0.587, 0.114);

fn element(index: u32) -> f32 {
  let channel = index / params.channel_stride % params.channels;
  let row = index / params.row_stride % params.size.x;
  let column = index / params.column_stride % params.size.y;
  var pixel = textureLoad(picture, vec2u(column, row), 0);
  if (params.channels == 1) {
    pixel.r = dot(LUMA, pixel.rgb);
  }
  return ((pixel - params.mean) / params.deviation)[channel];
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + lane;
  let elements = params.channels * params.size.x * params.size.y;
  if (!HALVES) {
    if (word < elements) {
      tensor[word] = bitcast<u32>(element(word));
    }
  } else if (2 * word < elements) {
    let both = pack2x16float(vec2f(element(2 * word), element(2 * word + 1)));
    // What is beyond an odd end stays.
    let low = (tensor[word] & 0xffff0000) | (both & 0xffff);
    tensor[word] = select(low, both, 2 * word + 1 < elements);
  }
}
