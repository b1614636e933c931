/**
 * What an address may say of one part of a view's state.
 *
 * @typedef {object} Rule
 * @property {(text: string) => boolean} allows
 * @property {string} words what is expected, for people.
 */

const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;

export const LARGEST_SEED = 2 ** 31 - 1;
/** The seed of a draw. */
export const SEED = wholeNumber(0, LARGEST_SEED);

/** A switch that is on or off. */
export const SWITCH = { allows: (text) => text === "" || text === "on", words: "on, or nothing" };

/**
 * Return the rule of one of some values.
 *
 * @param {string[]} values
 * @returns {Rule}
 */
export function oneOf(values) {
  const words = values.length === 1 ? values[0] : `one of ${values.join(", ")}`;
  return { allows: (text) => values.includes(text), words };
}

/**
 * Return the rule of a whole number, both ends included.
 *
 * @param {number} least
 * @param {number} most
 * @returns {Rule}
 */
export function wholeNumber(least, most) {
  const inside = (value) => value >= least && value <= most;
  return {
    allows: (text) =>
      /^\d{1,10}$/.test(text) && String(Number(text)) === text && inside(Number(text)),
    words: `a whole number from ${least} to ${most}`,
  };
}

/**
 * Return the rule of a number, both ends included.
 *
 * @param {number} least
 * @param {number} most
 * @returns {Rule}
 */
export function numberWithin(least, most) {
  const inside = (value) => value >= least && value <= most;
  return {
    allows: (text) => NUMBER.test(text) && inside(Number(text)),
    words: `a number from ${least} to ${most}`,
  };
}

/**
 * Return the rule of what one of two rules allows.
 *
 * @param {Rule} one
 * @param {Rule} other
 * @returns {Rule}
 */
export function either(one, other) {
  const allows = (text) => one.allows(text) || other.allows(text);
  return { allows, words: `${one.words}, or ${other.words}` };
}

/**
 * Return the rule of a list.
 *
 * @param {Rule} rule of each part.
 * @param {string} separator between two parts.
 * @param {number[]} counts how many parts there may be; none allows any number of them, also none.
 * @returns {Rule}
 */
export function listOf(rule, separator, counts = null) {
  const fits = (parts) => counts === null || counts.includes(parts.length);
  const number = counts === null ? "" : `${counts.join(" or ")} times `;
  return {
    allows: (text) => {
      const parts = text.split(separator);
      return (counts === null && text === "") || (fits(parts) && parts.every(rule.allows));
    },
    words: `${number}${rule.words}, parted by "${separator}"`,
  };
}

/**
 * Return the rule of a place on a plane.
 *
 * @returns {Rule}
 */
export function point() {
  return { ...listOf(numberWithin(-1e6, 1e6), ",", [2]), words: "two numbers" };
}

/**
 * Return the rule of the name of a plane: a usual one of the run, or two of its latents.
 *
 * @param {{axes: string[], latents: number}} run
 * @returns {Rule}
 */
export function planeOf({ axes, latents }) {
  const pair = listOf(wholeNumber(0, latents - 1), ",", [2]);
  const different = (text) => new Set(text.split(",")).size === 2;
  return {
    allows: (text) =>
      axes.includes(text) || (axes.length > 0 && pair.allows(text) && different(text)),
    words:
      axes.length > 0 ? `${axes.join(", ")}, or two latents from 0 to ${latents - 1}` : "nothing",
  };
}

/**
 * Return the rule of the number of a row.
 *
 * @param {{rows: number}} run
 * @returns {Rule}
 */
export function rowOf({ rows }) {
  return wholeNumber(0, rows - 1);
}
