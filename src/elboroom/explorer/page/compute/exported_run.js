import { Model } from "./model.js";
import { Plane } from "./plane.js";
import { Problem } from "./problem.js";
import { TileStore } from "./tile_store.js";

/** The run of an export: its model, its rows, and what its page shows. */
export class ExportedRun {
  #tiles = null;

  /**
   * @param {object} content of model.json.
   * @param {ArrayBuffer} weights model.bin.
   * @param {ArrayBuffer} pixels rows.bin.
   */
  constructor(content, weights, pixels) {
    const { run, history, evaluation, version } = content;
    Object.assign(this, { description: run, history, evaluation, version });
    this.rows = resolved(content.rows, weights);
    this.pca = resolved(content.pca, weights);
    this.model = new Model(resolved(content.model, weights));
    this.pixels = pixelsOf(this.rows, pixels);
  }

  /** The decoded tiles of the grid, for one or two latents. */
  get tiles() {
    this.#tiles ??= new TileStore(this.model);
    return this.#tiles;
  }

  /** The number of rows. */
  get count() {
    return this.description.rows;
  }

  /** Return a plane by its name; none takes the usual one. */
  plane(axes) {
    const name = axes || this.description.axes[0];
    if (name !== "pca") return Plane.ofLatents(name, this.model.priorMean);
    const { names, centre, directions } = this.pca;
    return new Plane(name, names, centre, this.#split(directions));
  }

  /** True if there are planes: one latent has none. */
  get isPlanar() {
    return this.description.axes.length > 0;
  }

  /** Return E_q[z] of a row. */
  mean(row) {
    return this.#split(this.rows.means)[this.#known(row)];
  }

  /** E_q[z] of all rows. */
  get means() {
    return this.#split(this.rows.means);
  }

  /** Return the values of a row, NaN where missing. */
  x(row) {
    const { values } = this.model;
    return this.pixels.subarray(this.#known(row) * values, (row + 1) * values);
  }

  #known(row) {
    if (row < this.count) return row;
    const why = `found ${row}; the rows that are shown are 0 to ${this.count - 1}`;
    throw new Problem(`There is no row ${row}`, why, "choose one of these");
  }

  #split(flat) {
    const { latents } = this.model;
    const count = flat.length / latents;
    return Array.from({ length: count }, (_, i) => flat.subarray(i * latents, (i + 1) * latents));
  }
}

/** Return content in which arrays stand in the place of references to weights. */
function resolved(content, weights) {
  if (Array.isArray(content)) return content.map((one) => resolved(one, weights));
  if (content === null || typeof content !== "object") return content;
  const { start, size } = content;
  if (start !== undefined) return new Float32Array(weights, 4 * start, size);
  return Object.fromEntries(
    Object.entries(content).map(([name, value]) => [name, resolved(value, weights)]),
  );
}

/** Return the values of all rows; bytes are divided by what the rows name. */
function pixelsOf({ divisor }, pixels) {
  if (divisor === null) return new Float32Array(pixels);
  return Float32Array.from(new Uint8Array(pixels), (value) => value / divisor);
}
