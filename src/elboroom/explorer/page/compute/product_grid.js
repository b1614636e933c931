/**
 * Return every tuple of some values, the last place running fastest.
 *
 * @param {number[]} values
 * @param {number} places
 * @returns {number[][]}
 */
export function productGrid(values, places) {
  if (places === 0) return [[]];
  const shorter = productGrid(values, places - 1);
  return shorter.flatMap((start) => values.map((value) => [...start, value]));
}

/** Return the whole numbers from `start` up to but without `end`. */
export function range(start, end) {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
