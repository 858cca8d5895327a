import { mat3, vec2, type Mat3 } from 'wgpu-matrix';

/** Width and height, in whatever pixels the context says. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Scales without rotation: the picture's pixels to the screen's. */
export type View = Mat3;

/** Screen pixels per picture pixel. */
export function zoomOf(view: View): number {
  return view[0] ?? 1;
}

/** The zoom at which the whole picture just fits. */
export function fitZoom(picture: Size, screen: Size): number {
  return Math.min(screen.width / picture.width, screen.height / picture.height);
}

/** The whole picture, centred. */
export function fitView(picture: Size, screen: Size): View {
  const zoom = fitZoom(picture, screen);
  return constrain(mat3.uniformScaling(zoom), picture, screen);
}

/** Zooms by `factor`; the picture point under `at` (screen pixels) stays where it is. */
export function zoomAt(view: View, factor: number, at: readonly [number, number]): View {
  const about = mat3.translation(vec2.create(at[0], at[1]));
  mat3.uniformScale(about, factor, about);
  mat3.translate(about, vec2.create(-at[0], -at[1]), about);
  return mat3.multiply(about, view);
}

export function panBy(view: View, dx: number, dy: number): View {
  return mat3.multiply(mat3.translation(vec2.create(dx, dy)), view);
}

/** The same view of a picture whose pixels are `factor` times as large. */
export function rescale(view: View, factor: number): View {
  return mat3.uniformScale(view, factor);
}

/** Moves the picture back so that no gap opens beside it; where it is smaller than the screen, it is centred. */
export function constrain(view: View, picture: Size, screen: Size): View {
  const [x = 0, y = 0] = mat3.getTranslation(view);
  const zoom = zoomOf(view);
  const place = (offset: number, length: number, room: number): number =>
    length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, offset));
  return mat3.setTranslation(
    view,
    vec2.create(place(x, picture.width * zoom, screen.width), place(y, picture.height * zoom, screen.height)),
  );
}

/** Hands the view to a 2-D canvas. */
export function applyView(context: CanvasRenderingContext2D, view: View): void {
  context.setTransform(view[0] ?? 1, view[1] ?? 0, view[4] ?? 0, view[5] ?? 1, view[8] ?? 0, view[9] ?? 0);
}
