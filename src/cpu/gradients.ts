/** The gradients on the CPU: each a transposed convolution on the layer's own engines. */
import type { GradientPlan, Gradients, Operands, Pick } from '../gradient-plan.ts';
import { weightShape } from '../layouts.ts';
import type { Size, Spec } from '../options.ts';
import type { LayerPlan } from '../plan.ts';
import { elementCount, zeros } from '../tensors.ts';
import type { CpuLayer } from './layer.ts';
import { inSlices } from './slices.ts';

/** Elements to pick before yielding to the event loop, about. */
const STEP = 2 ** 17;
/** Elements of the operand of one product of the weight's gradient. */
const PRODUCT = 2 ** 19;

/** Makes a layer, and plans its calls with inputs of a shape. */
export type MakeLayer = (spec: Spec, inputShape: readonly number[]) => { layer: CpuLayer; layerPlan: LayerPlan };

/** Computes the gradients of float32 operands. @throws ConvTranspose2dError OUT_OF_MEMORY; the signal's reason */
export async function cpuGradients(
  spec: Spec,
  plan: GradientPlan,
  output: Size,
  makeLayer: MakeLayer,
  operands: Operands<Float32Array>,
  stop: AbortSignal,
): Promise<Gradients<Float32Array>> {
  const gradOutput = await masked(operands, stop);
  return {
    gradInput: await inputGradient(plan, makeLayer, gradOutput, operands.weight, stop),
    gradWeight: await weightGradient(spec, plan, makeLayer, gradOutput, operands.input, stop),
    gradBias: await biasGradient(spec, plan, output, gradOutput, stop),
  };
}

/** The output's gradient where a ReLU let it through. */
async function masked({ gradOutput, mask }: Operands<Float32Array>, stop: AbortSignal): Promise<Float32Array> {
  if (mask === undefined) return gradOutput;
  const result = zeros(gradOutput.length);
  await inSlices(
    (function* () {
      for (let from = 0; from < result.length; from += STEP) {
        const end = Math.min(from + STEP, result.length);
        for (let i = from; i < end; i++) result[i] = mask[i]! <= 0 ? 0 : gradOutput[i]!;
        yield;
      }
    })(),
    stop,
  );
  return result;
}

async function inputGradient(
  plan: GradientPlan,
  makeLayer: MakeLayer,
  gradOutput: Float32Array,
  weight: Float32Array,
  stop: AbortSignal,
): Promise<Float32Array> {
  const { spec, wideShape } = plan;
  const shape = weightShape(spec);
  const wide = zeros(elementCount(wideShape));
  const turned = zeros(elementCount(shape));
  await inSlices(picking(plan.wide, gradOutput, wide, spec.layout === 'NHWC'), stop);
  await inSlices(picking(plan.weight, weight, turned, false), stop);
  const { layer, layerPlan } = makeLayer(spec, wideShape);
  try {
    layer.loadHost({ weight: { shape, data: turned } });
    const { data } = await layer.forward(layerPlan, { shape: wideShape, data: wide }, undefined, stop);
    return data as Float32Array;
  } finally {
    layer.destroy();
  }
}

/** Picks elements; `channelsLast`: [n][u][v][g][κ][c], for one inner channel. */
function* picking(pick: Pick, source: Float32Array, result: Float32Array, channelsLast: boolean): Generator<void> {
  const { batch, groups, classes, channels, inner, places } = pick;
  const [height, width] = pick.extent;
  const [stepBatch, stepGroup, stepChannel, stepInner, stepRow, stepColumn] = pick.strides;
  const columns = classes[0] * height;
  const all = groups * classes[0] * classes[1] * channels;
  let [plane, since] = [0, 0];
  for (let n = 0; n < batch; n++) {
    for (let rest = 0; rest < all; rest++) {
      const c = rest % channels;
      const tapClass = Math.floor(rest / channels) % (classes[0] * classes[1]);
      const g = Math.floor(rest / channels / classes[0] / classes[1]);
      const [ky, kx] = [Math.floor(tapClass / classes[1]), tapClass % classes[1]];
      for (let e = 0; e < inner; e++, plane++) {
        const first = n * stepBatch + g * stepGroup + c * stepChannel + e * stepInner;
        const base = channelsLast ? n * all * height * width + rest : plane * height * width;
        const step = channelsLast ? all : 1;
        for (let u = 0; u < height; u++) {
          const row = places[ky * height + u]!;
          if (row < 0) continue;
          let at = base + u * width * step;
          for (let v = 0; v < width; v++, at += step) {
            const column = places[columns + kx * width + v]!;
            if (column >= 0) result[at] = source[first + row * stepRow + column * stepColumn]!;
          }
          since += width;
          if (since < STEP) continue;
          since = 0;
          yield;
        }
      }
    }
  }
}

/**
 * A matrix product for each group: [input channel][position] × [position][tap, output channel], over all inputs of the batch,
 * some positions after the other. As a transposed convolution: positions are input channels, and the kernel is 1×1.
 */
async function weightGradient(
  { inChannels, outChannels, groups, kernelSize }: Spec,
  plan: GradientPlan,
  makeLayer: MakeLayer,
  gradOutput: Float32Array,
  input: Float32Array,
  stop: AbortSignal,
): Promise<Float32Array> {
  const [ins, outs] = [inChannels / groups, outChannels / groups];
  const [kh, kw] = kernelSize;
  const columns = kh * kw * outs;
  const { batch, extent } = plan.input;
  const total = batch * extent[0] * extent[1];
  const each = Math.max(1, Math.min(total, Math.floor(PRODUCT / (groups * columns))));
  const product: Spec = {
    ...plan.spec,
    ...{ inChannels: groups * each, outChannels: inChannels, kernelSize: [1, 1], padding: [0, 0, 0, 0] },
    ...{ dilation: [1, 1], layout: 'NCHW' },
  };
  const sums = new Float64Array(inChannels * columns);
  const left = new Float32Array(groups * each * ins);
  const right = new Float32Array(groups * each * columns);
  const shape = [1, groups * each, 1, columns];
  const { layer, layerPlan } = makeLayer(product, shape);
  try {
    for (let from = 0; from < total; from += each) {
      const count = Math.min(each, total - from);
      if (count < each) [left, right].forEach((operand) => operand.fill(0));
      await inSlices(gathering(plan, kernelSize, { from, count, each }, { gradOutput, input, left, right }), stop);
      layer.loadHost({ weight: { shape: [groups * each, ins, 1, 1], data: left } });
      const { data } = await layer.forward(layerPlan, { shape, data: right }, undefined, stop);
      for (let i = 0; i < sums.length; i++) sums[i]! += data[i]!;
    }
  } finally {
    layer.destroy();
  }
  const result = new Float32Array(sums.length);
  const [stepRow, stepColumn, stepGroup, stepIn, stepOut] = plan.weightSteps;
  for (let at = 0, channel = 0; channel < inChannels; channel++) {
    const base = Math.floor(channel / ins) * stepGroup + (channel % ins) * stepIn;
    for (let ky = 0; ky < kh; ky++) {
      for (let kx = 0; kx < kw; kx++) {
        for (let c = 0; c < outs; c++) result[base + ky * stepRow + kx * stepColumn + c * stepOut] = sums[at++]!;
      }
    }
  }
  return result;
}

/** Both operands of a product: `count` positions from `from` on, of `each` that there is room for. */
function* gathering(
  { rows, columns, wide, input: pick }: GradientPlan,
  [kh, kw]: Size,
  { from, count, each }: { from: number; count: number; each: number },
  operands: Record<'gradOutput' | 'input' | 'left' | 'right', Float32Array>,
): Generator<void> {
  const { gradOutput, input, left, right } = operands;
  const { groups } = wide;
  const [height, width] = pick.extent;
  const [ins, outs] = [pick.channels, wide.channels];
  const [inBatch, inGroup, inChannel, , inRow, inColumn] = pick.strides;
  const [outBatch, outGroup, outChannel, , outRow, outColumn] = wide.strides;
  const firstColumn = rows.classes * rows.wide;
  let since = 0;
  for (let g = 0; g < groups; g++) {
    for (let p = 0; p < count; p++) {
      const x = (from + p) % width;
      const y = Math.floor((from + p) / width) % height;
      const n = Math.floor((from + p) / width / height);
      const source = n * inBatch + g * inGroup + y * inRow + x * inColumn;
      const q = g * each + p;
      for (let c = 0; c < ins; c++) left[q * ins + c] = input[source + c * inChannel]!;
      let at = q * kh * kw * outs;
      for (let ky = 0; ky < kh; ky++) {
        const down = Math.floor(ky / rows.tapStep) * rows.inputStep;
        const row = wide.places[(ky % rows.tapStep) * rows.wide + y + down]!;
        for (let kx = 0; kx < kw; kx++) {
          const across = Math.floor(kx / columns.tapStep) * columns.inputStep;
          const column = wide.places[firstColumn + (kx % columns.tapStep) * columns.wide + x + across]!;
          const real = row >= 0 && column >= 0;
          const first = n * outBatch + g * outGroup + row * outRow + column * outColumn;
          for (let c = 0; c < outs; c++) right[at++] = real ? gradOutput[first + c * outChannel]! : 0;
        }
      }
      since += kh * kw * outs;
      if (since < STEP) continue;
      since = 0;
      yield;
    }
  }
}

async function biasGradient(
  { outChannels, groups }: Spec,
  { wide }: GradientPlan,
  [height, width]: Size,
  gradOutput: Float32Array,
  stop: AbortSignal,
): Promise<Float32Array> {
  const sums = new Float64Array(outChannels);
  const outs = outChannels / groups;
  const [stepBatch, stepGroup, stepChannel, , stepRow, stepColumn] = wide.strides;
  await inSlices(
    (function* () {
      for (let n = 0; n < wide.batch; n++) {
        for (let channel = 0; channel < outChannels; channel++) {
          const base = n * stepBatch + Math.floor(channel / outs) * stepGroup + (channel % outs) * stepChannel;
          for (let y = 0; y < height; y++) {
            let at = base + y * stepRow;
            for (let x = 0; x < width; x++, at += stepColumn) sums[channel]! += gradOutput[at]!;
          }
          yield;
        }
      }
    })(),
    stop,
  );
  return Float32Array.from(sums);
}
