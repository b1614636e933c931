import { tonesOf } from "./tones.js";

const TINY = 1e-12;
const NO_ANGLE = 1e-4; // sine of the least angle that an arc is turned by

/**
 * Decode the means of p(x | z) between two or four z.
 *
 * @param {import("./exported_run.js").ExportedRun} run
 * @param {{ends: object[], axes: ?string, path: string, steps: number}} question
 */
export function interpolate(run, { ends, axes, path = "straight", steps = 11 }) {
  const { model, description } = run;
  const origin = model.priorMean;
  const places = ends.map((end) => placeOf(run, end, axes).map((value, d) => value - origin[d]));
  const along = path === "spherical" ? arc : line;
  const zs = between(places, along, steps).map((z) => z.map((value, d) => value + origin[d]));
  const shape = ends.length === 2 ? [steps] : [steps, steps];
  const array = (more, values) => ({ shape: [...shape, ...more], values });
  const points = run.isPlanar ? zs.map((z) => run.plane(axes).project(z)) : null;
  return {
    images: array(description.event_shape, tonesOf(model.means(zs), description.tones)),
    points: points && array([2], Float32Array.from(points.flat())),
    z: array([model.latents], Float32Array.from(zs.flatMap((z) => Array.from(z)))),
  };
}

/** Return the z of an end: one of a row, z and a point of the plane. */
function placeOf(run, { row, z, point }, axes) {
  if (z) return Float64Array.from(z);
  return point ? run.plane(axes).embed(point) : Float64Array.from(run.mean(row));
}

/** Return the z of a path between two ends, or of a surface between four, row by row. */
function between(ends, along, steps) {
  const shares = Array.from({ length: steps }, (_, i) => i / (steps - 1));
  if (ends.length === 2) return shares.map((t) => along(ends[0], ends[1], t));
  return shares.flatMap((down) => {
    const [left, right] = [0, 1].map((side) => along(ends[side], ends[side + 2], down));
    return shares.map((across) => along(left, right, across));
  });
}

function line(start, end, t) {
  return start.map((value, d) => value + t * (end[d] - value));
}

/**
 * Turn from one z to another about the origin, as their lengths change evenly.
 *
 * Shoemake, *Animating rotation with quaternion curves* (1985), section 3.3, for any lengths. Ends
 * in one line with the origin have no arc, and are joined by the line.
 */
function arc(start, end, t) {
  const [first, last] = [start, end].map((z) => Math.max(Math.hypot(...z), TINY));
  const product = start.reduce((sum, value, d) => sum + (value / first) * (end[d] / last), 0);
  const cosine = Math.min(Math.max(product, -1), 1);
  const [angle, sine] = [Math.acos(cosine), Math.sqrt(1 - cosine ** 2)];
  if (sine < NO_ANGLE) return line(start, end, t);
  // sin((1 − t) θ)/sin θ · a + sin(t θ)/sin θ · b of the directions a and b
  const [a, b] = [Math.sin((1 - t) * angle) / first, Math.sin(t * angle) / last];
  const length = (first + t * (last - first)) / sine;
  return start.map((value, d) => length * (a * value + b * end[d]));
}
