/** Pictures of known bytes, RGBA, as textures and back. */
import { randomFrom } from './tensors.ts';

/** Bytes of any value, alpha too. */
export function pictureBytes(height: number, width: number, seed = 1): Uint8Array<ArrayBuffer> {
  const random = randomFrom(seed);
  return Uint8Array.from({ length: 4 * height * width }, () => Math.floor(random() * 256));
}

export function textureOf(
  device: GPUDevice,
  bytes: Uint8Array<ArrayBuffer>,
  height: number,
  width: number,
): GPUTexture {
  const texture = device.createTexture({
    label: 'test picture',
    size: [width, height],
    format: 'rgba8unorm',
    usage:
      GPUTextureUsage.TEXTURE_BINDING |
      GPUTextureUsage.COPY_DST |
      GPUTextureUsage.COPY_SRC |
      GPUTextureUsage.RENDER_ATTACHMENT,
  });
  device.queue.writeTexture({ texture }, bytes, { bytesPerRow: 4 * width }, [width, height]);
  return texture;
}

/** A texture's bytes, after all work submitted so far. */
export async function readTexture(device: GPUDevice, texture: GPUTexture): Promise<Uint8Array> {
  const { width, height } = texture;
  const bytesPerRow = Math.ceil((4 * width) / 256) * 256;
  const buffer = device.createBuffer({
    label: 'test picture',
    size: bytesPerRow * height,
    usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
  });
  const encoder = device.createCommandEncoder();
  encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow }, [width, height]);
  device.queue.submit([encoder.finish()]);
  await buffer.mapAsync(GPUMapMode.READ);
  const padded = new Uint8Array(buffer.getMappedRange());
  const bytes = new Uint8Array(4 * width * height);
  for (let row = 0; row < height; row++) {
    bytes.set(padded.subarray(row * bytesPerRow, row * bytesPerRow + 4 * width), 4 * row * width);
  }
  buffer.destroy();
  return bytes;
}
