import { find } from '../page.ts';
import { KERNELS, LEARNED, type KernelChoice, type UpsampleLayer } from './kernels.ts';
import { context2d } from './bands.ts';
import type { Size } from './view-transform.ts';

/** Says in words, as a picture and in code what the layer does. */
export function explain(root: HTMLElement, id: KernelChoice, layer: UpsampleLayer, input: Size): void {
  const { kernel, stride, crop, halo } = layer;
  const { about, source } = id === 'learned' ? LEARNED : KERNELS[id];
  const overlap =
    kernel > stride ? 'so they overlap, and where they do, they are added' : 'so they touch and never overlap';
  const cut = crop === 1 ? 'One row or column is' : `${crop} rows or columns are`;
  const words = [
    `Each input pixel is multiplied by a patch of ${kernel} × ${kernel} weights (the kernel).`,
    `The patches are laid down ${stride} pixels apart (the stride), ${overlap}.`,
    crop === 0 ? '' : `${cut} cut off on every side (the padding).`,
    'Red, green and blue are enlarged each on its own (the groups).',
    halo === 0
      ? ''
      : `So that the border is not darkened, the outermost pixels are repeated ${times(halo)} outward beforehand.`,
  ];
  find('#kernel-note', HTMLElement, root).textContent = about;
  find('#explain-text', HTMLElement, root).textContent = words.filter(Boolean).join(' ');
  find('#explain-code', HTMLElement, root).textContent = code(id, layer, input, source);
  find('#kernel-caption', HTMLElement, root).textContent =
    `The ${kernel} × ${kernel} weights: the stronger the colour, the larger the weight. ` +
    (isNegative(layer) ? 'Those below zero are in the other colour.' : 'None is below zero.');
  drawWeights(find('#kernel-picture', HTMLCanvasElement, root), layer);
}

const times = (count: number): string => ['', 'once', 'twice', 'three times'][count] ?? `${count} times`;

const isNegative = ({ weight }: UpsampleLayer): boolean =>
  Array.prototype.some.call(weight.data, (value: number) => value < 0);

function code(
  id: KernelChoice,
  { kernel, stride, crop }: UpsampleLayer,
  { width, height }: Size,
  source: string,
): string {
  const weight = id === 'bilinear' ? `bilinearWeight(3, ${kernel})` : `{ shape: [3, 1, ${kernel}, ${kernel}], data }`;
  const padding = crop === 0 ? '' : ` padding: ${crop},`;
  const origin = id === 'bilinear' ? '' : `// data: ${source}\n`;
  return (
    `${origin}const layer = new ConvTranspose2d(3, 3, ${kernel}, { stride: ${stride},${padding} groups: 3, bias: false });\n` +
    `layer.loadStateDict({ weight: ${weight} });\n` +
    'const output = await layer.forward(input);\n' +
    `// (1, 3, ${height}, ${width}) → (1, 3, ${stride * height}, ${stride * width})`
  );
}

/** One canvas pixel a weight, as strong as it is large; style sheets make it large and give the colours. */
function drawWeights(canvas: HTMLCanvasElement, { kernel, weight }: UpsampleLayer): void {
  canvas.width = kernel;
  canvas.height = kernel;
  const context = context2d(canvas);
  const style = getComputedStyle(canvas);
  const plane = Array.from({ length: kernel * kernel }, (_, i) => Number(weight.data[i]));
  const largest = Math.max(...plane.map(Math.abs));
  plane.forEach((value, i) => {
    context.fillStyle = value < 0 ? style.borderColor : style.color;
    // The root lets small weights be seen beside the large ones in the middle.
    context.globalAlpha = Math.sqrt(Math.abs(value) / largest);
    context.fillRect(i % kernel, Math.floor(i / kernel), 1, 1);
  });
}
