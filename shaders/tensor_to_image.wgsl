// A tensor as a picture, drawn over the whole of a target of its size.
//
//   picture[row, column].c = tensor[c, row, column] · deviation.c + mean.c
//
// tensor   elements c, row, column apart by the strides in Params; a word holds one float32 or, with HALVES, two float16
// picture  red, green, blue, alpha from 0 to 1; one channel is grey, three are opaque
// One vertex shader's triangle covers the target; one fragment is one pixel.

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
@group(0) @binding(1) var<storage, read> tensor: array<u32>;

override HALVES: bool = false;
override PREMULTIPLIED: bool = false;

fn element(index: u32) -> f32 {
  if (HALVES) {
    return unpack2x16float(tensor[index / 2])[index % 2];
  }
  return bitcast<f32>(tensor[index]);
}

@vertex
fn cover(@builtin(vertex_index) corner: u32) -> @builtin(position) vec4f {
  // (−1, −1), (3, −1), (−1, 3): the target, from −1 to 1 along both axes, lies within this triangle.
  return vec4f(4 * f32(corner & 1) - 1, 4 * f32(corner >> 1) - 1, 0, 1);
}

@fragment
fn color(@builtin(position) position: vec4f) -> @location(0) vec4f {
  let at = vec2u(position.xy);
  let first = params.base + at.y * params.row_stride + at.x * params.column_stride;
  var pixel = vec4f(element(first));
  if (params.channels >= 3) {
    pixel.g = element(first + params.channel_stride);
    pixel.b = element(first + 2 * params.channel_stride);
  }
  if (params.channels == 4) {
    pixel.a = element(first + 3 * params.channel_stride);
  }
  pixel = clamp(pixel * params.deviation + params.mean, vec4f(0), vec4f(1));
  if (params.channels < 4) {
    pixel.a = 1;
  }
  if (PREMULTIPLIED) {
    return vec4f(pixel.rgb * pixel.a, pixel.a);
  }
  return pixel;
}
