/**
 * An end of a path: a row of the data, or a point of the plane.
 *
 * @typedef {{row: number} | {point: number[]}} End
 */

/**
 * Read ends from the address.
 *
 * @param {string} text such as "3;0.51,-1.2".
 * @returns {End[]}
 */
export function readEnds(text) {
  return text
    .split(";")
    .map((end) =>
      end.includes(",") ? { point: end.split(",").map(Number) } : { row: Number(end) },
    );
}

/**
 * Write ends for the address.
 *
 * @param {End[]} ends
 * @returns {string}
 */
export function textOfEnds(ends) {
  return ends
    .map(({ row, point }) =>
      point ? point.map((value) => value.toFixed(3)).join(",") : String(row),
    )
    .join(";");
}

/**
 * Name an end for people.
 *
 * @param {End} end
 * @returns {string}
 */
export function nameOfEnd({ row, point }) {
  return point ? "a place on the plane" : `row ${row}`;
}
