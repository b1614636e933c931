import { LOG_2PI, logSumExp } from "./logarithms.js";
import { cumulativeSums } from "./random.js";

const FAR = 6.5; // standard deviations; there a density is some 20 nats below its peak

/** N(0, I). */
class StandardNormal {
  constructor(_, latents) {
    this.latents = latents;
  }

  /** Compute log p(z) in nats. */
  logDensity(z) {
    let squares = 0;
    for (const value of z) squares += value * value;
    return -0.5 * (squares + this.latents * LOG_2PI);
  }

  /** Compute the trace of the precision at z. */
  trace() {
    return this.latents;
  }

  /** Bound the narrow components in a box: there are none. */
  narrowBound() {
    return null;
  }

  draw(random) {
    return random.normals(this.latents);
  }
}

/** A mixture of Gaussians with independent latents. */
class Mixture {
  constructor({ logits, means, log_stds: logStds }, latents) {
    const total = logSumExp(logits);
    this.latents = latents;
    this.components = Array.from(logits, (logit, c) => {
      const part = (values) => values.subarray(c * latents, (c + 1) * latents);
      const stds = part(logStds).map(Math.exp);
      const volume = part(logStds).reduce((sum, log) => sum + log + LOG_2PI / 2, 0);
      return {
        peak: logit - total - volume,
        mass: Math.exp(logit - total),
        mean: part(means),
        stds,
      };
    });
    this.cumulative = cumulativeSums(this.components.map(({ mass }) => mass));
  }

  logDensity(z) {
    return logSumExp(this.#logJoint(z));
  }

  /** Compute log π_c N(z; μ_c, σ_c²) of each component. */
  #logJoint(z) {
    return this.components.map((component) => component.peak - fall(component, z));
  }

  trace(z) {
    const joint = this.#logJoint(z);
    const total = logSumExp(joint);
    // tr Σ_c r_c Λ_c
    return joint.reduce(
      (sum, log, c) => sum + Math.exp(log - total) * precision(this.components[c]),
      0,
    );
  }

  /**
   * Bound the density of narrow components in a box, which points inside may all miss.
   *
   * @param {number[]} low a corner of the box.
   * @param {number[]} high the opposite corner.
   * @param {number} narrower a component is narrow if some standard deviation is below this.
   * @returns {?{peak: number, trace: number}} null if none is narrow.
   */
  narrowBound(low, high, narrower) {
    const narrow = this.components.filter(({ stds }) => stds.some((std) => std < narrower));
    if (narrow.length === 0) return null;
    let [peak, trace] = [-Infinity, 0];
    for (const component of narrow) {
      const nearest = component.mean.map((mean, d) => Math.min(Math.max(mean, low[d]), high[d]));
      const below = fall(component, nearest);
      peak = Math.max(peak, component.peak - below);
      if (below <= FAR ** 2 / 2) trace = Math.max(trace, precision(component));
    }
    return { peak, trace };
  }

  draw(random) {
    const { mean, stds } = this.components[random.index(this.cumulative)];
    return random.normals(this.latents).map((noise, d) => mean[d] + stds[d] * noise);
  }
}

/** Compute how far the density of a component at z is below its peak, in nats. */
function fall({ mean, stds }, z) {
  let squares = 0;
  for (let d = 0; d < mean.length; d += 1) squares += ((z[d] - mean[d]) / stds[d]) ** 2;
  return squares / 2;
}

function precision({ stds }) {
  return stds.reduce((sum, std) => sum + std ** -2, 0);
}

const KINDS = { standard: StandardNormal, mixture: Mixture };

/**
 * Make the prior that an export names.
 *
 * @param {{name: string}} described
 * @param {number} latents
 */
export function priorOf(described, latents) {
  return new KINDS[described.name](described, latents);
}
