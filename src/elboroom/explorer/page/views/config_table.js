import { element } from "../controls/element.js";
import { scrolled } from "./evaluation_table.js";

/**
 * Make the tables of the options of one or two runs; options that differ are bold.
 *
 * @param {{name: string, config: object}[]} runs
 * @returns {HTMLElement}
 */
export function configTables(runs) {
  const grouped = runs.map(({ name, config }) => ({ name, config: groupsOf(config) }));
  const parts = [...new Set(grouped.flatMap(({ config }) => Object.keys(config)))];
  return element("div", { class: "config" }, ...parts.map((part) => partTable(part, grouped)));
}

/** Put options that are in no group into one of their own. */
function groupsOf(config) {
  const [groups, others] = [true, false].map((grouped) =>
    Object.entries(config).filter(([, value]) => isGroup(value) === grouped),
  );
  return {
    ...Object.fromEntries(groups),
    ...(others.length > 0 ? { others: Object.fromEntries(others) } : {}),
  };
}

function partTable(part, runs) {
  const options = runs.map(({ config }) => flattened(config[part]));
  const names = [...new Set(options.flatMap((one) => Object.keys(one)))];
  const heads = [part, ...(runs.length > 1 ? runs.map(({ name }) => name) : ["value"])];
  const head = element("tr", {}, ...heads.map((title) => element("th", { scope: "col" }, title)));
  const rows = names.map((name) =>
    optionRow(
      name,
      options.map((one) => one[name]),
    ),
  );
  const caption = element("caption", { class: "unseen" }, `Options of ${part}`);
  return scrolled(
    element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...rows)),
  );
}

function optionRow(name, values) {
  const differ = values.some((value) => value !== values[0]);
  const cells = values.map((value) =>
    element("td", {}, differ ? element("b", {}, value ?? "–") : value),
  );
  return element("tr", {}, element("th", { scope: "row" }, name.replaceAll("_", " ")), ...cells);
}

/** Write nested options as text by their names, joined by dots. */
function flattened(options = {}, prefix = "") {
  if (!isGroup(options)) return { [prefix]: textOf(options) };
  const each = Object.entries(options).map(([name, value]) =>
    flattened(value, prefix ? `${prefix}.${name}` : name),
  );
  return Object.assign({}, ...each);
}

function isGroup(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value) {
  if (value === null || value === undefined || value === "") return "–";
  return Array.isArray(value) ? value.join(", ") || "–" : String(value);
}
