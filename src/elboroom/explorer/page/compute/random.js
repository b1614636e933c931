const STEP = 0x9e3779b9;

/** Random numbers from a seed: the generator sfc32 of PractRand, by Chris Doty-Humphrey. */
export class Random {
  #state;
  #spare = null;

  /**
   * @param {number} seed a whole number from 0 on.
   */
  constructor(seed) {
    this.#state = new Uint32Array([seed, seed / 2 ** 32, STEP, 1]);
    for (let i = 0; i < 16; i += 1) this.uniform();
  }

  /** Draw uniformly from (0, 1). */
  uniform() {
    const s = this.#state;
    const sum = (s[0] + s[1] + s[3]) >>> 0;
    s[3] += 1;
    s[0] = s[1] ^ (s[1] >>> 9);
    s[1] = s[2] + (s[2] << 3);
    s[2] = ((s[2] << 21) | (s[2] >>> 11)) + sum;
    return (sum + 0.5) / 2 ** 32;
  }

  /** Draw from N(0, 1): Box & Muller, *A note on the generation of random normal deviates* (1958). */
  normal() {
    if (this.#spare !== null) {
      const found = this.#spare;
      this.#spare = null;
      return found;
    }
    const radius = Math.sqrt(-2 * Math.log(this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Draw from N(0, I) of some dimensions. */
  normals(count) {
    return Float64Array.from({ length: count }, () => this.normal());
  }

  /** Draw an index in proportion to a cumulative mass. */
  index(cumulative) {
    const level = this.uniform() * cumulative[cumulative.length - 1];
    let [low, high] = [0, cumulative.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle] > level) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Return the sums of the first 1, 2, … of some numbers. */
export function cumulativeSums(values) {
  let sum = 0;
  return Float64Array.from(values, (value) => (sum += value));
}
