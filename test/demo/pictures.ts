import { crc32, deflateSync } from 'node:zlib';
import type { Pixels } from '../../demo/src/upsample/pixels.ts';

/** An opaque picture of noise, hard edges and flat areas; the same for the same seed. */
export function randomPixels(height: number, width: number, seed: number): Pixels {
  const data = new Uint8ClampedArray(4 * height * width);
  let state = (seed + 1) * 2654435761;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const column = Math.floor(i / 4) % width;
    data[i] = i % 4 === 3 ? 255 : column % 8 < 5 ? state >>> 24 : 255 * (column & 1);
  }
  return { width, height, data };
}

/** The picture as a PNG file, 8 bits a channel with opacity. */
export function encodePng({ width, height, data }: Pixels): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 6, 0, 0, 0], 8);
  const rows = Buffer.alloc(height * (1 + 4 * width));
  for (let row = 0; row < height; row++) {
    rows.set(data.subarray(4 * width * row, 4 * width * (row + 1)), row * (1 + 4 * width) + 1);
  }
  const chunk = (type: string, content: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
    const frame = Buffer.alloc(body.length + 8);
    frame.writeUInt32BE(content.length, 0);
    frame.set(body, 4);
    frame.writeUInt32BE(crc32(body), body.length + 4);
    return frame;
  };
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
