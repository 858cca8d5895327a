import { ConvTranspose2d, type Device } from 'webgpu-conv-transpose2d';
import { readSafetensors } from 'webgpu-conv-transpose2d/weights';

/** The layer `name` of a model that was saved with `safetensors.torch.save_model`. */
export async function loadLayer(address: string, name: string, device: Device): Promise<ConvTranspose2d> {
  const checkpoint = await readSafetensors(address, {
    onProgress: (loaded, total) => {
      console.log(total === undefined ? `${loaded} bytes` : `${Math.round((100 * loaded) / total)} %`);
    },
  });
  const { weight, bias } = checkpoint.stateDict(name);
  const [inChannels, outChannels, height, width] = weight.shape as [number, number, number, number];
  const layer = new ConvTranspose2d(inChannels, outChannels, [height, width], {
    stride: 2,
    padding: 1,
    bias: bias !== undefined,
    device,
  });
  layer.loadStateDict({ weight, bias });
  return layer;
}
