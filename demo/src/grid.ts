/** A grid of numbers on a canvas, which can be pointed at, and walked through with the arrow keys. */
import type { Palette } from './palette.ts';
import type { Pair as Size } from './pair-controls.ts';

/** How a cell looks. Colours are names of custom properties. */
export interface Cell {
  readonly text?: string;
  readonly fill?: string;
  readonly ink?: string;
  /** A frame inside the cell. */
  readonly ring?: string;
  readonly dot?: boolean;
  /** 1 when left out. */
  readonly opacity?: number;
}

/** A frame around cells. */
export interface Frame {
  readonly at: Size;
  readonly size: Size;
  readonly colour: string;
  readonly dashed?: boolean;
}

export interface GridLook {
  readonly size: Size;
  readonly cell: (y: number, x: number) => Cell | undefined;
  readonly frames?: readonly Frame[];
}

export interface GridLimits {
  /** The side of a cell in CSS pixels. */
  readonly mostCell: number;
  readonly mostHeight: number;
}

const FONT = 'system-ui, sans-serif';
/** Cells below this side are too small for a number. */
const LEAST_FOR_TEXT = 17;

export class Grid {
  readonly #canvas: HTMLCanvasElement;
  readonly #palette: Palette;
  readonly #limits: GridLimits;
  #size: Size = [1, 1];
  #cell = 1;
  #at: Size = [0, 0];
  /** A cell was pointed at, or walked to. */
  onPick: ((at: Size) => void) | undefined;

  /** `holder` is as wide as the grid may be; it holds the canvas and takes the focus. */
  constructor(holder: HTMLElement, palette: Palette, limits: GridLimits) {
    this.#palette = palette;
    this.#limits = limits;
    this.#canvas = document.createElement('canvas');
    this.#canvas.setAttribute('aria-hidden', 'true');
    holder.append(this.#canvas);
    for (const type of ['pointermove', 'pointerdown'] as const) {
      this.#canvas.addEventListener(type, (event) => {
        this.#point(event);
      });
    }
    holder.addEventListener('keydown', (event) => {
      this.#walk(event);
    });
  }

  /** Where the arrow keys start from. */
  set at(at: Size) {
    this.#at = at;
  }

  /** `label` is what a screen reader tells of it; left out, it stays. */
  draw(look: GridLook, label?: string): void {
    const canvas = this.#canvas;
    if (label !== undefined) canvas.parentElement!.setAttribute('aria-label', label);
    const [rows, columns] = (this.#size = look.size);
    const width = canvas.parentElement!.clientWidth;
    const { mostCell, mostHeight } = this.#limits;
    const cell = Math.min(mostCell, (width - 2) / columns, mostHeight / rows);
    this.#cell = cell >= 4 ? Math.floor(cell) : cell;
    // A frame may stand one pixel out on each side.
    const [cssWidth, cssHeight] = [Math.ceil(columns * this.#cell) + 2, Math.ceil(rows * this.#cell) + 2];
    const ratio = window.devicePixelRatio;
    canvas.width = Math.round(cssWidth * ratio);
    canvas.height = Math.round(cssHeight * ratio);
    canvas.style.width = `${cssWidth}px`;
    canvas.style.height = `${cssHeight}px`;
    const context = canvas.getContext('2d')!;
    context.setTransform(ratio, 0, 0, ratio, ratio, ratio);
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const shown = look.cell(y, x);
        if (shown) this.#drawCell(context, shown, y, x);
      }
    }
    for (const frame of look.frames ?? []) this.#drawFrame(context, frame);
  }

  #drawCell(context: CanvasRenderingContext2D, shown: Cell, y: number, x: number): void {
    const cell = this.#cell;
    const gap = cell >= 12 ? 1 : cell >= 5 ? 0.5 : 0;
    const [left, top, side] = [x * cell + gap, y * cell + gap, cell - 2 * gap];
    context.globalAlpha = shown.opacity ?? 1;
    context.beginPath();
    context.roundRect(left, top, side, side, cell >= 12 ? 3 : 0);
    context.fillStyle = this.#palette.colour(shown.fill ?? '--well');
    context.fill();
    if (shown.text !== undefined && cell >= LEAST_FOR_TEXT) {
      const size = Math.min(cell * 0.42, 15, (cell * 1.5) / shown.text.length);
      context.font = `${shown.ring ? '600 ' : ''}${size}px ${FONT}`;
      context.fillStyle = this.#palette.colour(shown.ink ?? '--ink');
      context.fillText(shown.text, left + side / 2, top + side / 2 + 0.5);
    }
    context.globalAlpha = 1;
    if (shown.dot === true) {
      const radius = Math.min(2.5, cell / 6);
      context.beginPath();
      context.arc(left + side - 2 * radius, top + 2 * radius, radius, 0, 2 * Math.PI);
      context.fillStyle = this.#palette.colour('--accent');
      context.fill();
    }
    if (shown.ring !== undefined) {
      const thick = cell >= 12 ? 2 : 1;
      context.beginPath();
      context.roundRect(left + thick / 2, top + thick / 2, side - thick, side - thick, cell >= 12 ? 2 : 0);
      context.lineWidth = thick;
      context.strokeStyle = this.#palette.colour(shown.ring);
      context.stroke();
    }
  }

  #drawFrame(context: CanvasRenderingContext2D, { at, size, colour, dashed }: Frame): void {
    const cell = this.#cell;
    context.setLineDash(dashed === true ? [4, 3] : []);
    context.lineWidth = dashed === true ? 1.5 : 2;
    context.strokeStyle = this.#palette.colour(colour);
    context.strokeRect(at[1] * cell, at[0] * cell, size[1] * cell, size[0] * cell);
    context.setLineDash([]);
  }

  #point(event: PointerEvent): void {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const at: Size = [
      Math.floor((event.clientY - top - 1) / this.#cell),
      Math.floor((event.clientX - left - 1) / this.#cell),
    ];
    const isInside = at.every((place, axis) => place >= 0 && place < this.#size[axis as 0 | 1]);
    if (!isInside || (event.type === 'pointermove' && at[0] === this.#at[0] && at[1] === this.#at[1])) return;
    this.#pick(at);
  }

  #walk(event: KeyboardEvent): void {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || !this.onPick || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const along = (axis: 0 | 1): number => Math.min(Math.max(this.#at[axis] + step[axis]!, 0), this.#size[axis] - 1);
    this.#pick([along(0), along(1)]);
  }

  #pick(at: Size): void {
    this.#at = at;
    this.onPick?.(at);
  }
}
