/**
 * A place in the explorer, as the fragment of the address names it: #/RUN/VIEW?state.
 *
 * @typedef {object} Route
 * @property {string} run id of the run; empty for the first.
 * @property {string} view name of the view; empty for the first.
 * @property {Object<string, string>} state what the view shows.
 */

/**
 * Read the route of a fragment.
 *
 * @param {string} fragment such as "#/mnist-2d/complete?row=3".
 * @returns {Route}
 */
export function readRoute(fragment) {
  const [path, search = ""] = fragment.replace(/^#\/?/, "").split("?");
  const [run = "", view = ""] = path.split("/").map(decoded);
  return { run, view, state: Object.fromEntries(new URLSearchParams(search)) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a broken link, which then names nothing that there is
  }
}

/**
 * Return the fragment of a route.
 *
 * @param {Route} route
 * @returns {string}
 */
export function fragmentOf({ run, view, state = {} }) {
  const search = new URLSearchParams(state)
    .toString()
    .replaceAll("%2C", ",")
    .replaceAll("%3B", ";");
  return `#/${encodeURIComponent(run)}/${view}${search && `?${search}`}`;
}

/**
 * Write the route into the address.
 *
 * @param {Route} route
 * @param {boolean} step true for a step that the back button undoes.
 */
export function writeRoute(route, step) {
  const fragment = fragmentOf(route);
  if (fragment === location.hash) return;
  if (step) history.pushState(null, "", fragment);
  else history.replaceState(null, "", fragment);
}
