// Between float16 bit patterns and float32, four at a time and in place: a tensor's halves are copied to where its float32 end
// or begin, so that neither direction overwrites what it has not read.

/** target[i] = source[i] for i < count, rounded up to 4. `source` may be the second half of `target`. */
export function expandFloat16(target: usize, source: usize, count: i32): void {
  const end: usize = target + ((<usize>count) << 2);
  for (; target < end; target += 16, source += 8) {
    const half = v128.load_ext<u16>(source);
    const bits = i32x4.shl(v128.and(half, i32x4.splat(0x7fff)), 13);
    const sign = i32x4.shl(v128.and(half, i32x4.splat(0x8000)), 16);
    // The exponent is short by 127 − 15, also of subnormal numbers; infinity and NaN have all its bits.
    const finite = f32x4.mul(bits, f32x4.splat(5.192296858534828e33));
    const all = v128.or(bits, i32x4.splat(0x7f800000));
    const magnitude = v128.bitselect(finite, all, i32x4.lt_s(bits, i32x4.splat(0x0f800000)));
    v128.store(target, v128.or(magnitude, sign));
  }
}

/** target[i] = source[i], rounded to even, for i < count, rounded up to 4. `target` may be `source`. */
export function roundToFloat16(target: usize, source: usize, count: i32): void {
  const end: usize = target + ((<usize>count) << 1);
  for (; target < end; target += 8, source += 16) {
    const value = v128.load(source);
    const magnitude = f32x4.abs(value);
    // Rounds at bit 13 and takes 127 − 15 from the exponent.
    const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
    let bits = i32x4.shr_u(i32x4.add(i32x4.add(magnitude, odd), i32x4.splat(0xfff - 0x38000000)), 13);
    // Subnormal numbers are multiples of 2⁻²⁴, and so are the float32 from ½ on.
    const small = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
    bits = v128.bitselect(small, bits, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)));
    bits = v128.bitselect(i32x4.splat(0x7c00), bits, i32x4.ge_s(magnitude, i32x4.splat(0x477ff000)));
    bits = v128.bitselect(i32x4.splat(0x7e00), bits, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000)));
    bits = v128.or(bits, v128.and(i32x4.shr_u(value, 16), i32x4.splat(0x8000)));
    v128.store64_lane(target, i16x8.narrow_i32x4_u(bits, bits), 0);
  }
}
