const SPAN = 2 ** 20; // more than the points from one end of the finest lattice to the other

/**
 * The rise of a log-density from the point of a cell: the quadratic through it and those around it.
 *
 * @typedef {object} Rise
 * @property {number[]} slope a.
 * @property {number[]} bend the diagonal of H.
 * @property {number} twist the other entry of H; 0 for one latent.
 * @property {number} limit an upper bound of aᵀu + ½ uᵀHu for u in [−½, ½]^D.
 */

/**
 * Take the central differences of the cells' log-densities; they are 0 at the border.
 *
 * @param {{index: number[], logJoint: number}[]} cells
 * @returns {Rise[]}
 */
export function risesBetween(cells) {
  const known = new Map(cells.map(({ index, logJoint }) => [keyOf(index), logJoint]));
  return cells.map(({ index, logJoint }) => {
    const at = (...step) => known.get(keyOf(index.map((along, d) => along + step[d]))) - logJoint;
    return index.length === 1 ? riseOnLine(at) : riseOnPlane(at);
  });
}

/** Return a number for a lattice point, quicker to look up than its coordinates. */
function keyOf(index) {
  return index.reduce((key, along) => key * SPAN + along, 0);
}

function riseOnLine(at) {
  const [before, after] = [at(-1), at(1)];
  return bounded([(after - before) / 2], [after + before], 0);
}

function riseOnPlane(at) {
  const pairs = [
    [at(-1, 0), at(1, 0)],
    [at(0, -1), at(0, 1)],
  ];
  const slope = pairs.map(([before, after]) => (after - before) / 2);
  const bend = pairs.map(([before, after]) => after + before);
  const twist = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4;
  return bounded(slope, bend, twist);
}

/** Return a rise with its upper bound; what is unknown is 0. */
function bounded(slopes, bends, twists) {
  const [slope, bend] = [slopes, bends].map((values) => values.map(orZero));
  const twist = orZero(twists);
  const steep = slope.reduce((sum, a) => sum + Math.abs(a) / 2, 0);
  const hollow = bend.reduce((sum, h) => sum + Math.max(h, 0) / 8, 0);
  return { slope, bend, twist, limit: steep + hollow + Math.abs(twist) / 4 };
}

function orZero(value) {
  return Number.isNaN(value) ? 0 : value;
}

/**
 * Compute a rise.
 *
 * @param {Rise} rise
 * @param {number[]} u the place in the cell, from −½ to ½.
 */
export function riseAt({ slope, bend, twist }, u) {
  let rise = u.length === 1 ? 0 : twist * u[0] * u[1];
  for (let d = 0; d < u.length; d += 1) rise += slope[d] * u[d] + (bend[d] * u[d] * u[d]) / 2;
  return rise;
}
