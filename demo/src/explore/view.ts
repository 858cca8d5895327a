import { find, onClick } from '../page.ts';
import { PairControls } from '../pair-controls.ts';
import { Palette } from '../palette.ts';
import type { ViewContext } from '../view.ts';
import { LIBRARIES } from './code.ts';
import { Drawing } from './drawing.ts';
import { EXAMPLES } from './examples.ts';
import { FIELDS } from './fields.ts';
import { outputSize, settle, type Layer, type Parameter, type Size } from './layer.ts';
import { FILLINGS, parseNumbers } from './numbers.ts';
import { Player } from './player.ts';
import { modelOf, sceneOf, type Model, type Scene } from './scene.ts';
import { atOutput, atStep, inWay, readState, start, withFilling, writeState, type State } from './state.ts';
import { stepCount, stepOfInput, WAYS } from './steps.ts';
import { spoken } from './telling.ts';
import './view.css';
import markup from './view.html?raw';

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
  readonly #drawing: Drawing;
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
    this.#drawing = new Drawing(root, palette);
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
      this.#controls.set(this.#state.layer);
      this.#drawing.draw(this.#scene(), this.#isTransposed);
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

  #scene(): Scene {
    return sceneOf(this.#state, this.#model);
  }

  #watchGrids(): void {
    const { grids } = this.#drawing;
    grids.input.onPick = (at) => {
      const step = stepOfInput(this.#state.way, this.#state.layer, at);
      if (step === undefined) return;
      this.#player.stop();
      this.#change(atStep(this.#state, step));
    };
    grids.made.onPick = ([y, x]) => {
      const [top, left] = this.#state.way === 'spread' ? this.#state.layer.padding : [0, 0];
      this.#look([y - top, x - left]);
    };
    const place = (at: number): Size => {
      const width = outputSize(this.#state.layer)[1];
      return [Math.floor(at / width), at % width];
    };
    grids.matrix.onPick = ([y, x]) => {
      this.#look(place(this.#isTransposed ? x : y));
    };
    grids.product.onPick = ([y, x]) => {
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
      this.#drawing.drawTable(this.#scene());
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
