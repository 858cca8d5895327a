import { invalid } from '../invalid.ts';
import { optionsOf } from '../options.ts';
import type { GpuTensor } from '../types.ts';
import { checkDevice } from '../webgpu/buffers.ts';
import { checkPicture } from './gpu.ts';
import { checkedPicture, tensorToTexture, toTextureOptionNames, type TensorToTextureOptions } from './to-texture.ts';

/** How a tensor goes onto a canvas. */
export interface TensorToCanvasOptions extends Omit<TensorToTextureOptions, 'premultipliedAlpha'> {
  /** What the tensor's numbers are colours of. Default 'srgb'. */
  colorSpace?: PredefinedColorSpace | undefined;
}

/**
 * Shows a tensor of shape (N, C, H, W) or (N, H, W, C), or without N, on a canvas, which takes its size: C = 1 as grey, 3 as
 * RGB, 4 as RGBA with what is behind the canvas shining through. Values beyond 0 to 1 are clamped.
 * @param canvas `<canvas>` or `OffscreenCanvas`, without a context, or with a WebGPU context, which this configures
 * @throws ConvTranspose2dError INVALID_ARGUMENT; UNSUPPORTED beyond the device's limits on bindings and textures
 */
export function tensorToCanvas(
  device: GPUDevice,
  tensor: GpuTensor,
  canvas: GPUCanvasContext['canvas'],
  options: TensorToCanvasOptions = {},
): void {
  checkDevice(device);
  optionsOf(options, [...toTextureOptionNames.filter((name) => name !== 'premultipliedAlpha'), 'colorSpace']);
  const { colorSpace = 'srgb', ...rest } = options;
  const [, { width, height, channels }] = checkedPicture(device, tensor, options);
  checkPicture(device, { width, height });
  checkCanvas(canvas);
  const context = canvas.getContext('webgpu');
  if (context === null) throw invalid('canvas', canvas, 'it has a context of another kind already');

  // Setting a size clears a canvas, even the size that it has.
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const premultipliedAlpha = channels === 4;
  const configuration = {
    device,
    format: navigator.gpu.getPreferredCanvasFormat(),
    alphaMode: premultipliedAlpha ? 'premultiplied' : 'opaque',
    colorSpace,
  } as const;
  if (!isConfigured(context, configuration)) context.configure(configuration);
  tensorToTexture(device, tensor, context.getCurrentTexture(), { ...rest, premultipliedAlpha });
}

/** Refuses what is no canvas. */
function checkCanvas(canvas: unknown): void {
  if (typeof canvas !== 'object' || canvas === null || !('getContext' in canvas)) {
    throw invalid('canvas', canvas, 'it must be a canvas');
  }
}

/** Whether a canvas is configured so already: doing it again for every frame would have it make new textures. */
function isConfigured(context: GPUCanvasContext, wanted: GPUCanvasConfiguration): boolean {
  // Older browsers do not say.
  const { getConfiguration } = context as Partial<GPUCanvasContext>;
  const present = getConfiguration?.call(context);
  if (present === undefined || present === null) return false;
  const names = ['device', 'format', 'alphaMode', 'colorSpace'] as const;
  return (
    names.every((name) => present[name] === wanted[name]) && (present.usage & GPUTextureUsage.RENDER_ATTACHMENT) > 0
  );
}
