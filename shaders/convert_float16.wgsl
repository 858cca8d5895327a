// float16 tensors on a device without shader-f16: expanded to float32 before a kernel, compressed after it.
//
//   expand:    values[i] = halves[i]
//   compress:  halves[i] = values[i], rounded to the nearest, ties to even
//
// halves    two elements a word, the first in the low bits
// values    float32
// One invocation converts one word; a last odd element leaves the other half of its word as it was.

struct Params {
  elements: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> halves: array<u32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;

override WORKGROUP_SIZE: u32 = 64;

// The bits of the nearest float16: in integers, since pack2x16float may round either way.
fn half_bits(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let sign = (bits >> 16) & 0x8000;
  let magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) {
    return sign | 0x7e00;
  }
  if (magnitude >= 0x477ff000) {
    return sign | 0x7c00;
  }
  if (magnitude < 0x38800000) {
    // Below 2⁻¹⁴ the spacing is 2⁻²⁴, as that of float32 between ½ and 1.
    return sign | (bitcast<u32>(bitcast<f32>(magnitude) + 0.5) - 0x3f000000);
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13);
}

fn word_index(workgroup: vec3u, grid: vec3u, local: u32) -> u32 {
  return (workgroup.y * grid.x + workgroup.x) * WORKGROUP_SIZE + local;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn expand(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let word = word_index(workgroup, grid, local);
  if (word >= (params.elements + 1) / 2) {
    return;
  }
  let both = unpack2x16float(halves[word]);
  values[2 * word] = both.x;
  if (2 * word + 1 < params.elements) {
    values[2 * word + 1] = both.y;
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn compress(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let word = word_index(workgroup, grid, local);
  if (word >= (params.elements + 1) / 2) {
    return;
  }
  let low = half_bits(values[2 * word]);
  if (2 * word + 1 < params.elements) {
    halves[word] = low | (half_bits(values[2 * word + 1]) << 16);
  } else {
    halves[word] = (halves[word] & 0xffff0000) | low;
  }
}
