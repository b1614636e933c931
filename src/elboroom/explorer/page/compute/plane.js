const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

/** The points c + a u + b v of the latent space. */
export class Plane {
  constructor(axes, names, centre, directions) {
    this.axes = axes;
    this.names = names;
    this.centre = centre;
    this.directions = directions;
  }

  /**
   * Return the plane of two latents, through a centre in all others.
   *
   * @param {string} axes their numbers from 0 on, as in "0,1".
   * @param {ArrayLike<number>} centre
   */
  static ofLatents(axes, centre) {
    const chosen = axes.split(",").map(Number);
    const beside = Float64Array.from(centre, (value, d) => (chosen.includes(d) ? 0 : value));
    const directions = chosen.map((one) => Float64Array.from(centre, (_, d) => Number(d === one)));
    return new Plane(axes, chosen.map(nameOf), beside, directions);
  }

  /** Return the coordinates of z on the plane. */
  project(z) {
    return this.directions.map((direction) =>
      direction.reduce((sum, along, d) => sum + along * (z[d] - this.centre[d]), 0),
    );
  }

  /** Return the z of a point of the plane. */
  embed([a, b]) {
    const [u, v] = this.directions;
    return Float64Array.from(this.centre, (centre, d) => centre + a * u[d] + b * v[d]);
  }

  /** Return the covariance on the plane of one in the latent space, as rows. */
  covariance(rows) {
    const { directions } = this;
    const onto = (u, v) =>
      u.reduce((sum, a, i) => sum + a * rows[i].reduce((part, c, j) => part + c * v[j], 0), 0);
    return directions.map((u) => directions.map((v) => onto(u, v)));
  }
}

function nameOf(latent) {
  const digits = Array.from(String(latent + 1), (digit) => SUBSCRIPTS[digit]);
  return `z${digits.join("")}`;
}
