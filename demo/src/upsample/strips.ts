/** A horizontal band of input rows, `start` inclusive, `end` exclusive, without its halo. */
export interface Strip {
  readonly start: number;
  readonly end: number;
}

export interface StripRequest {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly scale: number;
  /** Most values that the output of one strip may hold. One row of input is the least a strip can be. */
  readonly maxOutputValues: number;
}

/** Cuts a picture into strips of equal height (the last may be lower) whose outputs fit `maxOutputValues`. */
export function planStrips({ height, width, channels, scale, maxOutputValues }: StripRequest): Strip[] {
  const valuesPerRow = width * channels * scale * scale;
  const mostRows = Math.max(1, Math.floor(maxOutputValues / valuesPerRow));
  const count = Math.ceil(height / mostRows);
  const rows = Math.ceil(height / count);
  const strips: Strip[] = [];
  for (let start = 0; start < height; start += rows) {
    strips.push({ start, end: Math.min(height, start + rows) });
  }
  return strips;
}
