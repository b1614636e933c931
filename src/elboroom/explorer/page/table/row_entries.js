/**
 * The entries of a row: those of the table, with some changed and some hidden.
 *
 * What was changed and hidden is text for the address: `set` has "3:61.5;7:yes", by the places of
 * columns; `hide` has "3,7", and `only` has the places that are seen alone, or "none".
 */
export class RowEntries {
  #edits = new Map();
  #hidden = new Set();

  /**
   * @param {{name: string, type: string, levels: string[]}[]} columns descriptions of all columns.
   */
  constructor(columns) {
    this.columns = columns;
    this.row = columns.map(() => null);
  }

  /**
   * Take the entries of a row of the table.
   *
   * @param {(string|number|null)[]} row
   */
  take(row) {
    this.row = row;
  }

  /**
   * Take what the address says was changed and hidden.
   *
   * @param {{set: string, hide: string, only: string}} state
   */
  restore({ set, hide, only }) {
    const pairs = set.split(";").filter(Boolean);
    this.#edits = new Map(pairs.map((pair) => this.#edit(pair)).filter(([i]) => this.columns[i]));
    const seen = new Set(placesOf(only));
    const all = this.columns.map((_, i) => i);
    this.#hidden = new Set(only ? all.filter((i) => !seen.has(i)) : placesOf(hide));
  }

  #edit(pair) {
    const [place, text = ""] = pair.split(":");
    return [Number(place), this.#entry(Number(place), decodeURIComponent(text))];
  }

  #entry(place, text) {
    const column = this.columns[place];
    const isNumber = column && column.levels.length === 0 && column.type !== "date";
    if (text.trim() === "") return null;
    return isNumber && Number.isFinite(Number(text)) ? Number(text) : text;
  }

  /** The state of the address that has what was changed and hidden. */
  get state() {
    const set = [...this.#edits]
      .map(([place, entry]) => `${place}:${encodeURIComponent(entry ?? "")}`)
      .join(";");
    if (2 * this.#hidden.size <= this.columns.length)
      return { set, hide: [...this.#hidden].join(","), only: "" };
    const seen = this.columns.map((_, i) => i).filter((i) => !this.#hidden.has(i));
    return { set, hide: "", only: seen.join(",") || "none" };
  }

  /**
   * Return an entry.
   *
   * @param {number} place of its column.
   * @returns {string|number|null} null if it is missing.
   */
  entry(place) {
    return this.#edits.has(place) ? this.#edits.get(place) : this.row[place];
  }

  /**
   * Change an entry, which is then seen.
   *
   * @param {number} place of its column.
   * @param {string} text as it was typed.
   */
  change(place, text) {
    const entry = this.#entry(place, text);
    if (entry === this.row[place]) this.#edits.delete(place);
    else this.#edits.set(place, entry);
    this.#hidden.delete(place);
  }

  /**
   * Hide an entry, or show it.
   *
   * @param {number} place of its column.
   * @param {boolean} hidden
   */
  hide(place, hidden) {
    if (hidden) this.#hidden.add(place);
    else this.#hidden.delete(place);
  }

  /**
   * Hide or show all entries.
   *
   * @param {boolean} hidden
   */
  hideAll(hidden) {
    this.#hidden = new Set(hidden ? this.columns.keys() : []);
  }

  /**
   * Return whether an entry is hidden.
   *
   * @param {number} place of its column.
   * @returns {boolean}
   */
  isHidden(place) {
    return this.#hidden.has(place);
  }

  /**
   * Return whether an entry is not that of the table.
   *
   * @param {number} place of its column.
   * @returns {boolean}
   */
  isChanged(place) {
    return this.#edits.has(place);
  }

  /** The question about the row: its known entries by column, and those that are hidden. */
  get question() {
    const known = this.columns.map((_, i) => i).filter((i) => this.entry(i) !== null);
    const values = Object.fromEntries(known.map((i) => [this.columns[i].name, this.entry(i)]));
    const hidden = known.filter((i) => this.isHidden(i)).map((i) => this.columns[i].name);
    return { values, hidden };
  }
}

function placesOf(text) {
  return text
    .split(",")
    .filter((part) => /^\d+$/.test(part))
    .map(Number);
}
