/**
 * Find the lines along which a table of values has a given level, by marching squares.
 *
 * @param {Float32Array} values (rows, columns) at the corners of square cells.
 * @param {number} columns
 * @param {number} level
 * @returns {number[][]} segments [x, y, u, v] in columns and rows.
 */
export function contourSegments(values, columns, level) {
  const rows = values.length / columns;
  const segments = [];
  for (let row = 0; row + 1 < rows; row += 1) {
    for (let column = 0; column + 1 < columns; column += 1) {
      const crossings = crossingsOf(values, columns, level, row, column);
      for (let i = 0; i + 1 < crossings.length; i += 2)
        segments.push([...crossings[i], ...crossings[i + 1]]);
    }
  }
  return segments;
}

// The corners of a cell in turn, each with the next one an edge.
const CORNERS = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];

function crossingsOf(values, columns, level, row, column) {
  const crossings = [];
  for (let i = 0; i < 4; i += 1) {
    const [dx, dy] = CORNERS[i];
    const [ex, ey] = CORNERS[(i + 1) % 4];
    const start = values[(row + dy) * columns + column + dx];
    const end = values[(row + ey) * columns + column + ex];
    if (start >= level === end >= level) continue;
    const share = shareOf(start, end, level);
    crossings.push([column + dx + share * (ex - dx), row + dy + share * (ey - dy)]);
  }
  return crossings;
}

function shareOf(start, end, level) {
  const share = (level - start) / (end - start);
  return Number.isFinite(share) ? share : 0.5; // a value of −∞ has no place between
}
