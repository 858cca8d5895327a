// What the demo's Explore view tells, against the reference: each way to see the sum must end in the same numbers.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { outputShape } from 'webgpu-conv-transpose2d';
import { fromOnnx, fromTensorFlow } from 'webgpu-conv-transpose2d/frameworks';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { codeFor, cropsFor } from '../../../demo/src/explore/code.ts';
import {
  AXES,
  axisOf,
  BOUNDS,
  fullSize,
  outputSize,
  PARAMETERS,
  settle,
  sizeFormula,
  type Layer,
  type Size,
} from '../../../demo/src/explore/layer.ts';
import { addInPlace, layerMatrix, productColumns, transpose } from '../../../demo/src/explore/matrix.ts';
import { fill, FILLINGS, parseNumbers } from '../../../demo/src/explore/numbers.ts';
import { stepAt, stepCount, stepOfInput, stepOfOutput, WAYS } from '../../../demo/src/explore/steps.ts';
import { gather, outputs, phaseOf, spread } from '../../../demo/src/explore/sums.ts';
import { insertAndPad, insertZeros, turned } from '../../../demo/src/explore/zero-insertion.ts';

const pair = ([least, most]: readonly [number, number], beyond = 0): fc.Arbitrary<Size> =>
  fc.tuple(
    fc.integer({ min: least - beyond, max: most + beyond }),
    fc.integer({ min: least - beyond, max: most + beyond }),
  );

const asked = (beyond: number): fc.Arbitrary<Layer> =>
  fc.record(Object.fromEntries(PARAMETERS.map((name) => [name, pair(BOUNDS[name], beyond)])));

/** Every layer that can be shown. */
const layers = asked(0).map((layer) => settle(layer).layer);
const OWN = { input: [3, -1, 4, 0, -5, 9, 2, -6], kernel: [-5, 3, 5, 8, 0, -9, 7] };
const fillings = fc.constantFrom(...FILLINGS);

const options = ({
  stride,
  padding,
  outputPadding,
  dilation,
}: Layer): Pick<Layer, 'stride' | 'padding' | 'outputPadding' | 'dilation'> => ({
  stride,
  padding,
  outputPadding,
  dilation,
});

function reference(layer: Layer, numbers: ReturnType<typeof fill>, given: object = options(layer)): number[] {
  const input = { shape: [1, ...layer.input], data: numbers.input };
  const weight = { shape: [1, 1, ...layer.kernel], data: numbers.kernel };
  return [...convTranspose2dReference(input, weight, null, given).data];
}

const check = (law: (layer: Layer, numbers: ReturnType<typeof fill>) => void): void => {
  fc.assert(
    fc.property(layers, fillings, (layer, filling) => {
      law(layer, fill(layer, filling, OWN));
    }),
    { numRuns: 300 },
  );
};

describe('a layer', () => {
  test('is settled within what can be shown, and says what it changed', () => {
    fc.assert(
      fc.property(asked(3), (layer) => {
        const settled = settle(layer);
        for (const name of PARAMETERS) {
          for (const axis of AXES) {
            expect(settled.layer[name][axis]).toBeGreaterThanOrEqual(BOUNDS[name][0]);
            expect(settled.layer[name][axis]).toBeLessThanOrEqual(BOUNDS[name][1]);
          }
        }
        expect(Math.min(...outputSize(settled.layer))).toBeGreaterThan(0);
        expect(settle(settled.layer)).toEqual({ layer: settled.layer, changes: [] });
      }),
    );
  });

  test('has the output size of the package, and the formula says it', () => {
    check((layer) => {
      const [, height, width] = outputShape([1, ...layer.input], [1, 1, ...layer.kernel], options(layer));
      expect(outputSize(layer)).toEqual([height, width]);
      for (const axis of AXES) {
        const [left = '', right] = sizeFormula(axisOf(layer, axis)).split(' = ');
        expect(right).toBe(String([height, width][axis]));
        expect(evaluate(left)).toBe([height, width][axis]);
      }
    });
  });
});

/** The value of a formula of whole numbers, +, −, · and parentheses. */
function evaluate(formula: string): number {
  const tokens = formula.match(/\d+|[−+·()]/g) ?? [];
  const factor = (): number => {
    const token = tokens.shift();
    if (token !== '(') return Number(token);
    const value = sum();
    expect(tokens.shift()).toBe(')');
    return value;
  };
  const product = (): number => {
    let value = factor();
    while (tokens[0] === '·') {
      tokens.shift();
      value *= factor();
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (tokens[0] === '+' || tokens[0] === '−') value += (tokens.shift() === '+' ? 1 : -1) * product();
    return value;
  };
  return sum();
}

describe('every way ends in the numbers of the reference', () => {
  test('collecting: each output from its taps', () => {
    check((layer, numbers) => {
      expect(outputs(layer, numbers)).toEqual(reference(layer, numbers));
    });
  });

  test('spreading: the full result, cropped', () => {
    check((layer, numbers) => {
      const full = spread(layer, numbers, numbers.input.length);
      expect(full).toEqual(reference(layer, numbers, { stride: layer.stride, dilation: layer.dilation }));
      const [height, width] = outputSize(layer);
      const [fullHeight, fullWidth] = fullSize(layer);
      const cropped = Array.from({ length: height * width }, (_, at) => {
        const [y, x] = [Math.floor(at / width) + layer.padding[0], (at % width) + layer.padding[1]];
        return y < fullHeight && x < fullWidth ? full[y * fullWidth + x] : 0;
      });
      expect(cropped).toEqual(reference(layer, numbers));
    });
  });

  test('inserting zeros: a plain correlation with the turned kernel', () => {
    check((layer, numbers) => {
      const { size, values, kinds } = insertAndPad(layer, numbers);
      const kernel = turned(numbers.kernel);
      const [height, width] = outputSize(layer);
      const result = Array.from({ length: height * width }, (_, at) => {
        let sum = 0;
        for (const [tap, weight] of kernel.entries()) {
          const y = Math.floor(at / width) + Math.floor(tap / layer.kernel[1]) * layer.dilation[0];
          const x = (at % width) + (tap % layer.kernel[1]) * layer.dilation[1];
          sum += weight * values[y * size[1] + x]!;
        }
        return sum;
      });
      expect(result).toEqual(reference(layer, numbers));
      kinds.forEach((kind, at) => {
        if (kind !== 'input') expect(values[at]).toBe(0);
      });
      expect(insertZeros(layer, numbers).kinds.filter((kind) => kind === 'input')).toHaveLength(numbers.input.length);
    });
  });

  test('the matrix times the input; its transpose is the ordinary convolution', () => {
    check((layer, numbers) => {
      const matrix = layerMatrix(layer, numbers);
      const times = (m: { rows: number; columns: number; values: Float64Array }, vector: readonly number[]): number[] =>
        Array.from({ length: m.rows }, (_, row) =>
          vector.reduce((sum, value, column) => sum + value * m.values[row * m.columns + column]!, 0),
        );
      expect(times(matrix, numbers.input)).toEqual(reference(layer, numbers));
      // ⟨A x, y⟩ = ⟨x, Aᵀ y⟩
      const y = Array.from({ length: matrix.rows }, (_, at) => (at % 7) - 3);
      const dot = (a: readonly number[], b: readonly number[]): number =>
        a.reduce((sum, value, i) => sum + value * b[i]!, 0);
      expect(dot(times(matrix, numbers.input), y)).toBe(dot(numbers.input, times(transpose(matrix), y)));
      expect(transpose(transpose(matrix))).toEqual(matrix);
    });
  });

  test('GEMM and col2im: every product added where it lands', () => {
    check((layer, numbers) => {
      const [height, width] = outputSize(layer);
      const output = addInPlace(productColumns(layer, numbers), height * width);
      // −0 of the reference's products is 0 here.
      expect([...output].map((value) => value + 0)).toEqual(reference(layer, numbers).map((value) => value + 0));
    });
  });
});

test('outputs of one phase use the same taps', () => {
  check((layer, numbers) => {
    const [height, width] = outputSize(layer);
    const taps = new Map<string, string>();
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const used = JSON.stringify(gather(layer, numbers, [y, x]).terms.map(({ tap }) => tap));
        const phase = phaseOf(layer, [y, x]).join();
        expect(taps.get(phase) ?? used).toBe(used);
        taps.set(phase, used);
      }
    }
    expect(taps.size).toBeLessThanOrEqual(layer.stride[0] * layer.stride[1]);
  });
});

test('every output and every input has its step', () => {
  check((layer) => {
    for (const way of WAYS) {
      const steps = Array.from({ length: stepCount(way, layer) }, (_, index) => stepAt(way, layer, index));
      steps.forEach((step, index) => {
        if (step.kind === 'output') expect(stepOfOutput(way, layer, step.at)).toBe(index);
        if (step.kind === 'input') expect(stepOfInput(way, layer, step.at)).toBe(index);
      });
      const [height, width] = way === 'spread' ? layer.input : outputSize(layer);
      expect(steps.filter(({ kind }) => kind === 'output' || kind === 'input')).toHaveLength(height * width);
    }
  });
});

describe('the same in other libraries', () => {
  const NHWC = ([height, width]: Size): number[] => [1, height, width, 1];

  test('TensorFlow: what the line says gives this layer, and what is called impossible is refused', () => {
    check((layer, numbers) => {
      const code = codeFor('tensorflow', layer);
      const padding = code.text.includes('"VALID"')
        ? ('VALID' as const)
        : (JSON.parse(/padding=(\[\[.*?\]\])/.exec(code.text)?.[1] ?? '[[0,0],[0,0],[0,0],[0,0]]') as [
            number,
            number,
          ][]);
      const dilations = JSON.parse(/dilations=(\[.*?\])/.exec(code.text)?.[1] ?? '[1, 1]') as number[];
      const attributes = {
        inputShape: NHWC(layer.input),
        filterShape: [...layer.kernel, 1, 1],
        strides: JSON.parse(/strides=(\[.*?\])/.exec(code.text)?.[1] ?? '[1, 1]') as number[],
        outputShape: JSON.parse(/output_shape=(\[.*?\])/.exec(code.text)?.[1] ?? '[]') as number[],
        padding,
        dilations,
      };
      if (code.text !== '') {
        const { stride, padding, dilation } = fromTensorFlow(attributes);
        expect(reference(layer, numbers, { stride, padding, dilation })).toEqual(reference(layer, numbers));
        return;
      }
      const [p, q] = layer.padding;
      expect(() =>
        fromTensorFlow({
          ...attributes,
          strides: layer.stride,
          outputShape: NHWC(outputSize(layer)),
          padding: [
            [0, 0],
            [p, p],
            [q, q],
            [0, 0],
          ],
          dilations: layer.dilation,
        }),
      ).toThrow();
    });
  });

  test('ONNX: what the line says gives this layer, and what is called impossible is refused', () => {
    check((layer, numbers) => {
      const { text } = codeFor('onnx', layer);
      const read = (name: string): number[] | undefined => {
        const found = new RegExp(`\\b${name}=(\\[.*?\\])`).exec(text)?.[1];
        return found === undefined ? undefined : (JSON.parse(found) as number[]);
      };
      const shapes = { inputShape: [1, 1, ...layer.input], weightShape: [1, 1, ...layer.kernel] };
      if (text !== '') {
        const given = fromOnnx({
          ...shapes,
          strides: read('strides'),
          pads: read('pads'),
          output_padding: read('output_padding'),
          dilations: read('dilations'),
        });
        expect(reference(layer, numbers, given)).toEqual(reference(layer, numbers));
        return;
      }
      expect(cropsFor(layer)).toBeUndefined();
      expect(() =>
        fromOnnx({
          ...shapes,
          strides: layer.stride,
          pads: [...layer.padding, ...layer.padding],
          output_padding: layer.outputPadding,
          dilations: layer.dilation,
        }),
      ).toThrow();
    });
  });

  test('PyTorch and ours: only what is no default is said', () => {
    const layer: Layer = {
      input: [3, 4],
      kernel: [3, 3],
      stride: [2, 3],
      padding: [1, 1],
      outputPadding: [0, 0],
      dilation: [1, 1],
    };
    expect(codeFor('pytorch', layer).text).toBe(
      'output = torch.nn.functional.conv_transpose2d(\n  input, weight, stride=(2, 3), padding=1)',
    );
    expect(codeFor('ours', layer).text).toBe(
      'const output = await convTranspose2d(input, weight, null, {\n  stride: [2, 3], padding: 1,\n});',
    );
    expect(codeFor('ours', { ...layer, stride: [1, 1], padding: [0, 0] }).text).toBe(
      'const output = await convTranspose2d(input, weight);',
    );
  });
});

test.each([
  ['1 2 3', [1, 2, 3]],
  [' 1, −2;3\n4 ', [1, -2, 3, 4]],
  ['1_-2_3', [1, -2, 3]],
  ['1.6 200 -300 - . 1-2', [2, 99, -99, 0, 0, 0]],
  ['none', []],
  ['', []],
])('own numbers written %j', (text, expected) => {
  expect(parseNumbers(text)).toEqual(expected);
});
