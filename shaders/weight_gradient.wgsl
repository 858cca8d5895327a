// The gradient of the weights, in parts: each sums over some rows of the input's images.
//
//   part[split][g, q, c, k] = Σ_{n, i} x[n, g, q, i] · z[n, g, κ, c, i + j·d′],    k = κ + s′·j
//
// over the rows (n, i.x) of the split and all columns i.y; z is the output's gradient, picked so that the forward's
// position of input i and tap k is at i + j·d′ of class κ.
//
// x   texels [n][g][q / 4][row][column] of four channels, zeros behind the last, in lines of 4096
// z   texels [n][g][κ][c / 4][row][column], likewise
// parts   each in the weight's own order
//
// Invocations are counted in one line, fastest first: block of output channels, block of input channels, tap, group, split. Each
// holds 4·ROWS input × 4·COLUMNS output channels in registers and takes four columns of the input a round.

struct Params {
  batch: u32,
  groups: u32,
  in_channels: u32,      // of one group
  out_channels: u32,
  input_size: vec2u,
  wide_size: vec2u,      // rows, columns of z
  kernel: vec2u,
  tap_step: vec2u,       // s′
  input_step: vec2u,     // d′
  classes: vec2u,
  rows_in_split: u32,
  splits: u32,
  kernel_step: vec2u,    // elements of a part between neighbours
  group_step: u32,
  in_step: u32,
  out_step: u32,
  part_size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var input: texture_2d<f32>;
@group(0) @binding(2) var wide: texture_2d<f32>;
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;

override WORKGROUP_SIZE: u32 = 8;
override ROWS: u32 = 4;            // of four input channels: 1 to 4
override COLUMNS: u32 = 4;         // of four output channels: 1 to 4

fn place(at: u32) -> vec2u {
  return vec2u(at & 4095, at >> 12);
}

// Columns: four positions, of which `some` are. Rows: four channels.
fn inputs(at: u32, some: u32) -> mat4x4f {
  let none = vec4f();
  return mat4x4f(
    textureLoad(input, place(at), 0),
    select(none, textureLoad(input, place(at + 1), 0), some > 1),
    select(none, textureLoad(input, place(at + 2), 0), some > 2),
    select(none, textureLoad(input, place(at + 3), 0), some > 3),
  );
}

// Rows: four positions. Columns: four channels.
fn gradients(at: u32, some: u32) -> mat4x4f {
  let none = vec4f();
  return transpose(mat4x4f(
    textureLoad(wide, place(at), 0),
    select(none, textureLoad(wide, place(at + 1), 0), some > 1),
    select(none, textureLoad(wide, place(at + 2), 0), some > 2),
    select(none, textureLoad(wide, place(at + 3), 0), some > 3),
  ));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let in_quads = (params.in_channels + 3) / 4;
  let out_quads = (params.out_channels + 3) / 4;
  let in_blocks = (in_quads + ROWS - 1) / ROWS;
  let out_blocks = (out_quads + COLUMNS - 1) / COLUMNS;
  var rest = (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
  let out_first = rest % out_blocks * COLUMNS;
  rest /= out_blocks;
  let in_first = rest % in_blocks * ROWS;
  rest /= in_blocks;
  let tap = rest % (params.kernel.x * params.kernel.y);
  rest /= params.kernel.x * params.kernel.y;
  let group = rest % params.groups;
  let split = rest / params.groups;
  if (split >= params.splits) {
    return;
  }
  let k = vec2u(tap / params.kernel.y, tap % params.kernel.y);
  let class_at = k % params.tap_step;
  let shift = k / params.tap_step * params.input_step;
  let plane = params.input_size.x * params.input_size.y;
  let wide_plane = params.wide_size.x * params.wide_size.y;
  // Quads beyond the last repeat it; they are not stored.
  let ins = min(in_first + vec4u(0, 1, 2, 3), vec4u(in_quads - 1)) * plane;
  let outs = min(out_first + vec4u(0, 1, 2, 3), vec4u(out_quads - 1)) * wide_plane;

  var s00: mat4x4f;
  var s01: mat4x4f;
  var s02: mat4x4f;
  var s03: mat4x4f;
  var s10: mat4x4f;
  var s11: mat4x4f;
  var s12: mat4x4f;
  var s13: mat4x4f;
  var s20: mat4x4f;
  var s21: mat4x4f;
  var s22: mat4x4f;
  var s23: mat4x4f;
  var s30: mat4x4f;
  var s31: mat4x4f;
  var s32: mat4x4f;
  var s33: mat4x4f;
  let end = min((split + 1) * params.rows_in_split, params.batch * params.input_size.x);
  for (var line = split * params.rows_in_split; line < end; line++) {
    let n = line / params.input_size.x;
    let row = line % params.input_size.x;
    let image = n * params.groups + group;
    let x = image * in_quads * plane + row * params.input_size.y;
    let z = ((image * params.classes.x + class_at.x) * params.classes.y + class_at.y) * out_quads * wide_plane
      + (row + shift.x) * params.wide_size.y + shift.y;
    for (var column = 0u; column < params.input_size.y; column += 4) {
      let some = params.input_size.y - column;
      let a = inputs(x + ins.x + column, some);
      var b: mat4x4f;
      var c: mat4x4f;
      var d: mat4x4f;
      if (ROWS > 1) { b = inputs(x + ins.y + column, some); }
      if (ROWS > 2) { c = inputs(x + ins.z + column, some); }
      if (ROWS > 3) { d = inputs(x + ins.w + column, some); }
      {
        let y = gradients(z + outs.x + column, some);
        s00 += a * y;
        if (ROWS > 1) { s10 += b * y; }
        if (ROWS > 2) { s20 += c * y; }
        if (ROWS > 3) { s30 += d * y; }
      }
      if (COLUMNS > 1) {
        let y = gradients(z + outs.y + column, some);
        s01 += a * y;
        if (ROWS > 1) { s11 += b * y; }
        if (ROWS > 2) { s21 += c * y; }
        if (ROWS > 3) { s31 += d * y; }
      }
      if (COLUMNS > 2) {
        let y = gradients(z + outs.z + column, some);
        s02 += a * y;
        if (ROWS > 1) { s12 += b * y; }
        if (ROWS > 2) { s22 += c * y; }
        if (ROWS > 3) { s32 += d * y; }
      }
      if (COLUMNS > 3) {
        let y = gradients(z + outs.w + column, some);
        s03 += a * y;
        if (ROWS > 1) { s13 += b * y; }
        if (ROWS > 2) { s23 += c * y; }
        if (ROWS > 3) { s33 += d * y; }
      }
    }
  }

  var sums = array<mat4x4f, 16>(s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33);
  let base = split * params.part_size + group * params.group_step + k.x * params.kernel_step.x + k.y * params.kernel_step.y;
  for (var q = 0u; q < min(4 * ROWS, params.in_channels - 4 * in_first); q++) {
    for (var c = 0u; c < min(4 * COLUMNS, params.out_channels - 4 * out_first); c++) {
      parts[base + (4 * in_first + q) * params.in_step + (4 * out_first + c) * params.out_step]
        = sums[q / 4 * 4 + c / 4][c % 4][q % 4];
    }
  }
}
