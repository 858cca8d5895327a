/** The outputs as a landscape, seen from a side that can be turned. Drawn on a 2-D canvas, far faces first. */
import { mat4, vec3, type Mat4 } from 'wgpu-matrix';
import { WINDOW } from './flat.ts';
import { greyOf, type Shade } from './shades.ts';

/** Of the outputs, so many are shown: enough to see the pattern, few enough to see the steps. */
const SIDE = 13;
const HEIGHT = 0.45;
const FIRST_TURN = Math.PI / 5;
const FIRST_TILT = Math.PI / 5;
const TILTS = [0.15, 1.45] as const;

interface Point {
  readonly x: number;
  readonly y: number;
  /** The farther from the eye, the larger. */
  readonly depth: number;
}

interface Face {
  readonly corners: readonly Point[];
  readonly depth: number;
  readonly grey: number;
}

export class Surface {
  readonly #canvas: HTMLCanvasElement;
  #turn = FIRST_TURN;
  #tilt = FIRST_TILT;
  #values: ArrayLike<number> = [];
  #shade: Shade = () => 0.5;
  #frame = 0;

  /** `holder` takes the focus: arrow keys turn the landscape, as dragging it does. */
  constructor(holder: HTMLElement, canvas: HTMLCanvasElement, signal: AbortSignal) {
    this.#canvas = canvas;
    holder.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.#rotate(step[0]! * 0.12, step[1]! * 0.08);
    });
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) this.#rotate(-event.movementX * 0.01, event.movementY * 0.006);
    });
    signal.addEventListener('abort', () => {
      cancelAnimationFrame(this.#frame);
    });
  }

  show(values: ArrayLike<number>, shade: Shade): void {
    this.#values = values;
    this.#shade = shade;
    this.redraw();
  }

  redraw(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      if (this.#values.length > 0) this.#draw();
    });
  }

  #rotate(turn: number, tilt: number): void {
    this.#turn += turn;
    this.#tilt = Math.min(Math.max(this.#tilt + tilt, TILTS[0]), TILTS[1]);
    this.redraw();
  }

  #draw(): void {
    const canvas = this.#canvas;
    const ratio = window.devicePixelRatio;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext('2d')!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.lineJoin = 'round';
    for (const { corners, grey } of this.#faces(this.#camera(width / height), width, height)) {
      context.beginPath();
      for (const { x, y } of corners) context.lineTo(x, y);
      context.closePath();
      const colour = `rgb(${grey} ${grey} ${grey})`;
      context.fillStyle = colour;
      context.fill();
      // Neighbouring faces would let the ground shine through.
      context.strokeStyle = colour;
      context.lineWidth = 0.75;
      context.stroke();
    }
  }

  /** From the landscape, 2 × 2 around the origin with y upwards, to the canvas. */
  #camera(aspect: number): Mat4 {
    const [turn, tilt] = [this.#turn, this.#tilt];
    const distance = 4.7;
    const eye = vec3.create(
      distance * Math.cos(tilt) * Math.sin(turn),
      distance * Math.sin(tilt),
      distance * Math.cos(tilt) * Math.cos(turn),
    );
    const projection = mat4.perspective(Math.PI / 4.6, aspect, 0.1, 10);
    return mat4.multiply(projection, mat4.lookAt(eye, [0, 0, 0], [0, 1, 0]));
  }

  /** One step per output: its top, and the walls down to lower neighbours; far ones first. */
  #faces(camera: Mat4, width: number, height: number): Face[] {
    const faces: Face[] = [];
    const level = (shade: number): number => (shade - 0.5) * 2 * HEIGHT;
    const project = (x: number, y: number, z: number): Point => {
      const [px = 0, py = 0, depth = 0] = vec3.transformMat4([x, y, z], camera);
      return { x: ((px + 1) / 2) * width, y: ((1 - py) / 2) * height, depth };
    };
    const add = (corners: Point[], grey: number): void => {
      faces.push({ corners, depth: corners.reduce((sum, { depth }) => sum + depth, 0) / corners.length, grey });
    };
    const shadeAt = (row: number, column: number): number => this.#shade(this.#values[row * WINDOW + column]!);
    const edge = (at: number): number => (2 * at) / SIDE - 1;
    const floor = level(0) - 0.04;
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) {
        const shade = shadeAt(row, column);
        const top = level(shade);
        const grey = greyOf(shade);
        const [north, south, west, east] = [edge(row), edge(row + 1), edge(column), edge(column + 1)];
        add(
          [project(west, top, north), project(east, top, north), project(east, top, south), project(west, top, south)],
          grey,
        );
        const wall = (
          dRow: number,
          dColumn: number,
          a: readonly [number, number],
          b: readonly [number, number],
          light: number,
        ): void => {
          const [y, x] = [row + dRow, column + dColumn];
          const isOutside = y < 0 || x < 0 || y >= SIDE || x >= SIDE;
          const bottom = isOutside ? floor : level(shadeAt(y, x));
          if (bottom >= top) return;
          add(
            [
              project(a[0], top, a[1]),
              project(b[0], top, b[1]),
              project(b[0], bottom, b[1]),
              project(a[0], bottom, a[1]),
            ],
            Math.round(grey * light),
          );
        };
        wall(-1, 0, [west, north], [east, north], 0.82);
        wall(1, 0, [west, south], [east, south], 0.72);
        wall(0, -1, [west, north], [west, south], 0.62);
        wall(0, 1, [east, north], [east, south], 0.55);
      }
    }
    return faces.sort((a, b) => b.depth - a.depth);
  }
}
