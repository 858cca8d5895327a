import { describe, expect, test } from 'vitest';
import { fromCaffe, fromKeras, fromMxnet, fromOnnx, fromTensorFlow, fromWebNN } from '../../src/frameworks/index.ts';
import { ConvTranspose2dError } from '../../src/errors.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { cases, hasRule, operandsOf, optionsByRule, resolvedOptions, type Case } from '../support/conformance.ts';
import { tensorOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

describe('the reference gives the numbers of the conformance cases', () => {
  test.each(cases.map((entry) => [`${entry.file}: ${entry.name}`, entry] as const))('%s', (_, entry) => {
    const { input, weight, bias } = operandsOf(entry);
    const resolved = convTranspose2dReference(input, weight, bias, resolvedOptions(entry));
    expect(resolved.shape).toEqual(entry.expected.shape);
    expectSourceNumbers(entry, resolved.data);
    if (!hasRule(entry)) return;
    const ruled = convTranspose2dReference(input, weight, bias, optionsByRule(entry));
    expect(ruled.shape).toEqual(resolved.shape);
    expect(ruled.data).toEqual(resolved.data);
  });

  function expectSourceNumbers(entry: Case, data: Float64Array): void {
    const { data: values, digest, shape } = entry.expected;
    const problem = { ...operandsOf(entry), options: resolvedOptions(entry) };
    if (values !== undefined) {
      const source = { values, tolerance: entry.tolerance };
      expect(mismatch(tensorOf(shape, data), problem, { lane: 'float', source })).toBeUndefined();
    }
    if (digest !== undefined) {
      for (const [at, value] of digest.samples) expect(data[at]).toBe(value);
      expect(data.reduce((sum, value) => sum + value, 0)).toBe(digest.sum);
      expect(data.reduce((sum, value) => sum + Math.abs(value), 0)).toBe(digest.sumAbs);
      expect(data.reduce((sum, value) => sum + value ** 2, 0)).toBe(digest.sumSq);
    }
  }
});

/** What an importer's call is refused with. */
function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(ConvTranspose2dError);
    const { code, message } = error as ConvTranspose2dError;
    expect(code).toBe('INVALID_ARGUMENT');
    return message;
  }
  return 'accepted';
}

const tensorFlow = {
  inputShape: [1, 3, 3, 2],
  filterShape: [3, 3, 4, 2],
  outputShape: [1, 6, 6, 4],
  strides: 2,
  padding: 'SAME',
} as const;
const keras = { inputShape: [1, 3, 3, 2], kernelShape: [3, 3, 4, 2], strides: 2, padding: 'same' } as const;
const onnx = { inputShape: [1, 2, 3, 3], weightShape: [2, 4, 3, 3] } as const;
const webnn = { inputShape: [1, 2, 3, 3], filterShape: [2, 4, 3, 3] } as const;
const mxnet = { inputShape: [1, 2, 3, 3], kernel: [3, 3], num_filter: 4 } as const;
const caffe = { num_output: 4, kernel_size: 3 } as const;

describe('an attribute in many spellings', () => {
  test('TensorFlow: strides of one, two and four numbers, in the order of the data', () => {
    const stride = (strides: number | number[], rest: object = {}): unknown =>
      fromTensorFlow({ ...tensorFlow, strides, ...rest }).stride;
    expect(stride(2)).toEqual([2, 2]);
    expect(stride([2])).toEqual([2, 2]);
    expect(stride([2, 2])).toEqual([2, 2]);
    expect(stride([1, 2, 2, 1])).toEqual([2, 2]);
    const planes = { dataFormat: 'NCHW', inputShape: [1, 2, 3, 3], outputShape: [1, 4, 6, 9] };
    expect(stride([1, 1, 2, 3], planes)).toEqual([2, 3]);
  });

  test('TensorFlow: the output as its height and width alone', () => {
    expect(fromTensorFlow({ ...tensorFlow, outputShape: [6, 5] }).padding).toEqual([0, 1, 1, 1]);
  });

  test('ONNX: an output_shape with batch and channels, or with an axis left open', () => {
    const padding = (output_shape: number[]): unknown => fromOnnx({ ...onnx, strides: [2, 2], output_shape }).padding;
    expect(padding([6, 7])).toEqual([1, 0, 0, 0]);
    expect(padding([1, 4, 6, 7])).toEqual([1, 0, 0, 0]);
    expect(padding([6, -1])).toEqual([1, 0, 0, 0]);
  });

  test('Caffe: one number, a list of one, a list of two, one field an axis', () => {
    expect(fromCaffe({ ...caffe, stride: 2 }).stride).toEqual([2, 2]);
    expect(fromCaffe({ ...caffe, stride: [2] }).stride).toEqual([2, 2]);
    expect(fromCaffe({ ...caffe, stride: [2, 3] }).stride).toEqual([2, 3]);
    expect(fromCaffe({ ...caffe, stride_h: 2, stride_w: 3 }).stride).toEqual([2, 3]);
    expect(fromCaffe({ ...caffe, pad_w: 1 }).padding).toEqual([0, 1]);
  });

  test('attributes that are left out are as undefined', () => {
    expect(fromOnnx({ ...onnx, pads: undefined, group: undefined })).toEqual(fromOnnx(onnx));
    expect(fromKeras({ ...keras, outputPadding: undefined })).toEqual(fromKeras({ ...keras, outputPadding: null }));
    expect(fromMxnet({ ...mxnet, target_shape: [0, 0] })).toEqual(fromMxnet(mxnet));
  });

  test('and so are empty lists, where the framework or its files have them so', () => {
    const [stride, pad] = [[], []];
    expect(fromMxnet({ ...mxnet, stride, dilate: [], pad, adj: [], target_shape: [] })).toEqual(fromMxnet(mxnet));
    expect(fromOnnx({ ...onnx, strides: [], dilations: [], output_padding: [], output_shape: [], pads: [] })).toEqual(
      fromOnnx(onnx),
    );
    expect(fromOnnx({ ...onnx, auto_pad: 'VALID', pads: [] })).toEqual(fromOnnx({ ...onnx, auto_pad: 'VALID' }));
    expect(fromCaffe({ ...caffe, stride, pad, dilation: [] })).toEqual(fromCaffe(caffe));
    const byAxis = { num_output: 4, kernel_h: 3, kernel_w: 3, stride_h: 2, stride_w: 1 };
    expect(fromCaffe({ ...byAxis, kernel_size: [], stride })).toEqual(fromCaffe(byAxis));
    expect(refusal(() => fromCaffe({ num_output: 4, kernel_size: [] }))).toContain('kernel_size is ');
    expect(refusal(() => fromOnnx({ ...onnx, kernel_shape: [] }))).toContain('kernel_shape is []');
    expect(refusal(() => fromWebNN({ ...webnn, strides: [] }))).toContain('strides is []');
  });
});

describe('refused, by name', () => {
  const importers = [
    ['fromTensorFlow', (more: object) => fromTensorFlow({ ...tensorFlow, ...more })],
    ['fromKeras', (more: object) => fromKeras({ ...keras, ...more })],
    ['fromOnnx', (more: object) => fromOnnx({ ...onnx, ...more })],
    ['fromWebNN', (more: object) => fromWebNN({ ...webnn, ...more })],
    ['fromMxnet', (more: object) => fromMxnet({ ...mxnet, ...more })],
    ['fromCaffe', (more: object) => fromCaffe({ ...caffe, ...more })],
  ] as const;

  test.each(importers)('%s: an unknown attribute', (_, importer) => {
    expect(refusal(() => importer({ dilatoin: 2 }))).toMatch(/^dilatoin is 2; known \w+ attributes are .*,/);
  });

  test.each([
    ['fromTensorFlow', fromTensorFlow],
    ['fromKeras', fromKeras],
    ['fromOnnx', fromOnnx],
    ['fromWebNN', fromWebNN],
    ['fromMxnet', fromMxnet],
    ['fromCaffe', fromCaffe],
  ] as const)('%s: no attributes at all', (_, importer) => {
    const call = importer as (attributes?: unknown) => unknown;
    for (const nothing of [undefined, null, 3, 'same', []])
      expect(refusal(() => call(nothing))).toContain('attributes is');
    expect(refusal(() => call({}))).toMatch(/^(inputShape|num_output) is undefined/);
  });

  const wrong: [string, (more: object) => unknown, object][] = [
    ...['strides', 'dilations'].flatMap((name) => wrongNumbers(name, importers[0][1])),
    ...['strides', 'dilationRate'].flatMap((name) => wrongNumbers(name, importers[1][1])),
    ...['strides', 'dilations'].flatMap((name) => wrongLists(name, importers[2][1])),
    ...['strides', 'dilations'].flatMap((name) => wrongLists(name, importers[3][1])),
    ...['stride', 'dilate', 'kernel'].flatMap((name) => wrongLists(name, importers[4][1])),
    ...['stride', 'dilation', 'kernel_size', 'group', 'num_output'].flatMap((name) =>
      wrongNumbers(name, importers[5][1]),
    ),
    ...['group'].flatMap((name) => wrongNumbers(name, importers[2][1])),
    ...['groups'].flatMap((name) => wrongNumbers(name, importers[3][1])),
    ...['num_group', 'num_filter'].flatMap((name) => wrongNumbers(name, importers[4][1])),
    ...['inputShape', 'filterShape'].flatMap((name) => wrongShapes(name, importers[0][1])),
    ...['inputShape', 'kernelShape'].flatMap((name) => wrongShapes(name, importers[1][1])),
    ...['inputShape', 'weightShape'].flatMap((name) => wrongShapes(name, importers[2][1])),
    ...['inputShape', 'filterShape'].flatMap((name) => wrongShapes(name, importers[3][1])),
    ...['inputShape'].flatMap((name) => wrongShapes(name, importers[4][1])),
    ['padding', importers[0][1], { padding: 'same' }],
    [
      'padding',
      importers[0][1],
      {
        padding: [
          [0, 0],
          [0, -1],
          [0, 0],
          [0, 0],
        ],
      },
    ],
    [
      'padding',
      importers[0][1],
      {
        padding: [
          [0, 0],
          [0, 0],
          [0, 0],
          [1, 0],
        ],
      },
    ],
    ['padding', importers[0][1], { padding: [1, 1] }],
    ['strides', importers[0][1], { strides: [2, 2, 2, 1] }],
    ['dilations', importers[0][1], { dilations: 2 }],
    ['outputShape', importers[0][1], { outputShape: [1, 7, 6, 4] }],
    ['outputShape', importers[0][1], { outputShape: [2, 6, 6, 4] }],
    ['outputShape', importers[0][1], { outputShape: [1, 6, 6, 3] }],
    ['filterShape', importers[0][1], { filterShape: [3, 3, 4, 3] }],
    ['dataFormat', importers[0][1], { dataFormat: 'nhwc' }],
    ['padding', importers[1][1], { padding: 'full' }],
    ['padding', importers[1][1], { padding: undefined }],
    ['outputPadding', importers[1][1], { outputPadding: 2 }],
    ['outputPadding', importers[1][1], { outputPadding: -1 }],
    ['dilationRate', importers[1][1], { dilationRate: [1, 2] }],
    ['kernelShape', importers[1][1], { kernelShape: [3, 3, 2, 4] }],
    ['auto_pad', importers[2][1], { auto_pad: 'SAME' }],
    ['pads', importers[2][1], { auto_pad: 'VALID', pads: [0, 0, 0, 0] }],
    ['pads', importers[2][1], { pads: [0, 0] }],
    ['pads', importers[2][1], { pads: [3, 0, 3, 0] }],
    ['output_padding', importers[2][1], { output_padding: [1, 0] }],
    ['output_shape', importers[2][1], { output_shape: [6, 5] }],
    ['output_shape', importers[2][1], { output_shape: [0, 5] }],
    ['kernel_shape', importers[2][1], { kernel_shape: [3, 2] }],
    ['padding', importers[3][1], { padding: [3, 3, 0, 0] }],
    ['padding', importers[3][1], { padding: [-1, 0, 0, 0] }],
    ['outputPadding', importers[3][1], { outputPadding: [1, 0] }],
    ['outputSizes', importers[3][1], { outputSizes: [5, 6] }],
    ['outputSizes', importers[3][1], { outputSizes: [4, 5] }],
    ['inputLayout', importers[3][1], { inputLayout: 'NCHW' }],
    ['filterLayout', importers[3][1], { filterLayout: 'oihw' }],
    ['groups', importers[3][1], { groups: 3 }],
    ['dilations', importers[3][1], { dilations: [2 ** 31 - 1, 1], filterShape: [2, 4, 4, 3] }],
    ['adj', importers[4][1], { adj: [1, 0] }],
    ['pad', importers[4][1], { pad: [-1, 0] }],
    ['pad', importers[4][1], { pad: [3, 0] }],
    ['target_shape', importers[4][1], { target_shape: [6, 5] }],
    ['target_shape', importers[4][1], { target_shape: [4, 5] }],
    ['target_shape', importers[4][1], { target_shape: [5, 0] }],
    ['num_filter', importers[4][1], { num_filter: 3, num_group: 2 }],
    ['num_group', importers[4][1], { num_filter: 3, num_group: 3 }],
    ['kernel_size', importers[5][1], { kernel_h: 3, kernel_w: 3 }],
    ['kernel_w', importers[5][1], { kernel_size: undefined, kernel_h: 3 }],
    ['kernel_size', importers[5][1], { kernel_size: undefined }],
    ['stride', importers[5][1], { stride: 2, stride_h: 2 }],
    ['stride_w', importers[5][1], { stride_h: 2 }],
    ['pad', importers[5][1], { pad: 1, pad_w: 1 }],
    ['num_output', importers[5][1], { group: 3 }],
  ];

  test.each(wrong.map(([name, call, more]) => [JSON.stringify(more), name, call, more] as const))(
    '%s',
    (_, name, call, more) => {
      expect(refusal(() => call(more))).toMatch(new RegExp(`^${name} is `));
    },
  );
});

type Wrong = [string, (more: object) => unknown, object];

function wrongNumbers(name: string, call: (more: object) => unknown): Wrong[] {
  return [0, -1, 1.5, NaN, 'two', null, 2 ** 31].map((value) => [name, call, { [name]: value }]);
}

function wrongLists(name: string, call: (more: object) => unknown): Wrong[] {
  return [2, [2], [1, 1, 1], [0, 1], [1, -1], [1, 1.5], [NaN, 1], ['1', 1], null, [1, 2 ** 31]].map((value) => [
    name,
    call,
    { [name]: value },
  ]);
}

function wrongShapes(name: string, call: (more: object) => unknown): Wrong[] {
  return [4, [2, 3, 3], [1, 2, 3, 3, 3], [1, 2, 0, 3], [1, 2, 3, -1], [1, 2, 3, 1.5], 'big', null].map((value) => [
    name,
    call,
    { [name]: value },
  ]);
}
