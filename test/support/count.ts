/** What was made on a device, and which buffers and textures live. */
export class Count {
  readonly made = new Map<string, number>();
  readonly withoutLabel: string[] = [];
  readonly live = new Map<GPUBuffer | GPUTexture, string>();
  /** Bytes of all buffers and textures that were ever asked for. */
  allocated = 0;

  constructor(device: GPUDevice) {
    const methods = device as unknown as Record<string, (descriptor?: { label?: string }) => object>;
    const kinds = ['Buffer', 'Texture', 'BindGroup', 'BindGroupLayout', 'PipelineLayout', 'ShaderModule'];
    const compiled = ['ComputePipeline', 'ComputePipelineAsync', 'CommandEncoder'];
    for (const kind of [...kinds, ...compiled]) {
      const make = methods[`create${kind}`]!.bind(device);
      methods[`create${kind}`] = (descriptor) => {
        this.made.set(kind, (this.made.get(kind) ?? 0) + 1);
        if (!descriptor?.label) this.withoutLabel.push(kind);
        const object = make(descriptor);
        if (kind === 'Buffer' || kind === 'Texture')
          this.#watch(object as GPUBuffer | GPUTexture, descriptor?.label ?? '');
        if (kind === 'CommandEncoder') this.#watchPasses(object as GPUCommandEncoder);
        return object;
      };
    }
  }

  get bytes(): number {
    return [...this.live.keys()].reduce(
      (sum, one) => sum + ('size' in one ? one.size : 16 * one.width * one.height),
      0,
    );
  }

  /** What a segment makes. */
  during(segment: () => void): Record<string, number> {
    const before = new Map(this.made);
    segment();
    const more = [...this.made].map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const);
    return Object.fromEntries(more.filter(([, count]) => count > 0));
  }

  #watch(buffer: GPUBuffer | GPUTexture, label: string): void {
    this.live.set(buffer, label);
    this.allocated += bytesOf(buffer);
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

/** A texture's texels are four float32. */
const bytesOf = (made: GPUBuffer | GPUTexture): number => ('size' in made ? made.size : 16 * made.width * made.height);
