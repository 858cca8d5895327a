/** The words of the shaders' `Params` and residue tables. */
import type { Problem } from '../problem.ts';

/** A problem as a kernel's `struct Params`. Vectors come first, so that alignment leaves no gaps; zeros fill up the last vec4. */
export function paramWords(problem: Problem, negativeSlope: number): Uint32Array {
  const { rows, columns, input, output, weight, bias } = problem;
  return Uint32Array.from([
    ...[input.batch, input.channel, input.row, input.column],
    ...[output.batch, output.channel, output.row, output.column],
    ...[rows.input, columns.input],
    ...[rows.output, columns.output],
    ...[rows.stride, columns.stride],
    ...[rows.tapStep, columns.tapStep],
    ...[rows.inputStep, columns.inputStep],
    ...[problem.batch, problem.groups, problem.inChannels, problem.outChannels],
    ...[input.group, output.group, weight.group, weight.tap, weight.channel, bias.group],
    ...[input.base, output.base, weight.base, bias.base],
    columns.kernel,
    ...new Uint32Array(Float32Array.of(negativeSlope).buffer),
    ...[0, 0],
  ]);
}

/** The residues of the rows, then of the columns, each a `struct Residue`. */
export function residueWords({ rows, columns }: Problem): Uint32Array {
  return Uint32Array.from(
    [rows, columns].flatMap(({ residues }) => {
      const ranked = residues.map((_, r) => r).sort((a, b) => residues[b]!.taps - residues[a]!.taps);
      return residues.flatMap(({ taps, firstTap, firstInput, positions }, r) => [
        ...[taps, firstTap, firstInput, positions, ranked[r]!],
      ]);
    }),
  );
}
