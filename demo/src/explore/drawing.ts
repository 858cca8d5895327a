/** Puts a scene on the page: its grids, its words and what is chosen. */
import { Grid } from '../grid.ts';
import { find } from '../page.ts';
import type { Palette } from '../palette.ts';
import { fullSize, outputSize } from './layer.ts';
import * as looks from './looks.ts';
import { MOST_ROWS, type Scene } from './scene.ts';
import { sentence, stepCount } from './steps.ts';
import { outputTable, rowsText, sizeText, tellCode, tellOutput, tellSizes } from './telling.ts';

export class Drawing {
  readonly grids: Readonly<Record<'input' | 'kernel' | 'stretched' | 'made' | 'matrix' | 'product', Grid>>;
  readonly #root: HTMLElement;

  constructor(root: HTMLElement, palette: Palette) {
    this.#root = root;
    const grid = (name: string, mostCell: number, mostHeight: number): Grid =>
      new Grid(find(`.grid-${name}`, HTMLElement, root), palette, { mostCell, mostHeight });
    this.grids = {
      input: grid('input', 48, 240),
      kernel: grid('kernel', 48, 240),
      stretched: grid('stretched', 44, 520),
      made: grid('made', 56, 520),
      matrix: grid('matrix', 22, 480),
      product: grid('product', 30, 480),
    };
  }

  draw(scene: Scene, isTransposed: boolean): void {
    this.#drawChoices(scene, isTransposed);
    this.#drawSteps(scene);
    tellSizes(this.#root, scene.state.layer);
    tellOutput(this.#root, scene);
    tellCode(this.#root, scene);
    this.#drawGrids(scene);
    this.#drawMatrices(scene, isTransposed);
    this.drawTable(scene);
  }

  #drawChoices({ state, model }: Scene, isTransposed: boolean): void {
    const root = this.#root;
    root.dataset['way'] = state.way;
    for (const [name, value] of [
      ['way', state.way],
      ['numbers', state.filling],
      ['library', state.library],
      ['matrix', isTransposed ? 'transpose' : 'layer'],
    ] as const) {
      find(`input[name=${name}][value=${value}]`, HTMLInputElement, root).checked = true;
    }
    find('.own', HTMLElement, root).hidden = state.filling !== 'own';
    for (const name of ['input', 'kernel'] as const) {
      const field = find(`[name=own-${name}]`, HTMLInputElement, root);
      // What is being typed is left alone.
      if (field !== document.activeElement) field.value = model.numbers[name].join(' ');
    }
  }

  #drawGrids(scene: Scene): void {
    const root = this.#root;
    const { layer, way, output } = scene.state;
    const { input, kernel } = scene.model.numbers;
    this.grids.input.draw(looks.inputLook(scene), `Input: ${rowsText(input, layer.input)}`);
    this.grids.kernel.draw(looks.kernelLook(scene), `Kernel: ${rowsText(kernel, layer.kernel)}`);
    const isSpread = way === 'spread';
    const made = isSpread ? looks.fullLook(scene) : looks.outputLook(scene);
    this.grids.made.draw(made);
    this.grids.made.at = isSpread ? [output[0] + layer.padding[0], output[1] + layer.padding[1]] : output;
    if (way === 'zeros') {
      const look = looks.stretchedLook(scene);
      this.grids.stretched.draw(look);
      find('.stretched-size', HTMLElement, root).textContent = sizeText(look.size);
    }
    const isWhole = isSpread && scene.step.kind !== 'cropped';
    find('.made-name', HTMLElement, root).textContent = isWhole ? 'Full result' : 'Output';
    find('.made-size', HTMLElement, root).textContent = sizeText(isWhole ? fullSize(layer) : outputSize(layer));
    find('.grid-made', HTMLElement, root).setAttribute('aria-label', isWhole ? 'Full result' : 'Output');
    const turned = way === 'zeros' && (scene.step.kind === 'turned' || scene.step.kind === 'output');
    find('.kernel-name', HTMLElement, root).textContent = turned ? 'Kernel, turned' : 'Kernel';
  }

  #drawSteps({ state: { layer, way, step: at }, step }: Scene): void {
    const count = stepCount(way, layer);
    find('.sentence', HTMLElement, this.#root).textContent = sentence(way, layer, step);
    const scrub = find('.scrub', HTMLInputElement, this.#root);
    scrub.max = String(count - 1);
    scrub.value = String(at);
    scrub.setAttribute('aria-valuetext', `Step ${at + 1} of ${count}`);
    find('.step-count', HTMLOutputElement, this.#root).value = `${at + 1} / ${count}`;
  }

  #drawMatrices({ state: { layer, output }, model }: Scene, isTransposed: boolean): void {
    const { numbers, matrix, columns } = model;
    const size = outputSize(layer);
    const looked = output[0] * size[1] + output[1];
    const rows = size[0] * size[1];
    const isShown = matrix !== undefined;
    find('.grid-matrix', HTMLElement, this.#root).hidden = !isShown;
    const filled = columns.landings.reduce((count, landing) => count + (landing < 0 ? 0 : 1), 0);
    const shape = isTransposed ? `${numbers.input.length} × ${rows}` : `${rows} × ${numbers.input.length}`;
    find('.matrix-size', HTMLElement, this.#root).textContent =
      `${shape}: ${filled} of its ${rows * numbers.input.length} places hold a weight, the others are 0.` +
      (isShown ? '' : ` It is drawn for up to ${MOST_ROWS} outputs.`);
    if (isShown) {
      const shown = isTransposed ? matrix.transposed : matrix.plain;
      this.grids.matrix.draw(looks.matrixLook(shown, isTransposed, looked));
    }
    find('.product-size', HTMLElement, this.#root).textContent =
      `${numbers.kernel.length} weights × ${numbers.input.length} inputs = ${columns.values.length} products, of which ${filled} are kept.`;
    this.grids.product.draw(looks.columnsLook(columns, numbers, looked));
  }

  /** The table of all outputs, if it is open. */
  drawTable({ state, model }: Scene): void {
    const details = find('details.numbers', HTMLDetailsElement, this.#root);
    if (!details.open) return;
    const table = outputTable(state.layer, model.outputs);
    find('.table-holder', HTMLElement, details).replaceChildren(table);
  }
}
