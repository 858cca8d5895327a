// C = AᵀB, the plainest product there is: c[m][n] = Σ_k a[k][m] · b[k][n], the form that a layer's own sum has.
// It tells what this adapter reaches when there is no geometry at all.
//
// a: [k][m], b: [k][n], c: [m][n], rows of vec4. All three sizes are multiples of 64.
// One invocation computes 8 × 8 values, m = 8x … 8x + 7 and n = 8y … 8y + 7.
// `registers` reads both operands where they lie; `tiles` shares 64 × 16 of each in workgroup memory.

struct Params {
  m: u32,
  n: u32,
  k: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

const DEPTH = 16u;
const TILE = 16u; // vec4 across a tile of 64

var<workgroup> tile_a: array<vec4f, DEPTH * TILE>;
var<workgroup> tile_b: array<vec4f, DEPTH * TILE>;

@compute @workgroup_size(32, 1)
fn registers(@builtin(global_invocation_id) id: vec3u) {
  let m4 = params.m / 4u;
  let n4 = params.n / 4u;
  let ia = 2u * id.x;
  let ib = 2u * id.y;
  if (ia >= m4 || ib >= n4) {
    return;
  }
  var c00 = vec4f(); var c01 = vec4f(); var c10 = vec4f(); var c11 = vec4f();
  var c20 = vec4f(); var c21 = vec4f(); var c30 = vec4f(); var c31 = vec4f();
  var c40 = vec4f(); var c41 = vec4f(); var c50 = vec4f(); var c51 = vec4f();
  var c60 = vec4f(); var c61 = vec4f(); var c70 = vec4f(); var c71 = vec4f();
  for (var k = 0u; k < params.k; k++) {
    let a0 = a[k * m4 + ia];
    let a1 = a[k * m4 + ia + 1u];
    let b0 = b[k * n4 + ib];
    let b1 = b[k * n4 + ib + 1u];
    c00 += a0.x * b0; c01 += a0.x * b1;
    c10 += a0.y * b0; c11 += a0.y * b1;
    c20 += a0.z * b0; c21 += a0.z * b1;
    c30 += a0.w * b0; c31 += a0.w * b1;
    c40 += a1.x * b0; c41 += a1.x * b1;
    c50 += a1.y * b0; c51 += a1.y * b1;
    c60 += a1.z * b0; c61 += a1.z * b1;
    c70 += a1.w * b0; c71 += a1.w * b1;
  }
  let at = 8u * id.x * n4 + ib;
  c[at] = c00; c[at + 1u] = c01;
  c[at + n4] = c10; c[at + n4 + 1u] = c11;
  c[at + 2u * n4] = c20; c[at + 2u * n4 + 1u] = c21;
  c[at + 3u * n4] = c30; c[at + 3u * n4 + 1u] = c31;
  c[at + 4u * n4] = c40; c[at + 4u * n4 + 1u] = c41;
  c[at + 5u * n4] = c50; c[at + 5u * n4 + 1u] = c51;
  c[at + 6u * n4] = c60; c[at + 6u * n4 + 1u] = c61;
  c[at + 7u * n4] = c70; c[at + 7u * n4 + 1u] = c71;
}

@compute @workgroup_size(8, 8)
fn tiles(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let m4 = params.m / 4u;
  let n4 = params.n / 4u;
  var c00 = vec4f(); var c01 = vec4f(); var c10 = vec4f(); var c11 = vec4f();
  var c20 = vec4f(); var c21 = vec4f(); var c30 = vec4f(); var c31 = vec4f();
  var c40 = vec4f(); var c41 = vec4f(); var c50 = vec4f(); var c51 = vec4f();
  var c60 = vec4f(); var c61 = vec4f(); var c70 = vec4f(); var c71 = vec4f();
  for (var start = 0u; start < params.k; start += DEPTH) {
    workgroupBarrier();
    for (var i = index; i < DEPTH * TILE; i += 64u) {
      let k = start + i / TILE;
      tile_a[i] = a[k * m4 + group.x * TILE + i % TILE];
      tile_b[i] = b[k * n4 + group.y * TILE + i % TILE];
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      // Halves 32 apart: neighbours read neighbouring vec4, which keeps the banks apart.
      let a0 = tile_a[k * TILE + local.y];
      let a1 = tile_a[k * TILE + local.y + 8u];
      let b0 = tile_b[k * TILE + local.x];
      let b1 = tile_b[k * TILE + local.x + 8u];
      c00 += a0.x * b0; c01 += a0.x * b1;
      c10 += a0.y * b0; c11 += a0.y * b1;
      c20 += a0.z * b0; c21 += a0.z * b1;
      c30 += a0.w * b0; c31 += a0.w * b1;
      c40 += a1.x * b0; c41 += a1.x * b1;
      c50 += a1.y * b0; c51 += a1.y * b1;
      c60 += a1.z * b0; c61 += a1.z * b1;
      c70 += a1.w * b0; c71 += a1.w * b1;
    }
  }
  let at = (group.x * 64u + 4u * local.y) * n4 + group.y * TILE + local.x;
  let half = 32u * n4;
  c[at] = c00; c[at + 8u] = c01;
  c[at + n4] = c10; c[at + n4 + 8u] = c11;
  c[at + 2u * n4] = c20; c[at + 2u * n4 + 8u] = c21;
  c[at + 3u * n4] = c30; c[at + 3u * n4 + 8u] = c31;
  c[at + half] = c40; c[at + half + 8u] = c41;
  c[at + half + n4] = c50; c[at + half + n4 + 8u] = c51;
  c[at + half + 2u * n4] = c60; c[at + half + 2u * n4 + 8u] = c61;
  c[at + half + 3u * n4] = c70; c[at + half + 3u * n4 + 8u] = c71;
}
