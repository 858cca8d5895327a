/** The outputs as a landscape, seen from a side that can be turned. Drawn on a 2-D canvas, far columns first. */
import { mat4, vec3 } from 'wgpu-matrix';
import { WINDOW } from './flat.ts';
import { greyOf, type Shade } from './shades.ts';

/** Of the outputs, so many are shown: enough to see the pattern, few enough to see the steps. */
const SIDE = 13;
const HEIGHT = 0.45;
/** How much of a column is left where its output is darkest. */
const BASE = 0.04;
const DISTANCE = 4.7;
/** What is in the middle of the picture: the near corner, which is drawn larger, leaves more room above than below. */
const MIDDLE: Point = [0, -0.2, 0];
const FIRST_TURN = Math.PI / 5;
const FIRST_TILT = Math.PI / 5;
const TILTS = [0.15, 1.45] as const;

type Point = readonly [x: number, y: number, z: number];

/** On the ground. */
type Place = readonly [x: number, z: number];

interface Face {
  readonly corners: readonly Point[];
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
    const eye = this.#eye();
    // From the landscape, 2 × 2 around the origin with y upwards, to the canvas.
    const camera = mat4.multiply(
      mat4.perspective(Math.PI / 4.6, width / height, 0.1, 10),
      mat4.lookAt(eye, MIDDLE, [0, 1, 0]),
    );
    for (const { corners, grey } of this.#faces(eye)) {
      context.beginPath();
      for (const corner of corners) {
        const [x = 0, y = 0] = vec3.transformMat4(corner, camera);
        context.lineTo(((x + 1) / 2) * width, ((1 - y) / 2) * height);
      }
      context.closePath();
      context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
      context.fill();
      // Edges, without which the lightest faces would be lost on a light ground.
      const edge = Math.round(0.78 * grey);
      context.strokeStyle = `rgb(${edge} ${edge} ${edge})`;
      context.lineWidth = 0.75;
      context.stroke();
    }
  }

  #eye(): Point {
    const [turn, tilt] = [this.#turn, this.#tilt];
    return [
      DISTANCE * Math.cos(tilt) * Math.sin(turn),
      DISTANCE * Math.sin(tilt),
      DISTANCE * Math.cos(tilt) * Math.cos(turn),
    ];
  }

  /**
   * Each output is a column: the walls that the eye sees, down to lower neighbours, then its top. Columns come from the
   * farthest to the nearest, and a wall belongs to the higher of two columns, so that whatever is drawn later lies in front.
   */
  #faces([eyeX, , eyeZ]: Point): Face[] {
    const level = (shade: number): number => (shade - 0.5) * 2 * HEIGHT;
    const edge = (at: number): number => (2 * at) / SIDE - 1;
    const shadeAt = (row: number, column: number): number => this.#shade(this.#values[row * WINDOW + column]!);
    const columnOf = (row: number, column: number): Face[] => {
      const shade = shadeAt(row, column);
      const [top, grey] = [level(shade), greyOf(shade)];
      const [north, south, west, east] = [edge(row), edge(row + 1), edge(column), edge(column + 1)];
      const wall = (y: number, x: number, [ax, az]: Place, [bx, bz]: Place, light: number): Face[] => {
        const isOutside = y < 0 || x < 0 || y >= SIDE || x >= SIDE;
        const bottom = isOutside ? level(0) - BASE : level(shadeAt(y, x));
        if (bottom >= top) return [];
        return [
          {
            corners: [
              [ax, top, az],
              [bx, top, bz],
              [bx, bottom, bz],
              [ax, bottom, az],
            ],
            grey: Math.round(grey * light),
          },
        ];
      };
      return [
        ...(eyeZ < north ? wall(row - 1, column, [west, north], [east, north], 0.82) : []),
        ...(eyeZ > south ? wall(row + 1, column, [west, south], [east, south], 0.72) : []),
        ...(eyeX < west ? wall(row, column - 1, [west, north], [west, south], 0.62) : []),
        ...(eyeX > east ? wall(row, column + 1, [east, north], [east, south], 0.55) : []),
        {
          corners: [
            [west, top, north],
            [east, top, north],
            [east, top, south],
            [west, top, south],
          ],
          grey,
        },
      ];
    };
    const distance = ([x, z]: Place): number => Math.hypot(edge(x + 0.5) - eyeX, edge(z + 0.5) - eyeZ);
    return Array.from({ length: SIDE * SIDE }, (_, at): Place => [at % SIDE, Math.floor(at / SIDE)])
      .sort((a, b) => distance(b) - distance(a))
      .flatMap(([column, row]) => columnOf(row, column));
  }
}
