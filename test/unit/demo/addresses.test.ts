// A link to a state of a view shows that state again, and nonsense in a link shows the default.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as diagnose from '../../../demo/src/diagnose/state.ts';
import { BEGINNINGS } from '../../../demo/src/diagnose/weights.ts';
import { LIBRARIES } from '../../../demo/src/explore/code.ts';
import { EXAMPLES } from '../../../demo/src/explore/examples.ts';
import { BOUNDS, PARAMETERS, settle, type Layer } from '../../../demo/src/explore/layer.ts';
import { fill, FILLINGS } from '../../../demo/src/explore/numbers.ts';
import * as explore from '../../../demo/src/explore/state.ts';
import { stepCount, WAYS } from '../../../demo/src/explore/steps.ts';
import { readPair, writePair } from '../../../demo/src/pair-controls.ts';

const pair = ([min, max]: readonly [number, number]): fc.Arbitrary<readonly [number, number]> =>
  fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));

const address = (params: Record<string, string | null>): URLSearchParams =>
  new URLSearchParams(Object.entries(params).filter((entry): entry is [string, string] => entry[1] !== null));

const NONE = { input: [], kernel: [] };

describe('Explore', () => {
  const layers: fc.Arbitrary<Layer> = fc
    .record({
      input: pair(BOUNDS.input),
      kernel: pair(BOUNDS.kernel),
      stride: pair(BOUNDS.stride),
      padding: pair(BOUNDS.padding),
      outputPadding: pair(BOUNDS.outputPadding),
      dilation: pair(BOUNDS.dilation),
    })
    .map((layer) => settle(layer).layer);

  test('a link shows the same again', () => {
    fc.assert(
      fc.property(
        layers,
        fc.constantFrom(...FILLINGS),
        fc.constantFrom(...WAYS),
        fc.constantFrom(...LIBRARIES),
        fc.nat(),
        (layer, filling, way, library, at) => {
          const state = explore.atStep(
            explore.start(layer, { filling, own: filling === 'own' ? fill(layer, 'mixed') : NONE, way, library }),
            at % stepCount(way, layer),
          );
          expect(explore.readState(address(explore.writeState(state)))).toEqual(state);
        },
      ),
    );
  });

  test('the first state needs no parameters, and nonsense gives it', () => {
    const first = explore.readState(new URLSearchParams());
    expect(Object.values(explore.writeState(first)).filter((value) => value !== null)).toEqual([]);
    const nonsense = new URLSearchParams(
      'input=99&kernel=x&stride=0&padding=-1&way=none&step=1e9&output=77x77&library=2',
    );
    expect(explore.readState(nonsense)).toEqual(first);
  });

  test('the examples can be shown as they are', () => {
    for (const { layer } of EXAMPLES) expect(settle(layer)).toEqual({ layer, changes: [] });
    expect(PARAMETERS.every((name) => explore.DEFAULT_LAYER[name][0] >= BOUNDS[name][0])).toBe(true);
  });
});

test('Diagnose: a link shows the same again', () => {
  fc.assert(
    fc.property(
      pair(diagnose.BOUNDS.kernel),
      pair(diagnose.BOUNDS.stride),
      pair(diagnose.BOUNDS.dilation),
      fc.constantFrom(...BEGINNINGS),
      fc.integer({ min: 1, max: 9999 }),
      (kernel, stride, dilation, beginning, seed) => {
        const state: diagnose.State = { pattern: { kernel, stride, dilation }, beginning, seed };
        expect(diagnose.readState(address(diagnose.writeState(state)))).toEqual(state);
      },
    ),
  );
});

test.each([
  ['3', [3, 3]],
  ['3x5', [3, 5]],
  ['0x5', [1, 2]],
  ['3x', [1, 2]],
  ['3x5x2', [1, 2]],
  ['03.5', [1, 2]],
  ['', [1, 2]],
])('a pair written %s', (given, expected) => {
  expect(readPair(new URLSearchParams({ a: given }), 'a', [1, 9], [1, 2])).toEqual(expected);
});

test('a default pair is not written', () => {
  expect(writePair([1, 2], [1, 2])).toBeNull();
  expect(writePair([2, 2], [1, 2])).toBe('2');
  expect(writePair([2, 1], [1, 2])).toBe('2x1');
});
