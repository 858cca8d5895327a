/**
 * Draws the demo's sample picture, a harbour in the evening, and writes it beside this file:
 *
 *     node demo/pictures/harbour.mjs
 *
 * It is made to be enlarged: soft gradients, noise at every scale, ropes thinner than a pixel, lettering, a net.
 */
import { writeFile } from 'node:fs/promises';
import puppeteer from 'puppeteer';
import { findBrowser } from '../../scripts/browser.mjs';

const WIDTH = 360;
const HEIGHT = 240;
/** It is drawn larger and then reduced, as a lens does. */
const OVERSAMPLING = 4;

const browser = await puppeteer.launch({ executablePath: await findBrowser(), args: ['--no-sandbox'] });
try {
  const page = await browser.newPage();
  const base64 = await page.evaluate(drawHarbour, WIDTH, HEIGHT, OVERSAMPLING);
  await writeFile(new URL('harbour.webp', import.meta.url), Buffer.from(base64, 'base64'));
} finally {
  await browser.close();
}

/**
 * Runs in the browser, so it holds all that it needs.
 * @param {number} width
 * @param {number} height
 * @param {number} oversampling
 * @returns {string} a WebP file in base64
 */
function drawHarbour(width, height, oversampling) {
  const W = width * oversampling;
  const H = height * oversampling;
  const HORIZON = 0.58;
  const SUN = { x: 0.63, y: 0.5 };

  // --- noise -----------------------------------------------------------------------------------------------------

  /** @param {number} x @param {number} y */
  const hash = (x, y) => {
    let h = Math.imul(x, 374761393) ^ Math.imul(y, 668265263);
    h = Math.imul(h ^ (h >>> 13), 1274126177);
    return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
  };
  /** @param {number} t */
  const smooth = (t) => t * t * (3 - 2 * t);
  /** @param {number} a @param {number} b @param {number} t */
  const mix = (a, b, t) => a + (b - a) * t;
  /** @param {number} low @param {number} high @param {number} t */
  const ramp = (low, high, t) => smooth(Math.min(1, Math.max(0, (t - low) / (high - low))));
  /** @param {number} x @param {number} y */
  const noise = (x, y) => {
    const i = Math.floor(x);
    const j = Math.floor(y);
    const u = smooth(x - i);
    const v = smooth(y - j);
    return mix(mix(hash(i, j), hash(i + 1, j), u), mix(hash(i, j + 1), hash(i + 1, j + 1), u), v);
  };
  /** @param {number} x @param {number} y @param {number} octaves */
  const fractal = (x, y, octaves) => {
    let sum = 0;
    for (let o = 0, amplitude = 0.5; o < octaves; o++, amplitude /= 2) {
      sum += amplitude * noise(x * 2 ** o + 17 * o, y * 2 ** o - 31 * o);
    }
    return sum;
  };

  // --- sky, hills and water, pixel by pixel; colours are linear light ----------------------------------------------

  /** @typedef {[number, number, number]} Colour */
  /** @param {Colour} a @param {Colour} b @param {number} t @returns {Colour} */
  const blend = (a, b, t) => [mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)];

  /** @param {number} x @param {number} y @returns {Colour} */
  const sky = (x, y) => {
    const up = (HORIZON - y) / HORIZON;
    /** @type {Colour} */
    let colour = blend([0.92, 0.47, 0.2], [0.46, 0.42, 0.5], ramp(-0.05, 0.34, up));
    colour = blend(colour, [0.05, 0.13, 0.3], ramp(0.2, 1.05, up));
    const distance = Math.hypot((x - SUN.x) * 1.5, y - SUN.y);
    colour = blend(colour, [1.5, 0.95, 0.42], Math.exp(-distance * 7) * 0.9);
    const cloud = fractal(x * 3.2 + 5, y * 11 + fractal(x * 6, y * 6, 3) * 1.6, 6);
    const cover = ramp(0.5, 0.68, cloud) * ramp(-0.1, 0.35, up) * 0.8;
    const lit = ramp(0.75, 0.45, cloud) * Math.exp(-distance * 1.3);
    colour = blend(colour, blend([0.19, 0.17, 0.26], [1.35, 0.6, 0.36], lit), cover);
    return blend(colour, [2.6, 2.1, 1.2], ramp(0.036, 0.03, distance));
  };

  /** @type {{ base: number, rise: number, scale: number, seed: number, colour: Colour, grain: number }[]} */
  const hills = [
    { base: 0.515, rise: 0.15, scale: 2.3, seed: 3, colour: [0.42, 0.29, 0.33], grain: 0.02 },
    { base: 0.555, rise: 0.15, scale: 3.1, seed: 41, colour: [0.2, 0.16, 0.21], grain: 0.05 },
    { base: 0.59, rise: 0.11, scale: 4.3, seed: 97, colour: [0.055, 0.07, 0.08], grain: 0.4 },
  ];

  /** @param {number} x @param {number} y @returns {Colour} */
  const land = (x, y) => {
    let colour = sky(x, y);
    for (const { base, rise, scale, seed, colour: hill, grain } of hills) {
      const ridge =
        base - rise * (fractal(x * scale + seed, seed, 7) - 0.32) - 0.05 * Math.abs(x - 0.72) * (seed === 97 ? 2 : 0);
      if (y < ridge) continue;
      const texture = 1 + grain * (fractal(x * 70 + seed, y * 110, 4) - 0.47) * 2;
      const haze = ramp(0.1, 0, HORIZON - y) * 0.35;
      colour = blend([hill[0] * texture, hill[1] * texture, hill[2] * texture], [0.75, 0.42, 0.28], haze);
    }
    return colour;
  };

  /** @param {number} x @param {number} y @returns {Colour} */
  const water = (x, y) => {
    const depth = (y - HORIZON) / (1 - HORIZON);
    const perspective = 1 / (depth + 0.035);
    const waves = fractal((x - 0.5) * 9 * perspective, perspective * 17, 5) - 0.47;
    const reflected = land(
      x + waves * 0.02,
      Math.max(0, HORIZON - (y - HORIZON) * 0.95 + waves * 0.22 * (0.3 + depth)),
    );
    const colour = blend(reflected, [0.012, 0.045, 0.075], 0.24 + 0.42 * depth + waves * 0.45);
    const glint = Math.exp(-(((x - SUN.x) / (0.035 + 0.1 * depth)) ** 2)) * ramp(0.02, 0.24, waves);
    return blend(colour, [2.2, 1.35, 0.6], glint * (1 - 0.5 * depth));
  };

  const canvas = document.createElement('canvas');
  canvas.width = W;
  canvas.height = H;
  const context = canvas.getContext('2d');
  if (!context) throw new Error('no canvas');
  const image = context.createImageData(W, H);
  /** @param {number} light linear, to a byte with a film's soft shoulder */
  const develop = (light) => 255 * (1 - Math.exp(-1.35 * Math.max(0, light))) ** (1 / 2.2) * 1.02;
  for (let j = 0; j < H; j++) {
    for (let i = 0; i < W; i++) {
      const y = j / H;
      const colour = (y < HORIZON ? land : water)(i / W, y);
      const at = 4 * (j * W + i);
      for (let c = 0; c < 3; c++) image.data[at + c] = develop(colour[c] ?? 0);
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);

  // --- what people built, with the pen; coordinates are those of the small picture ---------------------------------

  context.scale(oversampling, oversampling);
  context.lineCap = 'round';
  context.lineJoin = 'round';
  /** @param {string | CanvasGradient} fill @param {number[]} points x, y, x, y … */
  const shape = (fill, points) => {
    context.beginPath();
    for (let p = 0; p < points.length; p += 2) context.lineTo(points[p] ?? 0, points[p + 1] ?? 0);
    context.closePath();
    context.fillStyle = fill;
    context.fill();
  };
  /** @param {string} stroke @param {number} thickness @param {number[]} points */
  const line = (stroke, thickness, points) => {
    context.beginPath();
    for (let p = 0; p < points.length; p += 2) context.lineTo(points[p] ?? 0, points[p + 1] ?? 0);
    context.strokeStyle = stroke;
    context.lineWidth = thickness;
    context.stroke();
  };
  /** @param {number} x0 @param {number} x1 @param {[number, string][]} stops */
  const across = (x0, x1, stops) => {
    const gradient = context.createLinearGradient(x0, 0, x1, 0);
    for (const [offset, colour] of stops) gradient.addColorStop(offset, colour);
    return gradient;
  };

  // The lighthouse on its rock, lit from the right.
  const rock = [18, 142];
  for (let k = 0; k <= 24; k++) rock.push(20 + k * 3, 139 - 9 * Math.sin((k / 24) * Math.PI) - 5 * hash(k, 9));
  shape('#1b1d22', [...rock, 96, 142]);
  for (let band = 0; band < 7; band++) {
    const y = 126 - band * 10;
    const half = 8.6 - band * 0.62;
    const [shade = '', light = ''] = band % 2 ? ['#5e5a66', '#f3dcc0'] : ['#4a1417', '#d3452f'];
    shape(
      across(57 - half, 57 + half, [
        [0, shade],
        [0.55, shade],
        [1, light],
      ]),
      [57 - half, y, 57 + half, y, 57 + half - 0.62, y - 10, 57 - half + 0.62, y - 10],
    );
  }
  shape('#17171b', [50, 56, 64, 56, 64, 54.5, 50, 54.5]);
  shape('#fff3c2', [53.5, 54.5, 60.5, 54.5, 60.5, 46.5, 53.5, 46.5]);
  shape('#2a1114', [52.5, 46.5, 61.5, 46.5, 57, 40.5]);
  for (const x of [53.5, 55.8, 58.2, 60.5]) line('#17171b', 0.5, [x, 54.5, x, 46.5]);
  for (let x = 49.6; x < 65; x += 1.6) line('#17171b', 0.35, [x, 54.5, x, 50.8]);
  line('#17171b', 0.45, [49.6, 50.8, 64.4, 50.8]);
  line('#17171b', 0.5, [57, 40.5, 57, 35]);
  for (const [x, y] of /** @type {const} */ ([
    [56, 74],
    [58, 94],
    [56.5, 112],
  ]))
    shape('#20151a', [x, y, x + 2, y, x + 2, y + 4, x, y + 4]);
  const beam = context.createRadialGradient(57, 50, 1, 57, 50, 26);
  beam.addColorStop(0, 'rgb(255 240 190 / 0.75)');
  beam.addColorStop(1, 'rgb(255 240 190 / 0)');
  context.fillStyle = beam;
  context.fillRect(30, 24, 54, 52);

  // A sailing boat, its rigging thinner than a pixel.
  shape(
    across(138, 172, [
      [0, '#c9b39d'],
      [1, '#fff1d8'],
    ]),
    [176, 58, 176, 158, 134, 158, 150, 118, 166, 82],
  );
  shape(
    across(178, 214, [
      [0, '#e9cfae'],
      [1, '#b98f73'],
    ]),
    [179, 70, 213, 156, 181, 152],
  );
  for (let y = 74; y < 158; y += 12) line('rgb(90 70 60 / 0.5)', 0.3, [176, y, 176 - (y - 58) * 0.42, y + 1]);
  context.font = '700 15px "Liberation Sans Narrow", sans-serif';
  context.fillStyle = '#1f3c5c';
  context.fillText('K27', 152, 140);
  line('#2a1c14', 1.4, [177.5, 46, 177.5, 168]);
  line('#2a1c14', 1, [177, 160, 130, 161]);
  line('#1b1512', 0.3, [177.5, 47, 222, 164]);
  line('#1b1512', 0.3, [177.5, 47, 126, 166]);
  line('#1b1512', 0.25, [177.5, 80, 206, 167]);
  line('#1b1512', 0.25, [177.5, 80, 152, 167]);
  shape('#b8322c', [177.5, 46, 177.5, 51, 189, 49.5, 186, 48, 189, 46.2]);
  shape(
    across(124, 224, [
      [0, '#10222f'],
      [0.6, '#1d4258'],
      [1, '#4a7482'],
    ]),
    [122, 166, 225, 163, 214, 180, 206, 183, 136, 183],
  );
  line('#e8d9bd', 1, [122.5, 166.5, 224.6, 163.5]);
  context.font = '600 9px "Liberation Serif", serif';
  context.fillStyle = '#f0e2c4';
  context.fillText('Annelise', 160, 177);
  for (let k = 0; k < 40; k++) {
    const y = 184 + k * 0.75;
    const w = 40 - k * 0.5;
    line(`rgb(14 30 40 / ${String(0.45 - k * 0.01)})`, 0.7, [172 - w * hash(k, 1), y, 172 + w * hash(k, 2), y + 0.2]);
  }

  // The quay: planks, posts, a rope, a net hung to dry, and a sign.
  const wood = context.createLinearGradient(0, 204, 0, 240);
  wood.addColorStop(0, '#6a4d3c');
  wood.addColorStop(1, '#2c211d');
  shape(wood, [0, 210, 360, 198, 360, 240, 0, 240]);
  for (let k = 0; k < 46; k++) {
    const x = k * 9 - 20;
    line('rgb(14 10 9 / 0.8)', 0.7, [x + 6, 211 - (x / 360) * 12, x * 1.25 - 45, 240]);
    for (let g = 0; g < 5; g++) {
      const t = hash(k, g + 20);
      line('rgb(236 190 140 / 0.16)', 0.3, [
        x + 7 + g * 1.6,
        212 - (x / 360) * 12 + t * 8,
        x + 3 + g * 1.7,
        226 + t * 10,
      ]);
    }
  }
  line('#d7a878', 0.5, [0, 209.8, 360, 197.8]);
  for (const x of [246, 345]) {
    shape(
      across(x, x + 7, [
        [0, '#1c1412'],
        [0.6, '#4a342a'],
        [1, '#c58a5c'],
      ]),
      [x, 226, x + 7, 226, x + 6.6, 136, x + 0.4, 136],
    );
    shape('#dba878', [x + 0.4, 136, x + 6.6, 136, x + 5.6, 134.4, x + 1.4, 134.4]);
  }
  /** Height of the net's upper rope. @param {number} x */
  const sag = (x) => 150 + 10 * Math.sin((Math.PI * (x - 249)) / 99);
  const rope = [];
  for (let x = 249; x <= 348; x += 1.5) rope.push(x, sag(x));
  line('#e4c79a', 1.1, rope);
  for (let k = 0; k < 50; k++) {
    const x = 250 + k * 2;
    line('rgb(214 226 214 / 0.75)', 0.28, [
      x,
      sag(x),
      x + 17 > 348 ? 348 : x + 17,
      x + 17 > 348 ? sag(x) + (348 - x) * 2.4 : sag(x) + 41,
    ]);
    line('rgb(214 226 214 / 0.75)', 0.28, [
      x,
      sag(x),
      x - 17 < 250 ? 250 : x - 17,
      x - 17 < 250 ? sag(x) + (x - 250) * 2.4 : sag(x) + 41,
    ]);
  }
  for (let k = 0; k < 11; k++) {
    context.beginPath();
    context.ellipse(255 + k * 8.8, sag(255 + k * 8.8) + 1, 1.9, 1.5, 0, 0, 7);
    context.fillStyle = k % 2 ? '#e8803a' : '#f2e2c2';
    context.fill();
  }

  shape(
    across(24, 30, [
      [0, '#2a1d18'],
      [1, '#a8744e'],
    ]),
    [24, 230, 29, 230, 29, 158, 24, 158],
  );
  context.save();
  context.translate(27, 172);
  context.rotate(-0.03);
  shape('#f1e3c6', [-20, -11, 58, -11, 66, 0, 58, 11, -20, 11]);
  line('#4b3527', 0.6, [-20, -11, 58, -11, 66, 0, 58, 11, -20, 11, -20, -11]);
  context.fillStyle = '#2b2320';
  context.font = '700 11px "Liberation Serif", serif';
  context.fillText('OLD HARBOUR', -16, -1, 74);
  context.font = '6.5px "Liberation Sans", sans-serif';
  context.fillText('ferry 10.45 · 12.30 · 17.15', -16, 7.5, 74);
  context.restore();
  // A bicycle wheel against the sign post: spokes.
  context.strokeStyle = '#0f0d0d';
  for (const [radius, thickness] of /** @type {const} */ ([
    [15, 1.2],
    [13.6, 0.3],
    [1.2, 0.9],
  ])) {
    context.beginPath();
    context.arc(104, 209, radius, 0, 7);
    context.lineWidth = thickness;
    context.stroke();
  }
  for (let k = 0; k < 28; k++) {
    const angle = (k / 28) * 2 * Math.PI;
    line('rgb(235 225 210 / 0.8)', 0.25, [104, 209, 104 + 14.4 * Math.cos(angle), 209 + 14.4 * Math.sin(angle)]);
  }
  // Gulls.
  for (const [x, y, s] of /** @type {const} */ ([
    [232, 40, 5],
    [246, 47, 3.5],
    [222, 52, 3],
    [300, 30, 4],
  ])) {
    context.beginPath();
    context.moveTo(x - s, y - s * 0.3);
    context.quadraticCurveTo(x - s * 0.4, y - s * 0.7, x, y);
    context.quadraticCurveTo(x + s * 0.4, y - s * 0.8, x + s, y - s * 0.45);
    context.strokeStyle = '#20242c';
    context.lineWidth = 0.7;
    context.stroke();
  }

  // --- reduce, and add the grain of a film ---------------------------------------------------------------------------

  const small = document.createElement('canvas');
  small.width = width;
  small.height = height;
  const target = small.getContext('2d');
  if (!target) throw new Error('no canvas');
  const large = context.getImageData(0, 0, W, H).data;
  const picture = target.createImageData(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const grain = (hash(x, y + 5000) + hash(x + 9000, y) - 1) * 5;
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < oversampling ** 2; k++) {
          const row = y * oversampling + Math.floor(k / oversampling);
          sum += large[4 * (row * W + x * oversampling + (k % oversampling)) + c] ?? 0;
        }
        picture.data[4 * (y * width + x) + c] = sum / oversampling ** 2 + grain;
      }
      picture.data[4 * (y * width + x) + 3] = 255;
    }
  }
  target.putImageData(picture, 0, 0);
  return small.toDataURL('image/webp', 0.95).replace(/^[^,]*,/, '');
}
