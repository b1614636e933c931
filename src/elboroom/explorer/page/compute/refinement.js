import { Lattice, ScoredTile } from "./lattice.js";
import { Problem } from "./problem.js";
import { productGrid, range } from "./product_grid.js";
import { SIDE } from "./tile.js";

// The numbers of elboroom.infer.lattice.refinement, which says why.
const TOLERANCE = 1e-3; // nats
const [COARSEST, FINEST] = [1 / 4, 1 / 1024];
const [NEAR, FAR] = [2, 16];
const RISE = 4;
const RISE_OF_MASS = 0.62;
const MASS = 7;
const SMOOTH = 0.02;
const FALLS = 0.5;

/**
 * Halve the spacing of a lattice until log p(x_seen) changes by at most 0.001 nats.
 *
 * @param {import("./tile_store.js").TileStore} store
 * @param {import("./seen.js").Seen} seen
 * @param {() => Promise<void>} pause waits before each tile that is decoded.
 * @returns {Promise<Lattice>}
 * @throws {Problem} if a prior or a posterior lies too far from the origin, or is too narrow.
 */
export async function refine(store, seen, pause) {
  const score = (spacing, places) => scored(store, seen, pause, spacing, places);
  let lattice = await scan(store, score);
  const errors = [];
  while (!isResolved(lattice)) {
    requireResolvable(lattice, errors);
    errors.push(lattice.error);
    const places = lattice.kept.map(({ place }) => place);
    lattice = await score(lattice.spacing / 2, places);
  }
  return lattice;
}

async function scored(store, seen, pause, spacing, places) {
  const tiles = [];
  for (const place of places) {
    const tile = await store.tile(spacing, place, pause);
    tiles.push(new ScoredTile(store, tile, spacing, place, seen));
  }
  return new Lattice(spacing, tiles, store.shape);
}

/** Score the coarsest lattice, extended until there is no mass at its border. */
async function scan(store, score) {
  let reach = firstReach(store.model.reach);
  const { latents } = store.model;
  let lattice = await score(COARSEST, productGrid(range(-reach, reach), latents));
  requireResolvable(lattice, []);
  while (lattice.isAtBorder(reach)) {
    if (reach === FAR) throw tooFar(reach * SIDE * COARSEST);
    reach += 1;
    const isOuter = (along) => along === -reach || along === reach - 1;
    const ring = productGrid(range(-reach, reach), latents).filter((t) => t.some(isOuter));
    const more = await score(COARSEST, ring);
    lattice = new Lattice(COARSEST, [...lattice.tiles, ...more.tiles], store.shape);
  }
  return lattice;
}

/** Return how many tiles from the origin hold the prior: a mode further out would not show. */
function firstReach(wanted) {
  const tiles = Math.max(NEAR, Math.ceil(wanted / (SIDE * COARSEST)));
  if (tiles > FAR) throw tooFar(FAR * SIDE * COARSEST);
  return tiles;
}

function isResolved(lattice) {
  const isVisible =
    lattice.possibleRise <= RISE &&
    lattice.possibleRiseNearTop(MASS) / lattice.latents <= RISE_OF_MASS;
  return lattice.error <= TOLERANCE && isVisible;
}

/** Check that a finer lattice may resolve the posterior, given the errors of the coarser ones. */
function requireResolvable(lattice, errors) {
  const { spacing, top } = lattice;
  const isNarrow = lattice.possibleRiseNearTop(0) * (FINEST / spacing) ** 2 > RISE;
  const stalled = errors.length > 2 && lattice.error > FALLS * errors[errors.length - 3];
  const isRounded = lattice.possibleRise <= SMOOTH && stalled;
  const isHopeless = isNarrow || !Number.isFinite(top) || isRounded || spacing === FINEST;
  if (!isHopeless || isResolved(lattice)) return;
  throw new Problem(
    "The grid does not resolve this posterior",
    `log p(seen) changes by ${lattice.error.toPrecision(2)} nats at a spacing of ${spacing}`,
    "let less be seen, or explore the run by `elboroom explore`, which has other methods",
  );
}

function tooFar(reach) {
  return new Problem(
    "A posterior reaches beyond the grid",
    `there is mass at ± ${reach}, where the grid ends`,
    "paint what is like the data that the model was trained on",
  );
}
