/** WebGPU for tests, in a browser or in Node. Without an adapter tests fail; so do they on any error that no test has expected. */

const failures: string[] = [];
const devices = new Set<GPUDevice>();
const shared = new Map<string, Promise<GPUDevice>>();
let printed = false;

/** How many runs of a property there is time for: Firefox asks only every 100 ms whether a readback has ended. */
export const runs = (count: number): number =>
  (globalThis.navigator as Partial<Navigator>).userAgent?.includes('Firefox') === true ? Math.ceil(count / 10) : count;

/** Watches a device until the test file ends: an uncaptured error or a loss that nobody asked for fails the test. */
function watchDevice(device: GPUDevice): void {
  devices.add(device);
  device.addEventListener('uncapturederror', (event) => {
    failures.push(`uncaptured ${event.error.constructor.name} on '${device.label}': ${event.error.message}`);
  });
  void device.lost.then(({ reason, message }) => {
    devices.delete(device);
    if (reason !== 'destroyed') failures.push(`device '${device.label}' lost (${reason}): ${message}`);
  });
}

/** Uncaptured errors and device losses since the last call. A test that provokes one takes it here, and asserts it. */
export function takeGpuFailures(): string[] {
  return failures.splice(0);
}

/** The adapter under test; throws where there is none. */
export async function testAdapter(options?: GPURequestAdapterOptions): Promise<GPUAdapter> {
  // Typed as always there, which it is not.
  const gpu = navigator.gpu as GPU | undefined;
  if (gpu === undefined) throw new Error('navigator.gpu is missing: these tests need WebGPU.');
  const adapter = await gpu.requestAdapter(options);
  if (adapter === null) throw new Error('No WebGPU adapter: these tests need one, a software adapter will do.');
  if (!printed) {
    printed = true;
    const { vendor, architecture, description } = adapter.info;
    console.log(`adapter: ${[vendor, architecture, description].filter(Boolean).join(' / ') || 'without a name'}`);
  }
  return adapter;
}

/** A device of the test adapter: one per descriptor, shared by the tests of a file and destroyed after them. */
export function testDevice(descriptor: GPUDeviceDescriptor = {}): Promise<GPUDevice> {
  const { requiredFeatures = [], ...rest } = descriptor;
  const key = JSON.stringify({ ...rest, requiredFeatures: [...requiredFeatures] });
  const known = shared.get(key);
  if (known !== undefined) return known;
  const made = testAdapter().then((adapter) => adapter.requestDevice({ label: 'test device', ...descriptor }));
  shared.set(key, made);
  // A device that a test destroyed is not handed to the next one.
  made.then((device) => device.lost).then(forget, forget);
  function forget(): void {
    shared.delete(key);
  }
  return made;
}

/** Watches every device that anyone requests from here on, the library included. */
export function watchAllDevices(adapterPrototype: GPUAdapter): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its adapter below
  const { requestDevice } = adapterPrototype;
  adapterPrototype.requestDevice = async function (this: GPUAdapter, descriptor?: GPUDeviceDescriptor) {
    const device = await requestDevice.call(this, descriptor);
    watchDevice(device);
    return device;
  };
}

/** Destroys every device that is still alive, and waits until it is gone. */
export async function destroyDevices(): Promise<void> {
  await Promise.all(
    [...devices].map((device) => {
      device.destroy();
      return device.lost;
    }),
  );
}
