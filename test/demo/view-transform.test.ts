import { vec2 } from 'wgpu-matrix';
import { expect, test } from 'vitest';
import {
  constrain,
  fitView,
  fitZoom,
  panBy,
  rescale,
  zoomAt,
  zoomOf,
  type View,
} from '../../demo/src/upsample/view-transform.ts';

const picture = { width: 1000, height: 500 };
const screen = { width: 400, height: 400 };
const map = (view: View, x: number, y: number): number[] =>
  [...vec2.transformMat3(vec2.create(x, y), view)].map((value) => Math.round(value * 1000) / 1000);

test('the picture fits and is centred', () => {
  const view = fitView(picture, screen);
  expect(zoomOf(view)).toBeCloseTo(fitZoom(picture, screen));
  expect(map(view, 0, 0)).toEqual([0, 100]);
  expect(map(view, 1000, 500)).toEqual([400, 300]);
});

test('zooming keeps the point under the pointer', () => {
  const before = panBy(fitView(picture, screen), 30, -20);
  const after = zoomAt(before, 3, [120, 150]);
  expect(zoomOf(after)).toBeCloseTo(3 * zoomOf(before));
  const [x, y] = [(120 - before[8]!) / zoomOf(before), (150 - before[9]!) / zoomOf(before)];
  expect(map(after, x, y)).toEqual([120, 150]);
});

test('no gap opens beside a zoomed picture', () => {
  const near = zoomAt(fitView(picture, screen), 10, [0, 0]);
  expect(map(constrain(panBy(near, 9999, 9999), picture, screen), 0, 0)).toEqual([0, 0]);
  expect(map(constrain(panBy(near, -9999, -9999), picture, screen), 1000, 500)).toEqual([400, 400]);
});

test('a picture of twice the pixels takes the place of its smaller version', () => {
  const view = zoomAt(fitView(picture, screen), 2, [10, 10]);
  expect(map(rescale(view, 0.5), 600, 400)).toEqual(map(view, 300, 200));
});
