// The index arithmetic of one axis against its definition: output o, tap k and input i meet where i·s − p + k·d = o.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { axisGeometry, axisPhases, fullLength, usefulTaps, type AxisParameters } from '../../src/geometry.ts';
import { ConvTranspose2dError } from '../../src/errors.ts';

const LARGEST = 2 ** 31 - 1;

/** Axes with K < s, gcd(s, d) > 1, one input, crops far inside and far outside of the full result. */
const axes = fc
  .record({
    input: fc.constantFrom(1, 1, 2, 3, 5, 8, 13),
    kernel: fc.integer({ min: 1, max: 7 }),
    stride: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(2 ** 20, LARGEST)),
    dilation: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(2 ** 20, 2 ** 20 + 1, LARGEST)),
    output: fc.integer({ min: 1, max: 60 }),
    place: fc.oneof(
      fc.record({ from: fc.constant('start'), by: fc.integer({ min: -20, max: 70 }) }),
      fc.record({ from: fc.constant('end'), by: fc.integer({ min: -70, max: 20 }) }),
      fc.record({ from: fc.constant('start'), by: fc.constantFrom(-LARGEST, -(2 ** 20), 2 ** 20, LARGEST) }),
    ),
  })
  .map(({ place, ...axis }): AxisParameters => {
    const full = fullLength(axis.input, axis.kernel, axis.stride, axis.dilation);
    return { ...axis, padding: place.by + (place.from === 'end' ? full : 0) };
  });

/** All [o, k, i] that meet, in order. */
function meetings({ input, kernel, stride, dilation, padding, output }: AxisParameters): number[][] {
  const found: number[][] = [];
  for (let k = 0; k < kernel; k++) {
    for (let i = 0; i < input; i++) {
      const o = i * stride - padding + k * dilation;
      if (o >= 0 && o < output) found.push([o, k, i]);
    }
  }
  return ordered(found);
}

/** The same, read off the residues. */
function meetingsOfResidues(asked: AxisParameters): number[][] {
  const { stride, tapStep, inputStep, residues } = axisGeometry(asked);
  const found: number[][] = [];
  residues.forEach(({ taps, firstTap, firstInput, positions }, r) => {
    for (let m = 0; m < positions; m++) {
      for (let j = 0; j < taps; j++) {
        const i = m + firstInput - j * inputStep;
        if (i >= 0 && i < asked.input) found.push([stride * m + r, firstTap + tapStep * j, i]);
      }
    }
  });
  return ordered(found);
}

const ordered = (rows: number[][]): number[][] => rows.sort(([a = 0, b = 0], [c = 0, d = 0]) => a - c || b - d);
const sum = (numbers: number[]): number => numbers.reduce((total, value) => total + value, 0);

test('the residues name each output with its taps and inputs, once', () => {
  const property = fc.property(axes, (axis) => {
    expect(meetingsOfResidues(axis)).toEqual(meetings(axis));
  });
  fc.assert(property, { numRuns: 5000 });
});

test('the residues are whole numbers, of taps that there are, and their positions partition the outputs', () => {
  const property = fc.property(axes, (asked) => {
    const axis = axisGeometry(asked);
    expect(axis.stride).toBe(axis.residues.length);
    expect(sum(axis.residues.map(({ positions }) => positions))).toBe(asked.output);
    for (const { taps, firstTap, firstInput } of axis.residues) {
      expect(Number.isSafeInteger(firstInput)).toBe(true);
      if (taps > 0) expect(firstTap + axis.tapStep * (taps - 1)).toBeLessThan(asked.kernel);
      if (asked.input === 1) expect(taps).toBeLessThanOrEqual(1);
    }
  });
  fc.assert(property, { numRuns: 2000 });
});

test('each tap of a residue reaches a real input', () => {
  const property = fc.property(axes, (asked) => {
    const { input, inputStep, residues } = axisGeometry(asked);
    for (const { taps, firstInput, positions } of residues) {
      for (let j = 0; j < taps; j++) {
        const first = firstInput - j * inputStep;
        expect(Math.min(first + positions, input)).toBeGreaterThan(Math.max(first, 0));
      }
    }
  });
  fc.assert(property, { numRuns: 5000 });
});

test('taps are useful where they meet a real input', () => {
  const property = fc.property(axes, (axis) => {
    expect(usefulTaps(axisGeometry(axis))).toBe(meetings(axis).length);
  });
  fc.assert(property, { numRuns: 2000 });
});

test('the phases that a plan prints partition outputs and taps', () => {
  const property = fc.property(axes, (axis) => {
    const { kernel, stride, dilation, padding, output } = axis;
    const members = (count: number, phaseOf: (index: number) => number): Map<number, number> => {
      const counts = new Map<number, number>();
      for (let index = 0; index < count; index++) {
        const phase = ((phaseOf(index) % stride) + stride) % stride;
        counts.set(phase, (counts.get(phase) ?? 0) + 1);
      }
      return counts;
    };
    const [positions, taps] = [members(output, (o) => o + padding), members(kernel, (k) => k * dilation)];
    const expected = [...new Set([...positions.keys(), ...taps.keys()])]
      .sort((a, b) => a - b)
      .map((phase) => ({ phase, taps: taps.get(phase) ?? 0, positions: positions.get(phase) ?? 0 }));
    expect(axisPhases(axis)).toEqual(expected);
  });
  fc.assert(property, { numRuns: 2000 });
});

describe('tables too long to be made', () => {
  const far = { input: 2, kernel: 1, stride: 2 ** 20, dilation: 1, padding: 0, output: 2 ** 20 + 1 };

  test('a stride of a million on more than a million outputs is refused, with the numbers', () => {
    expect(() => axisGeometry(far)).toThrow(ConvTranspose2dError);
    expect(() => axisGeometry(far)).toThrow(/1048576.*1048577.*524288/);
  });

  test('one input with taps a million apart is not', () => {
    const axis = axisGeometry({ ...far, input: 1, kernel: 2, stride: 1, dilation: 2 ** 20 });
    expect(axis.residues.length).toBeLessThanOrEqual(2 ** 19);
  });
});

/** One input under a kernel of up to thousands of rows. */
const longKernels = fc.record({
  input: fc.constant(1),
  kernel: fc.integer({ min: 1, max: 700 }),
  stride: fc.integer({ min: 1, max: 9 }),
  dilation: fc.constantFrom(1, 1, 2, 7, 250, 251, 502, 2500),
  output: fc.integer({ min: 1, max: 3000 }),
  padding: fc.integer({ min: -300, max: 3000 }),
});

test('one input, however long its kernel: so few residues that those of two axes make a plan', () => {
  const property = fc.property(longKernels, (axis) => {
    expect(axisGeometry(axis).residues.length).toBeLessThan(256);
    expect(meetingsOfResidues(axis)).toEqual(meetings(axis));
    expect(usefulTaps(axisGeometry(axis))).toBe(meetings(axis).length);
  });
  fc.assert(property, { numRuns: 300 });
});
