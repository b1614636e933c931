import { dataButton } from "../controls/download.js";
import { box, card, element } from "../controls/element.js";
import { duration, fixed, significant } from "../controls/number_text.js";

const MARKS = new Map([
  [true, "good"],
  [false, "poor"],
  [null, "open"],
]);

/** The findings of inference: log p(seen), the time that it took, and how good the posterior is. */
export class Findings {
  /**
   * @param {string} name for files.
   */
  constructor(name) {
    this.content = box("findings");
    this.element = card("What is inferred", this.content);
    this.name = name;
  }

  /**
   * Show what was found.
   *
   * @param {object} completion of the backend, or the entries of a row.
   * @param {number} seconds from the question to the picture.
   */
  show(completion, seconds) {
    const { log_evidence: evidence, quality } = completion;
    const times = [completion.seconds, seconds].map(duration);
    const isFirst = completion.refined === false;
    const rest = isFirst ? " This is a first fit, which is being refined." : "";
    const time = `Inference took ${times[0]}; in all, ${times[1]} passed.${rest}`;
    this.content.setAttribute("aria-busy", String(isFirst));
    const parts = [valueOf(evidence), element("p", { class: "quiet" }, time), qualityList(quality)];
    this.content.replaceChildren(
      ...parts,
      dataButton(this.name, () => completion),
    );
  }
}

/**
 * Write log p(seen) for a screen reader.
 *
 * @param {?{value: number, standard_error: ?number}} evidence
 * @returns {string}
 */
export function evidenceInWords(evidence) {
  if (evidence === null) return "log p(seen) is not known";
  return `log p(seen) ${numberOf(evidence)} nats`;
}

/**
 * Write the methods of inference for a choice.
 *
 * @param {{name: string, title: string, slow: boolean}[]} methods
 * @returns {[string, string][]} names and titles.
 */
export function methodTitles(methods) {
  return methods.map(({ name, title, slow }) => [name, slow ? `${title} (slow)` : title]);
}

function valueOf(evidence) {
  const number = element("span", { class: "number" }, evidence ? numberOf(evidence) : "not known");
  const unit = evidence ? ` nats, ${evidence.exact ? "exact" : "estimated"}` : "";
  const title = element("span", { class: "what" }, "log p(seen)");
  return element("p", { class: "evidence" }, title, number, unit);
}

function numberOf({ value, standard_error: error }) {
  return error === null ? fixed(value, 2) : `${fixed(value, 2)} ± ${fixed(error, 2)}`;
}

function qualityList(quality) {
  return element("dl", { class: "quality" }, ...quality.flatMap(checkOf));
}

function checkOf({ name, value, unit, good, meaning }) {
  const mark = element("span", { class: `mark ${MARKS.get(good)}` }, MARKS.get(good));
  const number = element("b", {}, `${significant(value)} ${unit}`);
  const words = element("span", { class: "meaning" }, meaning);
  return [element("dt", {}, name, mark), element("dd", {}, number, words)];
}
