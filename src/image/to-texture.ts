import { invalid } from '../invalid.ts';
import { optionsOf } from '../options.ts';
import type { GpuTensor } from '../types.ts';
import { bindingOf, checkDevice, checkEncoder, checkGpuTensor } from '../webgpu/buffers.ts';
import { checkBinds, checkTexture, inSegment, paramsBuffer, record, toTexturePipeline } from './gpu.ts';
import { choice, pixelOptionNames, pixelsOf, type PixelOptions, type Pixels } from './options.ts';

/** How a tensor becomes a texture. */
export interface TensorToTextureOptions extends PixelOptions {
  /** Which picture of the batch. Default 0. */
  index?: number | undefined;
  /** Of four channels: whether colours are multiplied by alpha. Default false. */
  premultipliedAlpha?: boolean | undefined;
  /** Recorded into, and left for the caller to submit. Left out: submitted at once. */
  encoder?: GPUCommandEncoder | undefined;
}

/** The names of `TensorToTextureOptions`. */
export const toTextureOptionNames: readonly string[] = [
  ...pixelOptionNames,
  ...(['index', 'premultipliedAlpha', 'encoder'] satisfies (keyof TensorToTextureOptions)[]),
];

/** What is checked before anything is touched: the encoder, the tensor, and which of its pixels are drawn. */
export function checkedPicture(
  device: GPUDevice,
  tensor: GpuTensor,
  options: TensorToTextureOptions,
): [tensor: Required<GpuTensor>, pixels: Pixels] {
  if (options.encoder !== undefined) checkEncoder(options.encoder);
  const checked = checkGpuTensor(device, 'tensor', tensor, undefined, undefined);
  checkBinds(device, checked.shape, checked.dtype);
  return [checked, pixelsOf(checked.shape, options.index ?? 0, options)];
}

/**
 * Draws a tensor of shape (N, C, H, W) or (N, H, W, C), or without N, over a texture of its size: C = 1 as grey, 3 as RGB,
 * 4 as RGBA. Values beyond 0 to 1 are clamped.
 * @param texture of a format that floats are rendered to; its usage includes RENDER_ATTACHMENT
 * @throws ConvTranspose2dError INVALID_ARGUMENT; UNSUPPORTED beyond the device's limit on bindings
 */
export function tensorToTexture(
  device: GPUDevice,
  tensor: GpuTensor,
  texture: GPUTexture,
  options: TensorToTextureOptions = {},
): void {
  checkDevice(device);
  optionsOf(options, toTextureOptionNames);
  checkTexture(texture, 'RENDER_ATTACHMENT');
  const [checked, pixels] = checkedPicture(device, tensor, options);
  const { width, height } = pixels;
  if (texture.width !== width || texture.height !== height) {
    throw invalid('texture size', [texture.width, texture.height], `the tensor's picture is ${width} × ${height}`);
  }
  const halves = checked.dtype === 'float16';
  const premultiplied = choice('premultipliedAlpha', options.premultipliedAlpha, [false, true]);
  inSegment(device, () => {
    const pipeline = toTexturePipeline(device, texture.format, halves, premultiplied);
    const group = device.createBindGroup({
      label: 'tensor to image',
      layout: pipeline.getBindGroupLayout(0),
      entries: [
        { binding: 0, resource: { buffer: paramsBuffer(device, pixels) } },
        { binding: 1, resource: bindingOf(checked) },
      ],
    });
    const view = texture.createView({ label: 'tensor to image', mipLevelCount: 1 });
    record(device, options.encoder, (encoder) => {
      const pass = encoder.beginRenderPass({
        label: 'tensor to image',
        colorAttachments: [{ view, loadOp: 'clear', storeOp: 'store' }],
      });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.draw(3);
      pass.end();
    });
  });
}
