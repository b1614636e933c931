import { SIDE } from "./tile.js";

/** Nats below the maximum at which mass is neglected. */
export const DEPTH = 20;
const NARROW = 1; // spacings: points may miss a component of smaller standard deviation
const CAUTION = 2; // safety factor: the curvature may be larger between the probes

/** A tile with log p(x_seen, z) at its points. Each tile has 2^D parts. */
export class ScoredTile {
  /**
   * @param {import("./tile_store.js").TileStore} store
   * @param {import("./tile.js").Tile} tile
   * @param {number} spacing
   * @param {number[]} place
   * @param {import("./seen.js").Seen} seen
   */
  constructor(store, tile, spacing, place, seen) {
    const { shape, model } = store;
    this.tile = tile;
    this.place = place;
    const likelihood = new Float64Array(tile.count);
    seen.forEach((at, value) => tile.densities.add(at, value, likelihood));
    this.logJoint = likelihood.map((log, i) => tile.logPrior[i] + log);
    [this.top, this.sum, this.sparseSum] = sums(this.logJoint, shape);
    this.peaks = shape.parts.map((part) => largest(this.logJoint, part));
    const rises = risesOf(tile, seen, shape, model.latents);
    this.rises = shape.probesOfParts.map((probes) => largest(rises, probes));
    shape.corners.forEach((corner, i) => {
      const bound = narrowBound(model, spacing, place, corner);
      if (bound === null) return;
      // max p(x, z) ≤ max p(z) · max p(x | z)
      const peak = bound.peak + largest(likelihood, shape.parts[i]);
      this.peaks[i] = Math.max(this.peaks[i], peak);
      const rise = ((CAUTION * model.latents) / 8) * spacing ** 2 * bound.trace;
      this.rises[i] = Math.max(this.rises[i], rise);
    });
  }
}

/** Return the largest value, and Σ exp relative to it at all own points and at every second one. */
function sums(logJoint, { own, sparse }) {
  const top = largest(logJoint, own);
  const sum = (indices) => indices.reduce((found, i) => found + Math.exp(logJoint[i] - top), 0);
  return [top, sum(own), sum(sparse)];
}

function largest(values, indices) {
  let found = -Infinity;
  for (const i of indices) if (values[i] > found) found = values[i];
  return found;
}

/**
 * Bound how far a mode rises above the nearest point, near each probe.
 *
 * The curvature is taken to be the Fisher information of the seen values on z, plus the prior's.
 */
function risesOf(tile, seen, { probes }, latents) {
  const trace = Float64Array.from(tile.precision);
  seen.forEach((place) => {
    const start = place * probes.length;
    for (let i = 0; i < probes.length; i += 1) trace[i] += tile.information[start + i];
  });
  // ½ δᵀ Λ δ ≤ ⅛ D h² tr Λ for |δ_d| ≤ ½ h, with Λ = Jᵀ W J + P
  return trace.map((value) => ((CAUTION * latents) / 8) * value);
}

function narrowBound({ prior }, spacing, place, corner) {
  const half = (spacing * SIDE) / 2;
  const low = place.map((t, d) => half * (2 * t + corner[d]));
  const high = low.map((value) => value + half);
  return prior.narrowBound(low, high, NARROW * spacing);
}

/** A lattice of one spacing, scored in the tiles where there may be mass. */
export class Lattice {
  /**
   * @param {number} spacing
   * @param {ScoredTile[]} tiles
   * @param {import("./tile.js").TileShape} shape
   */
  constructor(spacing, tiles, shape) {
    this.spacing = spacing;
    this.tiles = tiles;
    this.corners = shape.corners;
    this.latents = shape.strides.length;
    this.parts = tiles.flatMap((tile) =>
      this.corners.map((corner, i) => ({
        place: tile.place.map((t, d) => 2 * t + corner[d]),
        peak: tile.peaks[i],
        rise: tile.rises[i],
      })),
    );
    this.top = Math.max(...this.parts.map(({ peak }) => peak));
    this.kept = this.parts.filter(({ peak, rise }) => peak + rise >= this.top - DEPTH);
  }

  /** The largest possible rise of a mode between points. */
  get possibleRise() {
    return Math.max(...this.kept.map(({ rise }) => rise));
  }

  /** Return the same where log p(x_seen, z) is within some nats of its top. */
  possibleRiseNearTop(depth) {
    const near = this.parts.filter(({ peak }) => peak >= this.top - depth);
    return Math.max(...near.map(({ rise }) => rise));
  }

  /** log p(x_seen) in nats. */
  get logEvidence() {
    return this.#integral(({ sum }) => sum, this.spacing);
  }

  /** The difference of `logEvidence` from that of twice the spacing. */
  get error() {
    const sparse = this.#integral(({ sparseSum }) => sparseSum, 2 * this.spacing);
    return Math.abs(this.logEvidence - sparse);
  }

  // log p(x) = log ∫ p(x, z) dz ≈ log Σ_g p(x, z_g) + D log h
  #integral(sumOf, spacing) {
    const top = Math.max(...this.tiles.map((tile) => tile.top));
    const total = this.tiles.reduce((sum, tile) => sum + sumOf(tile) * Math.exp(tile.top - top), 0);
    return top + Math.log(total) + this.latents * Math.log(spacing);
  }

  /** True if there may be mass at the border of ± `reach` tiles. */
  isAtBorder(reach) {
    const outer = (along) => along === -2 * reach || along === 2 * reach - 1;
    return this.kept.some(({ place }) => place.some(outer));
  }
}
