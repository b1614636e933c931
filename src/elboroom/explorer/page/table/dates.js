const DAY = 86_400_000; // milliseconds
const MONTHS = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200];
const DAYS_OF_MONTH = 30.44;
const MONTH_FORM = 7; // characters of 2021-06

/**
 * Write a date.
 *
 * @param {number} days since 1970-01-01.
 * @returns {string} such as 2021-06-30.
 */
export function dateText(days) {
  return new Date(Math.round(days) * DAY).toISOString().slice(0, 10);
}

/**
 * Return the first days of months, or days, between two dates.
 *
 * @param {number} low days since 1970-01-01.
 * @param {number} high
 * @param {number} most that there is room for.
 * @returns {{value: number, text: string}[]}
 */
export function dateTicks(low, high, most) {
  const months = (high - low) / DAYS_OF_MONTH;
  const step = MONTHS.find((each) => months / each <= most) ?? MONTHS[MONTHS.length - 1];
  if (months < 2) return [Math.ceil(low), Math.floor(high)].map(tickOf(10));
  const first = new Date(low * DAY);
  const start = 12 * first.getUTCFullYear() + first.getUTCMonth();
  const length = step % 12 === 0 ? 4 : MONTH_FORM;
  const found = [];
  for (let month = step * Math.ceil(start / step); ; month += step) {
    const value = Date.UTC(Math.floor(month / 12), month % 12) / DAY;
    if (value > high) return found.map(tickOf(length));
    if (value >= low) found.push(value);
  }
}

function tickOf(length) {
  return (value) => ({ value, text: dateText(value).slice(0, length) });
}
