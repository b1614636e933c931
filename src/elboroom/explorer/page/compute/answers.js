import { complete } from "./completion.js";
import { interpolate } from "./interpolation.js";
import { Random } from "./random.js";
import { tonesOf } from "./tones.js";

const NEIGHBOURS = 8;

/** The answers to the questions of the page, in the form of those of `elboroom explore`. */
export class Answers {
  /**
   * @param {import("./exported_run.js").ExportedRun} run
   */
  constructor(run) {
    this.run = run;
  }

  runs() {
    const { description, version } = this.run;
    return { runs: [{ id: description.id, name: description.name }], version };
  }

  describe() {
    return this.run.description;
  }

  map({ axes }) {
    const { run } = this;
    const plane = run.plane(axes);
    const points = Float32Array.from(run.means.flatMap((mean) => plane.project(mean)));
    const { labels } = run.rows;
    return {
      axes: plane.axes,
      names: plane.names,
      points: { shape: [run.count, 2], values: points },
      labels: labels && { shape: [run.count], values: Int32Array.from(labels) },
    };
  }

  manifold({ axes, side = 16, left, right, bottom, top }) {
    const share = Array.from({ length: side }, (_, i) => (i + 0.5) / side);
    const points = share.flatMap((down) =>
      share.map((across) => [left + across * (right - left), top + down * (bottom - top)]),
    );
    return { images: this.#decoded(this.#embedded(points, axes), [side, side]) };
  }

  pictures(rows) {
    const values = rows.map((row) => this.run.x(row));
    const flat = new Float32Array(rows.length * this.run.model.values);
    values.forEach((x, i) => flat.set(x, i * x.length));
    return { images: this.#drawn(flat, [rows.length]) };
  }

  row(row, axes) {
    const { run } = this;
    const { origins, labels } = run.rows;
    const x = run.x(row);
    const seen = Array.from(x, (value) => Number(!Number.isNaN(value)));
    const q = run.model.encode(x, seen);
    const shape = run.description.event_shape;
    const missing = Uint8Array.from(seen, (one) => 1 - one);
    const plane = run.isPlanar ? run.plane(axes) : null;
    return {
      row,
      origin: origins[row],
      label: labels && labels[row],
      x: { shape, values: x.slice() },
      missing: seen.includes(0) ? { shape, values: missing } : null,
      mean: Array.from(q.mean),
      std: q.stds,
      point: plane && plane.project(q.mean),
      covariance: plane && plane.covariance(q.covariance),
      neighbours: this.#neighbours(row),
    };
  }

  #neighbours(row) {
    const mean = this.run.mean(row);
    const distances = this.run.means.map((other) =>
      other.reduce((sum, value, d) => sum + (value - mean[d]) ** 2, 0),
    );
    const others = distances.map((_, i) => i).filter((i) => i !== row);
    return others.sort((a, b) => distances[a] - distances[b] || a - b).slice(0, NEIGHBOURS);
  }

  decode({ points, z, axes }) {
    const zs = z ?? this.#embedded(points, axes);
    return { images: this.#decoded(zs, [zs.length]) };
  }

  complete(question, pause) {
    return complete(this.run, question, pause);
  }

  interpolate(question) {
    return interpolate(this.run, question);
  }

  samples({ count = 24, temperature = 1, values = "mean", seed = 0 }) {
    const { model } = this.run;
    const random = new Random(Number(seed));
    const zs = Array.from({ length: Number(count) }, () => {
      const drawn = model.prior.draw(random);
      return drawn.map((one, d) => model.priorMean[d] + temperature * (one - model.priorMean[d]));
    });
    const x = values === "mean" ? model.means(zs) : drawnGiven(model, zs, random);
    const flat = Float32Array.from(zs.flatMap((z) => Array.from(z)));
    return {
      images: this.#drawn(x, [zs.length]),
      z: { shape: [zs.length, model.latents], values: flat },
    };
  }

  history() {
    return this.run.history;
  }

  evaluation() {
    return this.run.evaluation;
  }

  #embedded(points, axes) {
    const plane = this.run.plane(axes);
    return points.map((point) => plane.embed(point));
  }

  #decoded(zs, leading) {
    return this.#drawn(this.run.model.means(zs), leading);
  }

  #drawn(values, leading) {
    const { event_shape: event, tones } = this.run.description;
    return { shape: [...leading, ...event], values: tonesOf(values, tones) };
  }
}

/** Draw x given each of some z, (number of z, values). */
function drawnGiven(model, zs, random) {
  const densities = model.densities(zs);
  return zs.flatMap((_, i) =>
    Array.from({ length: model.values }, (_, place) => densities.draw(place, i, random)),
  );
}
