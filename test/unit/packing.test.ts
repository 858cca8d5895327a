// The packed weights: [group][kernel row][kernel column][input channel][output channel], the channels padded to whole fours.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { resolveOptions, weightShape, type Spec } from '../../src/options.ts';
import { packWeight, unpackWeight } from '../../src/packing.ts';
import { packedElements } from '../../src/plan.ts';

const specs = fc
  .record({
    groups: fc.constantFrom(1, 2, 3, 5),
    ins: fc.constantFrom(1, 2, 3, 4, 7),
    outs: fc.constantFrom(1, 2, 3, 4, 5, 8),
    kernel: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
    weightLayout: fc.constantFrom('IOHW', 'HWOI', 'OHWI'),
  })
  .map(({ groups, ins, outs, kernel, weightLayout }): Spec => {
    return resolveOptions(ins * groups, outs * groups, kernel, { groups, weightLayout }).spec;
  });

/** A weight tensor whose every number is its own index, from 1: zero is padding alone. */
const numbered = (spec: Spec): Float32Array =>
  Float32Array.from({ length: weightShape(spec).reduce((a, b) => a * b) }, (_, at) => at + 1);

test('every weight of every layout is where the equation reads it, zeros beside', () => {
  const property = fc.property(specs, (spec) => {
    const shape = weightShape(spec);
    const weight = numbered(spec);
    const packed = packWeight(spec, weight);
    expect(packed.length).toBe(packedElements(spec));
    const [ins, outs] = [spec.inChannels / spec.groups, spec.outChannels / spec.groups];
    const padded = 4 * Math.ceil(outs / 4);
    const rows = 4 * Math.ceil(ins / 4);
    const [kh, kw] = spec.kernelSize;
    packed.forEach((value, at) => {
      const [c, q] = [at % padded, Math.floor(at / padded) % rows];
      const tap = Math.floor(at / padded / rows) % (kh * kw);
      const group = Math.floor(at / padded / rows / (kh * kw));
      const place = { I: group * ins + q, O: c, H: Math.floor(tap / kw), W: tap % kw };
      const index = Array.from(spec.weightLayout).reduce(
        (sum, axis, dimension) => sum * shape[dimension]! + place[axis as keyof typeof place],
        0,
      );
      expect(value).toBe(c < outs && q < ins && group < spec.groups ? weight[index] : 0);
    });
  });
  fc.assert(property);
});

test('unpacking undoes packing', () => {
  const property = fc.property(specs, (spec) => {
    const weight = numbered(spec);
    expect(unpackWeight(spec, packWeight(spec, weight))).toEqual(weight);
  });
  fc.assert(property);
});
