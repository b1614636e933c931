import { productGrid, range } from "./product_grid.js";

/** Points along a tile, without its far border, which is the start of another tile. */
export const SIDE = 16;
const PROBES = [2, 6, 10, 14]; // points along a tile at which the curvature is computed

/** The places of points within a tile of some latents. */
export class TileShape {
  /**
   * @param {number} latents
   */
  constructor(latents) {
    this.strides = range(0, latents).map((d) => (SIDE + 1) ** (latents - 1 - d));
    this.points = productGrid(range(0, SIDE + 1), latents);
    this.own = this.#indices((along) => along < SIDE);
    this.sparse = this.#indices((along) => along < SIDE && along % 2 === 0);
    this.corners = productGrid([0, 1], latents);
    this.parts = this.corners.map((corner) => this.#indices(inPart(corner)));
    const probes = productGrid(PROBES, latents);
    this.probes = probes.map((point) => this.indexOf(point));
    this.probesOfParts = this.corners.map((corner) =>
      range(0, probes.length).filter((i) => probes[i].every(inPart(corner))),
    );
  }

  /** Return the index of a point of the tile. */
  indexOf(point) {
    return point.reduce((sum, along, d) => sum + along * this.strides[d], 0);
  }

  #indices(holds) {
    return range(0, this.points.length).filter((i) => this.points[i].every(holds));
  }
}

/** Return the check of a point for one half of each side of a tile, borders included. */
function inPart(corner) {
  return (along, d) => (corner[d] === 0 ? along <= SIDE / 2 : along >= SIDE / 2);
}

/** The decoded points of a tile of the lattice, which depend on the model alone. */
export class Tile {
  /**
   * @param {import("./model.js").Model} model
   * @param {TileShape} shape
   * @param {number} spacing h.
   * @param {number[]} place t: the points are h (16 t + o).
   */
  constructor(model, shape, spacing, place) {
    const zs = shape.points.map((o) => o.map((along, d) => spacing * (SIDE * place[d] + along)));
    const parameters = model.parameters(zs);
    this.count = zs.length;
    this.densities = model.likelihood.densities(parameters, zs.length);
    this.logPrior = Float64Array.from(zs, (z) => model.prior.logDensity(z));
    this.precision = shape.probes.map((at) => spacing ** 2 * model.prior.trace(zs[at]));
    this.information = informationOf(model, shape, parameters, zs.length);
    this.bytes = this.densities.bytes + this.information.byteLength;
  }
}

/** Compute h² tr Jᵀ W J at each probe, value by value, (values, probes). */
function informationOf({ likelihood, values }, { probes, strides }, parameters, count) {
  const found = new Float32Array(values * probes.length);
  for (let place = 0; place < values; place += 1)
    probes.forEach((probe, i) => {
      const at = place * count + probe;
      let squares = 0;
      for (const step of strides)
        squares += ((parameters[at + step] - parameters[at - step]) / 2) ** 2;
      found[place * probes.length + i] = likelihood.information(parameters[at], place) * squares;
    });
  return found;
}
