const QUIET = 700; // milliseconds without news before the newest is spoken

let timer = 0;

/**
 * Tell screen readers of a result, once results have stopped changing.
 *
 * @param {string} text
 */
export function announce(text) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    document.getElementById("announcement").textContent = text;
  }, QUIET);
}
