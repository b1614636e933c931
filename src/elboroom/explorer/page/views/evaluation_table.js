import { element } from "../controls/element.js";
import { fixed, withError } from "../controls/number_text.js";

const TITLES = {
  elbo: "ELBO",
  iwae: "importance-weighted bound",
  reconstruction: "reconstruction",
  kl: "KL",
  ess: "effective sample size",
  mutual_information: "mutual information",
};
const FACTS = { step: "step", part: "part", images: "rows", k: "samples per row, k", seed: "seed" };

/**
 * Make the table of an evaluation, beside that of another run if there is one.
 *
 * @param {{name: string, evaluation: ?object}[]} runs one or two.
 * @returns {HTMLElement}
 */
export function evaluationTable(runs) {
  if (runs.every(({ evaluation }) => evaluation === null)) return nothingYet();
  const heads = ["Estimate", ...runs.map(({ name }) => name)];
  if (runs.length > 1) heads.push("difference");
  const head = element("tr", {}, ...heads.map((title) => element("th", { scope: "col" }, title)));
  const caption = element("caption", {}, `mean ± standard error, ${unitOf(runs)}`);
  const evaluations = runs.map(({ evaluation }) => evaluation);
  const body = element("tbody", {}, ...estimateRows(evaluations), ...factRows(evaluations));
  return scrolled(element("table", {}, caption, element("thead", {}, head), body));
}

function estimateRows(evaluations) {
  const estimates = evaluations.map(estimatesOf);
  const names = new Set(estimates.flatMap((each) => Object.keys(each)));
  const valuesOf = (name) => estimates.map((each) => each[name]);
  return [...names].map((name) => estimateRow(name, valuesOf(name)));
}

function factRows(evaluations) {
  const valuesOf = (name) => evaluations.map((evaluation) => evaluation?.[name] ?? null);
  const rows = Object.keys(FACTS).map((name) => factRow(name, valuesOf(name)));
  return rows.filter((row) => row !== null);
}

/**
 * Put a table where it can be scrolled if the page is narrow.
 *
 * @param {HTMLElement} table
 * @returns {HTMLElement}
 */
export function scrolled(table) {
  const label = table.querySelector("caption").textContent;
  const attributes = { class: "scrolled", tabindex: 0, role: "region", "aria-label": label };
  return element("div", attributes, table);
}

function nothingYet() {
  const command = element("code", {}, "elboroom evaluate RUN");
  return element(
    "p",
    { class: "quiet" },
    "The run has not been evaluated; ",
    command,
    " does that.",
  );
}

function unitOf(runs) {
  return runs.find(({ evaluation }) => evaluation?.unit)?.evaluation.unit ?? "nats";
}

function estimatesOf(evaluation) {
  const groups = [evaluation?.estimates, evaluation?.quality, evaluation?.latents];
  const entries = groups.flatMap((group) => Object.entries(group ?? {}));
  return Object.fromEntries(entries.filter(([, value]) => typeof value?.mean === "number"));
}

function estimateRow(name, estimates) {
  const cells = estimates.map((one) =>
    element("td", {}, one ? withError(one.mean, one.standard_error) : "–"),
  );
  const compared = estimates.length > 1 ? [differenceCell(...estimates)] : [];
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, TITLES[name] ?? name.replaceAll("_", " ")),
    ...cells,
    ...compared,
  );
}

function differenceCell(one, other) {
  if (!one || !other) return element("td", {}, "–");
  const error = Math.hypot(one.standard_error, other.standard_error);
  const text = withError(other.mean - one.mean, error);
  return element("td", {}, one.mean === other.mean ? text : element("b", {}, text));
}

function factRow(name, values) {
  if (values.every((value) => value === null)) return null;
  const cells = values.map((value) =>
    element("td", {}, typeof value === "number" ? fixed(value, 0) : String(value ?? "–")),
  );
  const difference =
    values.length > 1
      ? [element("td", {}, differ(...values) ? element("b", {}, "differs") : "")]
      : [];
  return element("tr", {}, element("th", { scope: "row" }, FACTS[name]), ...cells, ...difference);
}

function differ(one, other) {
  return one !== null && other !== null && one !== other;
}
