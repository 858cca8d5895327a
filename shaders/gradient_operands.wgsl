// Operands of the gradients: elements of a tensor, picked by tables of rows and columns. Where a table says −1, and where
// a ReLU gave 0, there is 0.
//
//   z[n, g, κ, c, e, u, v] = source[n, g, c, e, rows[κ.x, u], columns[κ.y, v]]
//
// over batch n, groups g, classes κ (row class, column class), channels c, inner channels e.
//
// places   the rows [row class][u], then the columns [column class][v]
// mask     the forward's output where a ReLU was applied: elements as in source
// result   elements [n][g][κ][c][u][v]; or with CHANNELS_LAST [n][u][v][g][κ][c]
// packed   elements [g][u][v][κ, c][e], zeros behind the last e and the last κ, c up to a whole four
// texels   four channels each, [n][g][κ][c / 4][u][v], zeros behind the last, in lines of 4096
// One invocation writes one element, four packed ones, or one texel.

struct Params {
  batch: u32,
  groups: u32,
  classes: vec2u,
  channels: u32,
  inner: u32,
  extent: vec2u,         // of u and v
  source_batch: u32,     // elements of source between neighbours
  source_group: u32,
  source_channel: u32,
  source_inner: u32,
  source_row: u32,
  source_column: u32,
  masked: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> places: array<i32>;
@group(0) @binding(2) var<storage, read> source: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;
@group(0) @binding(4) var texels: texture_storage_2d<rgba32float, write>;

override WORKGROUP_SIZE: u32 = 64;
override CHANNELS_LAST: bool = false;

// The element of channel 0 and inner channel 0, or −1.
fn place(n: u32, g: u32, class_at: vec2u, at: vec2u) -> i32 {
  let row = places[class_at.x * params.extent.x + at.x];
  let column = places[params.classes.x * params.extent.x + class_at.y * params.extent.y + at.y];
  let first = n * params.source_batch + g * params.source_group;
  let element = i32(first + u32(row) * params.source_row + u32(column) * params.source_column);
  return select(element, -1, row < 0 || column < 0);
}

fn pick(element: u32) -> f32 {
  let value = source[element];
  if (params.masked == 1) {
    return select(value, 0, mask[element] <= 0);
  }
  return value;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn elements(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  var rest = index;
  var at: vec2u;
  if (!CHANNELS_LAST) {
    at.y = rest % params.extent.y;
    rest /= params.extent.y;
    at.x = rest % params.extent.x;
    rest /= params.extent.x;
  }
  let c = rest % params.channels;
  rest /= params.channels;
  let class_at = vec2u(rest / params.classes.y % params.classes.x, rest % params.classes.y);
  rest /= params.classes.x * params.classes.y;
  let g = rest % params.groups;
  rest /= params.groups;
  if (CHANNELS_LAST) {
    at.y = rest % params.extent.y;
    rest /= params.extent.y;
    at.x = rest % params.extent.x;
    rest /= params.extent.x;
  }
  if (rest >= params.batch) {
    return;
  }
  let element = place(rest, g, class_at, at);
  var value = 0f;
  if (element >= 0) {
    value = pick(u32(element) + c * params.source_channel);
  }
  result[index] = value;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn packed(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  let count = (params.inner + 3) / 4;
  let e = 4 * (index % count);
  var rest = index / count;
  let rows = params.classes.x * params.classes.y * params.channels;
  let padded = (rows + 3) / 4 * 4;
  let row = rest % padded;
  rest /= padded;
  let c = row % params.channels;
  let class_at = vec2u(row / params.channels / params.classes.y, row / params.channels % params.classes.y);
  let at = vec2u(rest / params.extent.y % params.extent.x, rest % params.extent.y);
  let g = rest / (params.extent.x * params.extent.y);
  if (g >= params.groups) {
    return;
  }
  var element = -1;
  if (row < rows) {
    element = place(0, g, class_at, at);
  }
  for (var q = 0u; q < 4; q++) {
    var value = 0f;
    if (element >= 0 && e + q < params.inner) {
      value = pick(u32(element) + c * params.source_channel + (e + q) * params.source_inner);
    }
    result[4 * index + q] = value;
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn quads(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  let at = vec2u(index / params.extent.y % params.extent.x, index % params.extent.y);
  var rest = index / (params.extent.x * params.extent.y);
  let count = (params.channels + 3) / 4;
  let c = 4 * (rest % count);
  rest /= count;
  let class_at = vec2u(rest / params.classes.y % params.classes.x, rest % params.classes.y);
  rest /= params.classes.x * params.classes.y;
  let g = rest % params.groups;
  let n = rest / params.groups;
  if (n >= params.batch) {
    return;
  }
  let element = place(n, g, class_at, at);
  var value = vec4f();
  if (element >= 0) {
    for (var q = 0u; q < min(4, params.channels - c); q++) {
      value[q] = pick(u32(element) + (c + q) * params.source_channel);
    }
  }
  textureStore(texels, vec2u(index & 4095, index >> 12), value);
}
