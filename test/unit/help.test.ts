// When the calling thread asks workers for help.
import { expect, test } from 'vitest';
import { Help } from '../../src/cpu/help.ts';

/** How many of so many calls have workers, where those make each of them `gain` times as fast as `alone` milliseconds. */
function helped(help: Help, calls: number, gain: number, alone: number): number {
  let count = 0;
  for (let call = 0; call < calls; call++) {
    if (!help.isWanted()) continue;
    count++;
    help.had({ spent: alone / gain, alone });
  }
  return count;
}

test.each([0.2, 1, 5, 30])(
  'calls of %f ms: workers that gain are always asked, others one time in ten or less',
  (alone) => {
    const help = new Help();
    expect(helped(help, 500, 1.7, alone)).toBe(500);
    helped(help, 50, 0.8, alone);
    expect(helped(help, 2000, 0.8, alone)).toBeLessThan(200);
    // Back after a rest and what it takes to know.
    helped(help, 700, 1.7, alone);
    expect(helped(help, 500, 1.7, alone)).toBe(500);
  },
);

test('one bad call among good ones changes nothing, and one that says a lot no more than any good one', () => {
  const help = new Help();
  for (let round = 0; round < 50; round++) {
    expect(helped(help, 9, 1.8, 5)).toBe(9);
    expect(helped(help, 1, 0.8, 5)).toBe(1);
  }
  helped(help, 1, 100, 5);
  expect(helped(help, 10, 0.8, 5)).toBeLessThan(4);
});

test('calls of which the calling thread did nothing say nothing', () => {
  const help = new Help();
  for (let call = 0; call < 100; call++) {
    expect(help.isWanted()).toBe(true);
    help.had({ spent: 0, alone: undefined });
  }
});
