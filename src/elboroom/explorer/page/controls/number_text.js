const MINUS = "−";
const formats = new Map(); // by their decimals, for making one takes long

function formatOf(decimals) {
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  if (!formats.has(decimals)) formats.set(decimals, new Intl.NumberFormat("en-GB", digits));
  return formats.get(decimals);
}

/**
 * Write a number for people, with a true minus sign.
 *
 * @param {number|null} value
 * @param {number} decimals
 * @returns {string} a dash if there is no number.
 */
export function fixed(value, decimals) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const text = formatOf(decimals).format(Math.abs(value));
  return value < 0 && Number(Math.abs(value).toFixed(decimals)) !== 0 ? MINUS + text : text;
}

/**
 * Write a number of any size with a few significant digits.
 *
 * @param {number|null} value
 * @param {number} digits
 * @returns {string}
 */
export function significant(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7))
    return value.toExponential(digits - 1).replaceAll("-", MINUS);
  const whole =
    size >= 1 ? Math.floor(Math.log10(size)) + 1 : 1 + Math.floor(Math.log10(size || 1));
  return fixed(value, Math.min(8, Math.max(0, digits - whole)));
}

/**
 * Write a mean with its standard error, to the digits that the error supports.
 *
 * @param {number} mean
 * @param {number|null} error
 * @returns {string}
 */
export function withError(mean, error) {
  if (error === null || !Number.isFinite(error) || error === 0) return significant(mean, 4);
  const decimals = Math.min(8, Math.max(0, 1 - Math.floor(Math.log10(error))));
  return `${fixed(mean, decimals)} ± ${fixed(error, decimals)}`;
}

/**
 * Write a duration.
 *
 * @param {number} seconds
 * @returns {string}
 */
export function duration(seconds) {
  return seconds < 1 ? `${fixed(1000 * seconds, 0)} ms` : `${significant(seconds, 3)} s`;
}

/**
 * Write a whole number with its noun.
 *
 * @param {number} number
 * @param {string} noun in the singular.
 * @returns {string} such as "10,000 images".
 */
export function counted(number, noun) {
  return `${fixed(number, 0)} ${noun}${number === 1 ? "" : "s"}`;
}
