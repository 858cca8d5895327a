import { find, onClick } from '../page.ts';
import { PairControls } from '../pair-controls.ts';
import { Palette } from '../palette.ts';
import type { ViewContext } from '../view.ts';
import { LIBRARIES } from './code.ts';
import { EXAMPLES } from './examples.ts';
import { FIELDS } from './fields.ts';
import { Grid } from '../grid.ts';
import { fullSize, outputSize, settle, type Layer, type Parameter, type Size } from './layer.ts';
import * as looks from './looks.ts';
import { layerMatrix, productColumns, transpose, type SparseMatrix } from './matrix.ts';
import { fill, FILLINGS, parseNumbers } from './numbers.ts';
import { Player } from './player.ts';
import { atOutput, atStep, inWay, readState, start, withFilling, writeState, type State } from './state.ts';
import { sentence, stepCount, stepOfInput, WAYS } from './steps.ts';
import { outputs } from './sums.ts';
import { outputTable, rowsText, sizeText, spoken, tellCode, tellOutput, tellSizes } from './telling.ts';
import './view.css';
import markup from './view.html?raw';

/** More outputs than this make no matrix that can be looked at. */
const MOST_ROWS = 144;
/** A browser takes offence at an address that changes with every movement. */
const ADDRESS_DELAY = 300;

export function mount(root: HTMLElement, params: URLSearchParams, context: ViewContext): void {
  root.innerHTML = markup;
  new ExploreView(root, readState(params), context).show();
}

class ExploreView {
  readonly #root: HTMLElement;
  readonly #context: ViewContext;
  readonly #controls: PairControls<Parameter>;
  readonly #player: Player;
  readonly #grids: Record<'input' | 'kernel' | 'stretched' | 'made' | 'matrix' | 'product', Grid>;
  #state: State;
  #model: Model;
  #isTransposed = false;
  #frame = 0;
  #addressTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(root: HTMLElement, state: State, context: ViewContext) {
    this.#root = root;
    this.#state = state;
    this.#model = modelOf(state);
    this.#context = context;
    this.#controls = new PairControls(find('.layer', HTMLElement, root), FIELDS, (name, value) => {
      this.#changeLayer({ ...this.#state.layer, [name]: value });
    });
    this.#player = new Player(() => this.#advance(), context.signal);
    const palette = new Palette(
      root,
      () => {
        this.show();
      },
      context.signal,
    );
    const grid = (name: string, mostCell: number, mostHeight: number): Grid =>
      new Grid(find(`.grid-${name}`, HTMLElement, root), palette, { mostCell, mostHeight });
    this.#grids = {
      input: grid('input', 48, 240),
      kernel: grid('kernel', 48, 240),
      stretched: grid('stretched', 44, 520),
      made: grid('made', 56, 520),
      matrix: grid('matrix', 22, 480),
      product: grid('product', 30, 480),
    };
    this.#watchGrids();
    this.#watchChoices();
    this.#watchSteps();
    const observer = new ResizeObserver(() => {
      this.show();
    });
    observer.observe(find('.stage', HTMLElement, root));
    context.signal.addEventListener('abort', () => {
      observer.disconnect();
      cancelAnimationFrame(this.#frame);
      clearTimeout(this.#addressTimer);
    });
  }

  /** Draws everything before the next frame. */
  show(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      this.#draw();
    });
  }

  #change(state: State): void {
    const { layer, filling, own } = this.#state;
    if (state.layer !== layer || state.filling !== filling || state.own !== own) this.#model = modelOf(state);
    this.#state = state;
    this.show();
    clearTimeout(this.#addressTimer);
    this.#addressTimer = setTimeout(() => {
      this.#context.setParams(writeState(state));
    }, ADDRESS_DELAY);
  }

  #changeLayer(asked: Layer): void {
    const { layer, changes } = settle(asked);
    find('.changes', HTMLElement, this.#root).textContent = changes.join(' ');
    this.#player.stop();
    this.#change(start(layer, this.#state));
  }

  /** Looks at an output because the visitor pointed at it, and says so to those who listen. */
  #look(output: Size): void {
    const [height, width] = outputSize(this.#state.layer);
    if (output[0] < 0 || output[1] < 0 || output[0] >= height || output[1] >= width) return;
    this.#player.stop();
    this.#change(atOutput(this.#state, output));
    find('.one-told', HTMLElement, this.#root).textContent = spoken(this.#scene());
  }

  #advance(): boolean {
    const { step, way, layer } = this.#state;
    this.#change(atStep(this.#state, step + 1));
    return step + 2 < stepCount(way, layer);
  }

  #scene(): looks.Scene {
    return looks.sceneOf(this.#state, this.#model.numbers, this.#model.outputs);
  }

  #draw(): void {
    const { layer, way, output } = this.#state;
    const root = this.#root;
    const scene = this.#scene();
    const size = outputSize(layer);
    root.dataset['way'] = way;
    this.#controls.set(layer);
    for (const [name, value] of [
      ['way', way],
      ['numbers', this.#state.filling],
      ['library', this.#state.library],
      ['matrix', this.#isTransposed ? 'transpose' : 'layer'],
    ] as const) {
      find(`input[name=${name}][value=${value}]`, HTMLInputElement, root).checked = true;
    }
    this.#drawSteps(scene);
    find('.own', HTMLElement, root).hidden = this.#state.filling !== 'own';
    for (const name of ['input', 'kernel'] as const) {
      const field = find(`[name=own-${name}]`, HTMLInputElement, root);
      // What is being typed is left alone.
      if (field !== document.activeElement) field.value = scene.numbers[name].join(' ');
    }
    tellSizes(root, layer);
    tellOutput(root, scene);
    tellCode(root, scene);

    const { input, kernel } = this.#model.numbers;
    this.#grids.input.draw(looks.inputLook(scene), `Input: ${rowsText(input, layer.input)}`);
    this.#grids.kernel.draw(looks.kernelLook(scene), `Kernel: ${rowsText(kernel, layer.kernel)}`);
    const isSpread = way === 'spread';
    const made = isSpread ? looks.fullLook(scene) : looks.outputLook(scene);
    this.#grids.made.draw(made);
    this.#grids.made.at = isSpread ? [output[0] + layer.padding[0], output[1] + layer.padding[1]] : output;
    if (way === 'zeros') {
      const look = looks.stretchedLook(scene);
      this.#grids.stretched.draw(look);
      find('.stretched-size', HTMLElement, root).textContent = sizeText(look.size);
    }
    const isWhole = isSpread && scene.step.kind !== 'cropped';
    find('.made-name', HTMLElement, root).textContent = isWhole ? 'Full result' : 'Output';
    find('.made-size', HTMLElement, root).textContent = sizeText(isWhole ? fullSize(layer) : size);
    find('.grid-made', HTMLElement, root).setAttribute('aria-label', isWhole ? 'Full result' : 'Output');
    const turned = way === 'zeros' && (scene.step.kind === 'turned' || scene.step.kind === 'output');
    find('.kernel-name', HTMLElement, root).textContent = turned ? 'Kernel, turned' : 'Kernel';
    this.#drawMatrices();
    this.#drawTable();
  }

  #drawSteps(scene: looks.Scene): void {
    const { layer, way, step } = this.#state;
    const count = stepCount(way, layer);
    find('.sentence', HTMLElement, this.#root).textContent = sentence(way, layer, scene.step);
    const scrub = find('.scrub', HTMLInputElement, this.#root);
    scrub.max = String(count - 1);
    scrub.value = String(step);
    scrub.setAttribute('aria-valuetext', `Step ${step + 1} of ${count}`);
    find('.step-count', HTMLOutputElement, this.#root).value = `${step + 1} / ${count}`;
  }

  #drawMatrices(): void {
    const { layer, output } = this.#state;
    const { numbers, matrix, columns } = this.#model;
    const size = outputSize(layer);
    const looked = output[0] * size[1] + output[1];
    const rows = size[0] * size[1];
    const isShown = matrix !== undefined;
    find('.grid-matrix', HTMLElement, this.#root).hidden = !isShown;
    const filled = columns.landings.reduce((count, landing) => count + (landing < 0 ? 0 : 1), 0);
    const shape = this.#isTransposed ? `${numbers.input.length} × ${rows}` : `${rows} × ${numbers.input.length}`;
    find('.matrix-size', HTMLElement, this.#root).textContent =
      `${shape}: ${filled} of its ${rows * numbers.input.length} places hold a weight, the others are 0.` +
      (isShown ? '' : ` It is drawn for up to ${MOST_ROWS} outputs.`);
    if (isShown) {
      const shown = this.#isTransposed ? matrix.transposed : matrix.plain;
      this.#grids.matrix.draw(looks.matrixLook(shown, this.#isTransposed, looked));
    }
    find('.product-size', HTMLElement, this.#root).textContent =
      `${numbers.kernel.length} weights × ${numbers.input.length} inputs = ${columns.values.length} products, of which ${filled} are kept.`;
    this.#grids.product.draw(looks.columnsLook(columns, numbers, looked));
  }

  #drawTable(): void {
    const details = find('details.numbers', HTMLDetailsElement, this.#root);
    if (!details.open) return;
    const table = outputTable(this.#state.layer, this.#model.outputs);
    find('.table-holder', HTMLElement, details).replaceChildren(table);
  }

  #watchGrids(): void {
    this.#grids.input.onPick = (at) => {
      const step = stepOfInput(this.#state.way, this.#state.layer, at);
      if (step === undefined) return;
      this.#player.stop();
      this.#change(atStep(this.#state, step));
    };
    this.#grids.made.onPick = ([y, x]) => {
      const [top, left] = this.#state.way === 'spread' ? this.#state.layer.padding : [0, 0];
      this.#look([y - top, x - left]);
    };
    const place = (at: number): Size => {
      const width = outputSize(this.#state.layer)[1];
      return [Math.floor(at / width), at % width];
    };
    this.#grids.matrix.onPick = ([y, x]) => {
      this.#look(place(this.#isTransposed ? x : y));
    };
    this.#grids.product.onPick = ([y, x]) => {
      const { columns } = this.#model;
      const landing = y > 0 && x > 0 ? columns.landings[(y - 1) * columns.columns + x - 1]! : -1;
      if (landing >= 0) this.#look(place(landing));
    };
  }

  #watchChoices(): void {
    this.#root.addEventListener('change', ({ target }) => {
      if (!(target instanceof HTMLInputElement)) return;
      const chosen = <T extends string>(name: string, choices: readonly T[]): T | undefined =>
        target.name === name ? choices.find((choice) => choice === target.value) : undefined;
      const way = chosen('way', WAYS);
      const filling = chosen('numbers', FILLINGS);
      const library = chosen('library', LIBRARIES);
      const matrix = chosen('matrix', ['layer', 'transpose']);
      if (way) {
        this.#player.stop();
        this.#change(inWay(this.#state, way));
      }
      if (filling) this.#change(withFilling(this.#state, filling));
      if (library) this.#change({ ...this.#state, library });
      if (matrix) {
        this.#isTransposed = matrix === 'transpose';
        this.show();
      }
    });
    for (const name of ['input', 'kernel'] as const) {
      const field = find(`[name=own-${name}]`, HTMLInputElement, this.#root);
      field.addEventListener('input', () => {
        this.#change({ ...this.#state, own: { ...this.#model.numbers, [name]: parseNumbers(field.value) } });
      });
      field.addEventListener('blur', () => {
        this.show();
      });
    }
    const examples = find('.examples', HTMLElement, this.#root);
    for (const { name, layer } of EXAMPLES) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = name;
      button.addEventListener('click', () => {
        this.#changeLayer(layer);
      });
      examples.append(button);
    }
    find('details.numbers', HTMLDetailsElement, this.#root).addEventListener('toggle', () => {
      this.#drawTable();
    });
  }

  #watchSteps(): void {
    const play = find('.play', HTMLButtonElement, this.#root);
    this.#player.onChange = (playing) => {
      play.textContent = playing ? 'Pause' : 'Play';
      // Read aloud step by step, but not at the pace of playing.
      find('.sentence', HTMLElement, this.#root).ariaLive = playing ? 'off' : 'polite';
    };
    const go = (step: number): void => {
      this.#player.stop();
      this.#change(atStep(this.#state, step));
    };
    onClick('.back', this.#root, () => {
      go(this.#state.step - 1);
    });
    onClick('.forward', this.#root, () => {
      go(this.#state.step + 1);
    });
    onClick('.play', this.#root, () => {
      if (this.#player.playing) {
        this.#player.stop();
        return;
      }
      const { step, way, layer } = this.#state;
      if (step === stepCount(way, layer) - 1) this.#change(atStep(this.#state, 0));
      this.#player.start();
    });
    const scrub = find('.scrub', HTMLInputElement, this.#root);
    scrub.addEventListener('input', () => {
      go(scrub.valueAsNumber);
    });
  }
}

/** What a layer and its numbers amount to, computed once. */
interface Model {
  readonly numbers: ReturnType<typeof fill>;
  readonly outputs: readonly number[];
  readonly columns: ReturnType<typeof productColumns>;
  /** Of small layers alone. */
  readonly matrix: { readonly plain: SparseMatrix; readonly transposed: SparseMatrix } | undefined;
}

function modelOf({ layer, filling, own }: State): Model {
  const numbers = fill(layer, filling, own);
  const values = outputs(layer, numbers);
  const plain = values.length <= MOST_ROWS ? layerMatrix(layer, numbers) : undefined;
  return {
    numbers,
    outputs: values,
    columns: productColumns(layer, numbers),
    matrix: plain && { plain, transposed: transpose(plain) },
  };
}
