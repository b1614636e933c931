import { DEPTH } from "./lattice.js";
import { logSumExp } from "./logarithms.js";
import { productGrid, range } from "./product_grid.js";
import { cumulativeSums } from "./random.js";
import { refine } from "./refinement.js";
import { riseAt, risesBetween } from "./rise.js";
import { Seen } from "./seen.js";
import { SIDE } from "./tile.js";

const HEAT_SIDE = 72;
const HEAT_DEPTH = 12; // nats below the maximum that the heat map reaches to
const FLOOR = 30; // nats below the maximum at which the heat map is cut

/**
 * Integrate p(x_seen, z) over z on a lattice.
 *
 * @param {import("./tile_store.js").TileStore} store
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} seen
 * @param {() => Promise<void>} pause waits before each tile that is decoded.
 * @returns {Promise<GridPosterior>}
 */
export async function grid(store, x, seen, pause) {
  const given = new Seen(store.model, x, seen);
  return new GridPosterior(store, await refine(store, given, pause));
}

/** The exact p(z | x_seen), in cells of a lattice. */
export class GridPosterior {
  #rises = null;
  #proposals = null;

  /**
   * @param {import("./tile_store.js").TileStore} store
   * @param {import("./lattice.js").Lattice} lattice that resolves it.
   */
  constructor(store, lattice) {
    this.model = store.model;
    this.spacing = lattice.spacing;
    this.logEvidence = lattice.logEvidence;
    this.error = lattice.error;
    this.groups = lattice.tiles
      .map((scored) => new Cells(scored, store.shape, lattice.top - DEPTH, lattice.logEvidence))
      .filter(({ cells }) => cells.length > 0);
    /** The lattice point of each cell in spacings, log p(x_seen, z) there in nats, and its mass. */
    this.cells = this.groups.flatMap(({ cells }) => cells);
    const total = this.cells.reduce((sum, { mass }) => sum + mass, 0);
    for (const group of this.groups) group.normalise(total);
  }

  /** E[z | x_seen]. */
  get mean() {
    return range(0, this.model.latents).map((d) =>
      this.#expectation(({ index }) => this.spacing * index[d]),
    );
  }

  /** Cov[z | x_seen], as rows. */
  get covariance() {
    const { mean, spacing } = this;
    return mean.map((a, i) =>
      mean.map((b, j) =>
        this.#expectation(({ index }) => (spacing * index[i] - a) * (spacing * index[j] - b)),
      ),
    );
  }

  #expectation(value) {
    return this.cells.reduce((sum, cell) => sum + cell.mass * value(cell), 0);
  }

  /** Compute E[x | x_seen] at one place. */
  meanAt(place) {
    return this.groups.reduce(
      (sum, { densities, masses }) => sum + densities.mean(place, masses),
      0,
    );
  }

  /** Compute −log p(x_i | x_seen without i) in nats at a place i that is seen. */
  surpriseAt(place, value) {
    // 1/p(x_i | x_others) = E[1/p(x_i | z)] under p(z | x_seen)
    return logSumExp(
      this.groups.map(({ densities, masses }) => densities.logInverse(place, value, masses)),
    );
  }

  /** Draw z from the density interpolated between the points, by rejection. */
  draw(random) {
    this.#proposals ??= cumulativeSums(
      this.rises.map(({ limit }, i) => this.cells[i].mass * Math.exp(limit)),
    );
    for (;;) {
      const cell = random.index(this.#proposals);
      const u = this.cells[cell].index.map(() => random.uniform() - 0.5);
      const { limit } = this.rises[cell];
      if (Math.log(random.uniform()) <= riseAt(this.rises[cell], u) - limit)
        return this.cells[cell].index.map((along, d) => this.spacing * (along + u[d]));
    }
  }

  /** The rise of log p(x_seen, z) within each cell. */
  get rises() {
    this.#rises ??= risesBetween(this.cells);
    return this.#rises;
  }

  /**
   * Compute log p(z | x_seen) in nats on a square that holds what is likely.
   *
   * @returns {{left: number, right: number, bottom: number, top: number, log_density: object}}
   */
  get heat() {
    const { spacing, cells } = this;
    const top = cells.reduce((found, { logJoint }) => Math.max(found, logJoint), -Infinity);
    const likely = cells.filter(({ logJoint }) => logJoint >= top - HEAT_DEPTH);
    const ends = [0, 1].map((d) => extent(likely.map(({ index }) => index[d])));
    const across = Math.max(...ends.map(([low, high]) => high - low)) + 1;
    const parts = Math.ceil(HEAT_SIDE / across);
    const [low, bottom] = ends.map(([least]) => least);
    const values = this.#table(low, bottom, across * parts, parts);
    const [left, base] = [low, bottom].map((least) => spacing * (least - 0.5));
    const side = spacing * across;
    const log_density = { shape: [across * parts, across * parts], values };
    return { left, right: left + side, bottom: base, top: base + side, log_density };
  }

  /** Lay the parts of the cells out on a square, the first row at the bottom. */
  #table(low, bottom, side, parts) {
    const table = new Float64Array(side * side).fill(-Infinity);
    const offsets = productGrid(range(0, parts), 2);
    let top = -Infinity;
    this.cells.forEach(({ index, logJoint }, i) => {
      for (const [a, b] of offsets) {
        const u = [(a + 0.5) / parts - 0.5, (b + 0.5) / parts - 0.5];
        const value = logJoint - this.logEvidence + riseAt(this.rises[i], u);
        top = Math.max(top, value);
        const [column, row] = [(index[0] - low) * parts + a, (index[1] - bottom) * parts + b];
        if (column >= 0 && column < side && row >= 0 && row < side)
          table[row * side + column] = value;
      }
    });
    return Float32Array.from(table, (value) => Math.max(value, top - FLOOR));
  }
}

/** The points of a tile that lie above a floor. */
class Cells {
  constructor({ tile, place, logJoint }, { own, points }, floor, logEvidence) {
    this.densities = tile.densities;
    const found = own.filter((at) => logJoint[at] >= floor);
    this.cells = found.map((at) => {
      const index = points[at].map((along, d) => SIDE * place[d] + along);
      return { index, logJoint: logJoint[at], mass: Math.exp(logJoint[at] - logEvidence) };
    });
    this.masses = { at: Int32Array.from(found), weight: null };
  }

  /** Divide the masses by their total. */
  normalise(total) {
    for (const cell of this.cells) cell.mass /= total;
    this.masses.weight = Float64Array.from(this.cells, ({ mass }) => mass);
  }
}

function extent(values) {
  return values.reduce(
    ([low, high], v) => [Math.min(low, v), Math.max(high, v)],
    [Infinity, -Infinity],
  );
}
