/** What was made on a device, and which buffers live. */
export class Count {
  readonly made = new Map<string, number>();
  readonly withoutLabel: string[] = [];
  readonly live = new Map<GPUBuffer, string>();
  /** Bytes of all buffers that were ever asked for. */
  allocated = 0;

  constructor(device: GPUDevice) {
    const methods = device as unknown as Record<string, (descriptor?: { label?: string }) => object>;
    const kinds = ['Buffer', 'BindGroup', 'BindGroupLayout', 'PipelineLayout', 'ShaderModule'];
    const compiled = ['ComputePipeline', 'ComputePipelineAsync', 'CommandEncoder'];
    for (const kind of [...kinds, ...compiled]) {
      const make = methods[`create${kind}`]!.bind(device);
      methods[`create${kind}`] = (descriptor) => {
        this.made.set(kind, (this.made.get(kind) ?? 0) + 1);
        if (!descriptor?.label) this.withoutLabel.push(kind);
        const object = make(descriptor);
        if (kind === 'Buffer') this.#watch(object as GPUBuffer, descriptor?.label ?? '');
        if (kind === 'CommandEncoder') this.#watchPasses(object as GPUCommandEncoder);
        return object;
      };
    }
  }

  get bytes(): number {
    return [...this.live.keys()].reduce((sum, { size }) => sum + size, 0);
  }

  /** What a segment makes. */
  during(segment: () => void): Record<string, number> {
    const before = new Map(this.made);
    segment();
    const more = [...this.made].map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const);
    return Object.fromEntries(more.filter(([, count]) => count > 0));
  }

  #watch(buffer: GPUBuffer, label: string): void {
    this.live.set(buffer, label);
    this.allocated += buffer.size;
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      this.live.delete(buffer);
      destroy();
    };
  }

  #watchPasses(encoder: GPUCommandEncoder): void {
    const begin = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (descriptor) => {
      if (!descriptor?.label) this.withoutLabel.push('ComputePass');
      return begin(descriptor);
    };
  }
}
