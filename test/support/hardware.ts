/** Disguises the tests' software adapter as a hardware GPU, so that it becomes the shared default device. */

const info = {
  vendor: 'test',
  architecture: '',
  device: '',
  description: 'passes for hardware',
  isFallbackAdapter: false,
};

/**
 * @param onDevice told of every device that is made
 * @returns what undoes it
 */
export function asHardware(onDevice?: (device: GPUDevice) => void): () => void {
  const { gpu } = navigator;
  const requestAdapter = gpu.requestAdapter.bind(gpu);
  gpu.requestAdapter = async (options) => {
    const adapter = await requestAdapter(options);
    if (adapter === null) return null;
    const requestDevice = adapter.requestDevice.bind(adapter);
    Object.defineProperty(adapter, 'info', { value: info });
    adapter.requestDevice = async (descriptor) => {
      const device = await requestDevice(descriptor);
      onDevice?.(device);
      return device;
    };
    return adapter;
  };
  return () => {
    gpu.requestAdapter = requestAdapter;
  };
}
