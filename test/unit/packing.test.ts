// Packed inputs, and the packed weights: [group][kernel row][kernel column][input channel][output channel], the channels padded to whole fours.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { weightShape } from '../../src/layouts.ts';
import { resolveOptions, type Spec } from '../../src/options.ts';
import { packedElements, packInput, packWeight, unpackWeight } from '../../src/packing.ts';
import { planLayer } from '../../src/plan.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';

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

test('every input of either layout is in the texel where the kernel reads it, zeros beside and behind', () => {
  const extent = fc.integer({ min: 1, max: 5 });
  const property = fc.property(
    fc.record({ batch: extent, groups: extent, ins: fc.integer({ min: 1, max: 9 }), height: extent, width: extent }),
    fc.constantFrom('NCHW', 'NHWC'),
    ({ batch, groups, ins, height, width }, layout) => {
      const channels = groups * ins;
      const { spec } = resolveOptions(channels, groups, 1, { groups, layout });
      const shape = layout === 'NCHW' ? [batch, channels, height, width] : [batch, height, width, channels];
      const [part] = planLayer(spec, shape, undefined, capabilitiesOf(undefined, '')).parts;
      const input = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, at) => at + 1);
      const quads = Math.ceil(ins / 4);
      const count = batch * groups * quads * height * width + 1;
      const texels = packInput(part!.problem, count, input);
      expect(texels.length / 4).toBe(count <= 4096 ? count : 4096 * Math.ceil(count / 4096));
      texels.forEach((value, at) => {
        const [texel, lane] = [Math.floor(at / 4), at % 4];
        const [x, y] = [texel % width, Math.floor(texel / width) % height];
        const image = Math.floor(texel / width / height);
        const q = 4 * (image % quads) + lane;
        const n = Math.floor(image / quads / groups);
        const channel = (Math.floor(image / quads) % groups) * ins + q;
        const place = layout === 'NCHW' ? [n, channel, y, x] : [n, y, x, channel];
        const index = place.reduce((sum, step, dimension) => sum * shape[dimension]! + step, 0);
        expect(value).toBe(n < batch && q < ins ? input[index] : 0);
      });
    },
  );
  fc.assert(property);
});
