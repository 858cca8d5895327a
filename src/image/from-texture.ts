import { optionsOf } from '../options.ts';
import type { DType, GpuTensor } from '../types.ts';
import { bindingOf, checkDevice, checkEncoder, checkGpuTensor, emptyTensor } from '../webgpu/buffers.ts';
import { checkBinds, checkTexture, inSegment, paramsBuffer, record, toTensorPipeline, WORKGROUP_SIZE } from './gpu.ts';
import { choice, pixelOptionNames, pixelsOf, shapeOf, type PixelOptions } from './options.ts';

/** How a texture becomes a tensor. */
export interface TextureToTensorOptions extends PixelOptions {
  /** 1: grey, the luma that PIL and torchvision take (0.299 R + 0.587 G + 0.114 B); 3: RGB; 4: RGBA. Default 3. */
  channels?: 1 | 3 | 4 | undefined;
  /** Of the tensor. Default that of `output`, else 'float32'. */
  dtype?: DType | undefined;
  /** Written and returned, of shape (1, C, H, W) or (1, H, W, C); left out: a new buffer, which is the caller's. */
  output?: GpuTensor | undefined;
  /** Recorded into, and left for the caller to submit. Left out: submitted at once. */
  encoder?: GPUCommandEncoder | undefined;
}

/** The names of `TextureToTensorOptions`. */
export const toTensorOptionNames: readonly string[] = [
  ...pixelOptionNames,
  ...(['channels', 'dtype', 'output', 'encoder'] satisfies (keyof TextureToTensorOptions)[]),
];

/**
 * A texture's first level as a tensor of shape (1, C, H, W) or (1, H, W, C). Pixels are taken as they are: not filtered,
 * not scaled, no colours converted.
 * @param texture of a format that is sampled as floats; its usage includes TEXTURE_BINDING; two-dimensional, with one layer and one sample
 * @throws ConvTranspose2dError INVALID_ARGUMENT; UNSUPPORTED beyond the device's limits on buffers
 */
export function textureToTensor(
  device: GPUDevice,
  texture: GPUTexture,
  options: TextureToTensorOptions = {},
): GpuTensor {
  checkDevice(device);
  optionsOf(options, toTensorOptionNames);
  if (options.encoder !== undefined) checkEncoder(options.encoder);
  checkTexture(texture, 'TEXTURE_BINDING');
  const layout = choice('layout', options.layout, ['NCHW', 'NHWC']);
  const channels = choice('channels', options.channels, [3, 1, 4]);
  const shape = shapeOf(layout, channels, texture.height, texture.width);
  const pixels = pixelsOf(shape, 0, options);
  const dtype = choice('dtype', options.dtype ?? options.output?.dtype, ['float32', 'float16']);
  checkBinds(device, shape, dtype);
  const tensor =
    options.output === undefined
      ? emptyTensor(device, shape, dtype)
      : checkGpuTensor(device, 'output', options.output, shape, dtype);

  inSegment(device, () => {
    const pipeline = toTensorPipeline(device, dtype === 'float16');
    const binding = bindingOf(tensor);
    const group = device.createBindGroup({
      label: 'image to tensor',
      layout: pipeline.getBindGroupLayout(0),
      entries: [
        { binding: 0, resource: { buffer: paramsBuffer(device, pixels) } },
        { binding: 1, resource: texture.createView({ label: 'image to tensor', mipLevelCount: 1 }) },
        { binding: 2, resource: binding },
      ],
    });
    const workgroups = Math.ceil((binding.size ?? 0) / 4 / WORKGROUP_SIZE);
    const columns = Math.min(workgroups, device.limits.maxComputeWorkgroupsPerDimension);
    record(device, options.encoder, (encoder) => {
      const pass = encoder.beginComputePass({ label: 'image to tensor' });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(columns, Math.ceil(workgroups / columns));
      pass.end();
    });
  });
  return options.output ?? tensor;
}
