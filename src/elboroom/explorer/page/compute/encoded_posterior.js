import { logSumExp } from "./logarithms.js";
import { paretoShape } from "./pareto.js";
import { Seen } from "./seen.js";

const PARTICLES = 500;
const RELIABLE_K_HAT = 0.7; // Vehtari et al. (2024)

/**
 * Take the encoder's q(z | x), and measure by weighted draws how far it is from the posterior.
 *
 * @param {import("./model.js").Model} model
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} seen
 * @param {import("./random.js").Random} random
 */
export function encodedPosterior(model, x, seen, random) {
  const given = new Seen(model, x, seen);
  const q = model.encode(x, seen);
  const drawn = Array.from({ length: PARTICLES }, () => q.draw(random));
  const densities = model.densities(drawn.map(({ z }) => z));
  const logLikelihood = new Float64Array(PARTICLES);
  given.forEach((place, value) => densities.add(place, value, logLikelihood));
  // log w_k = log p(x_seen, z_k) − log q(z_k)
  const logWeights = logLikelihood.map(
    (log, k) => log + model.prior.logDensity(drawn[k].z) - drawn[k].logDensity,
  );
  const evidence = evidenceOf(logWeights);
  return {
    posterior: new EncodedPosterior(q, densities),
    evidence,
    quality: qualityOf(logWeights, evidence.value),
  };
}

/** Estimate log p(x_seen) in nats: the bound of Burda et al. (2016), with its standard error. */
function evidenceOf(logWeights) {
  const total = logSumExp(logWeights);
  const relative = logWeights.map((log) => PARTICLES * Math.exp(log - total));
  const squares = relative.reduce((sum, weight) => sum + (weight - 1) ** 2, 0);
  // SE(log w̄) ≈ SE(w̄) / w̄
  const error = Math.sqrt(squares / (PARTICLES - 1) / PARTICLES);
  return { value: total - Math.log(PARTICLES), standard_error: error, exact: false };
}

function qualityOf(logWeights, evidence) {
  const elbo = logWeights.reduce((sum, log) => sum + log, 0) / PARTICLES;
  const kHat = paretoShape(logWeights);
  return [
    {
      name: "log p(seen) − ELBO",
      value: evidence - elbo,
      unit: "nats",
      good: null,
      meaning: "an estimate of KL(q ‖ p), the distance of the fit from the posterior",
    },
    {
      name: "k̂",
      value: Number.isFinite(kHat) ? kHat : null,
      unit: "",
      good: kHat < RELIABLE_K_HAT,
      meaning: `the shape of the weights' tail; below ${RELIABLE_K_HAT} the estimates are reliable`,
    },
  ];
}

/** The encoder's q, with the densities of x given some draws of it. */
class EncodedPosterior {
  heat = null;

  constructor(q, densities) {
    this.q = q;
    this.densities = densities;
    const at = Int32Array.from({ length: PARTICLES }, (_, k) => k);
    this.draws = { at, weight: new Float64Array(PARTICLES).fill(1 / PARTICLES) };
  }

  get mean() {
    return this.q.mean;
  }

  get covariance() {
    return this.q.covariance;
  }

  draw(random) {
    return this.q.draw(random).z;
  }

  /** Estimate E[x | x_seen] at one place. */
  meanAt(place) {
    return this.densities.mean(place, this.draws);
  }

  /** Estimate −log p(x_i | x_seen without i) in nats: Gelfand, Dey & Chang (1992). */
  surpriseAt(place, value) {
    // 1/p(x_i | x_others) = E[1/p(x_i | z)] under p(z | x_seen)
    return this.densities.logInverse(place, value, this.draws);
  }
}
