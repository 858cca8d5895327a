import { context2d } from './bands.ts';
import type { Given } from './picture-input.ts';
import type { Size } from './view-transform.ts';

/** Largest result, in pixels: 256 MiB of colour. Full HD enlarged four times is half of it. */
export const MAX_RESULT_PIXELS = 2 ** 26;

export interface Picture extends Size {
  readonly given: Given;
  readonly source: ImageBitmap;
  close(): void;
}

/** Reads a file of any format that the browser knows. */
export async function readPicture(given: Given): Promise<Picture> {
  try {
    const source = await createImageBitmap(given.blob);
    const { width, height } = source;
    const close = (): void => {
      source.close();
    };
    return { given, source, width, height, close };
  } catch {
    throw new Error(`“${given.name}” could not be read as a picture. PNG, JPEG, WebP and GIF work in every browser.`);
  }
}

/** What a video shows now, as a file. */
export async function pictureOf(video: HTMLVideoElement): Promise<Blob> {
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  context2d(canvas).drawImage(video, 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => {
    canvas.toBlob(resolve);
  });
  if (!blob) throw new Error('This browser gave no picture of the video.');
  return blob;
}

/** The size at which a picture is enlarged: its own, or less where so many results would not fit in a page. */
export function workingSize({ width, height }: Size, scale: number, results = 1): Size {
  const shrink = Math.min(1, Math.sqrt(MAX_RESULT_PIXELS / (results * width * height * scale * scale)));
  return { width: Math.max(1, Math.floor(width * shrink)), height: Math.max(1, Math.floor(height * shrink)) };
}
