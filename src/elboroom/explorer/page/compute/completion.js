import { encodedPosterior } from "./encoded_posterior.js";
import { grid } from "./grid.js";
import { Random } from "./random.js";
import { tonesOf } from "./tones.js";

const SHOWN_DRAWS = 200; // of z, on the plane
const SMALL_ERROR = 0.01; // nats

/**
 * Infer z from the seen values, and draw the others given them.
 *
 * @param {import("./exported_run.js").ExportedRun} run
 * @param {{x: number[], seen: number[], axes: ?string, draws: number, seed: number}} question
 * @param {() => Promise<void>} pause waits before each piece of work.
 */
export async function complete(run, { x, seen, axes, draws = 8, seed = 0 }, pause) {
  const started = performance.now();
  const random = new Random(seed);
  const found = await posteriorOf(run, x, seen, random, pause);
  const seconds = (performance.now() - started) / 1000;
  return {
    method: run.description.methods[0].name,
    seconds,
    log_evidence: found.evidence,
    quality: found.quality,
    posterior: run.isPlanar ? onPlane(run.plane(axes), found, random) : null,
    mean: meanOf(run, found.posterior, x, seen),
    draws: drawsOf(run, found.posterior, x, seen, draws, random),
    surprise: surpriseOf(run, found.posterior, x, seen),
  };
}

async function posteriorOf(run, x, seen, random, pause) {
  if (run.description.methods[0].name !== "grid")
    return encodedPosterior(run.model, x, seen, random);
  const posterior = await grid(run.tiles, x, seen, pause);
  const evidence = { value: posterior.logEvidence, standard_error: null, exact: true };
  return { posterior, evidence, quality: [qualityOfGrid(posterior)] };
}

function qualityOfGrid({ error }) {
  return {
    name: "error of the grid",
    value: error,
    unit: "nats",
    good: error < SMALL_ERROR,
    meaning: "the last change of log p(seen) as the grid was refined; the posterior is exact",
  };
}

function onPlane(plane, { posterior }, random) {
  const draws = Array.from({ length: SHOWN_DRAWS }, () => plane.project(posterior.draw(random)));
  return {
    axes: plane.axes,
    names: plane.names,
    mean: plane.project(posterior.mean),
    covariance: plane.covariance(posterior.covariance),
    heat: posterior.heat,
    fitted_kl: null,
    draws: { shape: [SHOWN_DRAWS, 2], values: Float32Array.from(draws.flat()) },
  };
}

function meanOf({ description }, posterior, x, seen) {
  const values = Float32Array.from(x, (value, i) => (seen[i] ? value : posterior.meanAt(i)));
  return { shape: description.event_shape, values };
}

function surpriseOf({ description }, posterior, x, seen) {
  const values = Float32Array.from(x, (value, i) =>
    seen[i] ? posterior.surpriseAt(i, Math.fround(value)) : NaN,
  );
  return { shape: description.event_shape, values };
}

function drawsOf({ model, description }, posterior, x, seen, count, random) {
  const zs = Array.from({ length: count }, () => posterior.draw(random));
  const densities = model.densities(zs);
  const rows = zs.map((_, k) =>
    Array.from(x, (value, i) => (seen[i] ? value : densities.draw(i, k, random))),
  );
  const values = tonesOf(rows.flat(), description.tones);
  return { shape: [count, ...description.event_shape], values };
}
