import { find } from '../../page.ts';
import type { Errors } from './learn.ts';

/** Of the drawing, which is stretched to where it is shown. */
const WIDTH = 288;
const HEIGHT = 120;
const MARGIN = 10;

/** Draws the errors since learning began, at equal distances; the last one comes at `part` of the width. */
export function drawCurve(root: ParentNode, points: readonly Errors[], part: number): void {
  const all = points.flatMap(({ learning, held }) => [levels(learning), levels(held)]);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const across = (i: number): number => (WIDTH * part * i) / Math.max(1, points.length - 1);
  const down = (error: number): number =>
    MARGIN + ((HEIGHT - 2 * MARGIN) * (most - levels(error))) / Math.max(most - least, Number.MIN_VALUE);
  const lines = {
    '.from-learning': points.map(({ learning }, i) => [across(i), down(learning)]),
    '.from-held': points.map(({ held }, i) => [across(i), down(held)]),
    '.from-bilinear': points.slice(0, 1).flatMap(({ held }) => [0, WIDTH].map((x) => [x, down(held)])),
  };
  for (const [selector, line] of Object.entries(lines)) {
    const text = line.map((place) => place.map((value) => value.toFixed(1)).join()).join(' ');
    find(`polyline${selector}`, SVGPolylineElement, root).setAttribute('points', text);
  }
}

/** The root of a mean squared error, in levels of 255. */
export const levels = (error: number): number => 255 * Math.sqrt(error);

/** Peak signal-to-noise ratio. */
export const decibels = (error: number): number => -10 * Math.log10(error);
