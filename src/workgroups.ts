/** Counts of workgroups, as dispatches take them. */

/** Invocations in a workgroup of the passes that convert or permute elements. */
export const CONVERT_WORKGROUP = 64;

/**
 * A linear count of workgroups as a grid: rows as long as the limit lets them be of equal length. Kernels read it back as
 * y · (row length) + x and leave the few beyond the count alone.
 */
export function fold(workgroups: number, perDimension: number): [number, number, number] {
  const rows = Math.ceil(workgroups / perDimension);
  return rows <= 1 ? [workgroups, 1, 1] : [Math.ceil(workgroups / rows), rows, 1];
}
