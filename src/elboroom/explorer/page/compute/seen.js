/** What is seen of a row: its places and their values. */
export class Seen {
  /**
   * @param {import("./model.js").Model} model
   * @param {ArrayLike<number>} x
   * @param {ArrayLike<number>} seen
   * @throws {Problem} if the likelihood does not accept a seen value.
   */
  constructor(model, x, seen) {
    this.places = Array.from(seen, (_, place) => place).filter((place) => seen[place]);
    this.values = Array.from(this.places, (place) => Math.fround(x[place]));
    for (const value of this.values) model.likelihood.require(value);
  }

  /** Call with each place that is seen, and its value. */
  forEach(use) {
    for (let i = 0; i < this.places.length; i += 1) use(this.places[i], this.values[i]);
  }
}
