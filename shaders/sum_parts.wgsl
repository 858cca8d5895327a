// The last stage of a gradient that was summed in parts, and the first of the bias's.
//
//   totals:  result[element] = Σ_p parts[p, element]
//   biases:  parts[p, channel] = Σ gradient[n, channel, row, column] over the lines (n, row) of part p
//
// mask   the forward's output where a ReLU was applied: elements as in gradient
// One invocation sums one element of the result, or one part of a channel.

struct Totals {
  parts: u32,
  elements: u32,         // of one part
}

struct Biases {
  parts: u32,
  lines_in_part: u32,
  lines: u32,            // batch × rows
  rows: u32,
  columns: u32,
  channels: u32,
  batch_step: u32,       // elements of gradient between neighbours
  channel_step: u32,
  row_step: u32,
  column_step: u32,
  masked: u32,
}

@group(0) @binding(0) var<uniform> totals_params: Totals;
@group(0) @binding(0) var<uniform> biases_params: Biases;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;

override WORKGROUP_SIZE: u32 = 64;

@compute @workgroup_size(WORKGROUP_SIZE)
fn totals(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let params = totals_params;
  let index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  if (index >= params.elements) {
    return;
  }
  var sum = 0f;
  for (var p = 0u; p < params.parts; p++) {
    sum += source[p * params.elements + index];
  }
  result[index] = sum;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn biases(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let params = biases_params;
  let index = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  let part = index / params.channels;
  if (part >= params.parts) {
    return;
  }
  var sum = 0f;
  let end = min((part + 1) * params.lines_in_part, params.lines);
  for (var line = part * params.lines_in_part; line < end; line++) {
    var at = line / params.rows * params.batch_step + line % params.rows * params.row_step
      + index % params.channels * params.channel_step;
    for (var column = 0u; column < params.columns; column++) {
      let value = source[at];
      sum += select(value, 0, params.masked == 1 && mask[at] <= 0);
      at += params.column_step;
    }
  }
  result[index] = sum;
}
