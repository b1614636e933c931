import { Tile, TileShape } from "./tile.js";

const MOST_BYTES = 320 << 20; // of tiles that are kept; a posterior may need a hundred of them

/** The tiles that were decoded; those that were not used for longest are forgotten. */
export class TileStore {
  #kept = new Map();
  #bytes = 0;

  /**
   * @param {import("./model.js").Model} model
   */
  constructor(model) {
    this.model = model;
    this.shape = new TileShape(model.latents);
  }

  /**
   * Return a tile, decoded before or now.
   *
   * @param {number} spacing
   * @param {number[]} place
   * @param {() => Promise<void>} pause waits before a tile is decoded.
   * @returns {Promise<Tile>}
   */
  async tile(spacing, place, pause) {
    const key = [spacing, ...place].join();
    const known = this.#kept.get(key) ?? (await this.#decode(spacing, place, pause));
    this.#kept.delete(key);
    this.#kept.set(key, known); // the newest comes last
    return known;
  }

  async #decode(spacing, place, pause) {
    await pause();
    const tile = new Tile(this.model, this.shape, spacing, place);
    this.#bytes += tile.bytes;
    for (const [key, oldest] of this.#kept) {
      if (this.#bytes <= MOST_BYTES) break;
      this.#kept.delete(key);
      this.#bytes -= oldest.bytes;
    }
    return tile;
  }
}
