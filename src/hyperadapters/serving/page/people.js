// A table of people that can be sorted and filtered.

import { counted, el, percent } from "./dom.js";

const MOST = 200;
let tables = 0;

/**
 * `columns` hold name, of (a row's value), and perhaps shown, number.
 * Rows have a `name`; the row of that name can be marked and brought into view with `choose`.
 */
export function peopleTable(caption, columns, rows, { chosen = null, sort = 0, down = false } = {}) {
  let by = sort, reverse = down, filter = "", most = MOST;
  const id = `filter-${(tables += 1)}`;
  const heads = columns.map((column, place) =>
    el("th", { scope: "col", class: column.number && "number" },
      column.of
        ? el("button", { type: "button", onclick: () => { reverse = by === place ? !reverse : Boolean(column.number); by = place; fill(); } }, column.name)
        : el("span", { class: "visually-hidden" }, column.name)));
  const body = el("tbody");
  const more = el("button", { type: "button", hidden: true, onclick: () => { most = Infinity; fill(); } });
  const field = el("input", { id, type: "search", oninput: () => { filter = field.value.toLowerCase(); fill(); } });

  function fill() {
    const { of } = columns[by];
    const found = rows.filter((row) => !filter || row.words.includes(filter));
    found.sort((a, b) => {
      const [one, other] = [of(a), of(b)];
      const order = typeof one === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
      return (reverse ? -order : order) || a.name.localeCompare(b.name, "en", { numeric: true });
    });
    heads.forEach((head, place) => {
      if (place === by) head.setAttribute("aria-sort", reverse ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(...found.slice(0, most).map((row) =>
      el("tr", { class: row.name === chosen && "chosen" }, columns.map((column, place) =>
        el(place ? "td" : "th", { scope: place ? null : "row", class: column.number && "number" },
          column.shown ? column.shown(row) : shown(column.of(row)))))));
    more.hidden = found.length <= most;
    more.textContent = `Show all ${found.length.toLocaleString("en")}`;
  }

  for (const row of rows) {
    row.words = columns.filter((column) => column.of).map((column) => String(column.of(row))).join(" ").toLowerCase();
  }
  fill();
  const scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, heads)), body));
  const found = el("div", {},
    rows.length > 8 ? el("div", { class: "row" }, el("label", { for: id, class: "inline" }, "Find"), field) : null, scroll, more);
  found.choose = (name) => {
    chosen = name;
    most = Infinity;
    fill();
    body.querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
  };
  return found;
}

const shown = (value) => (typeof value === "number" ? percent(value) : String(value));

/** One answer as rows of a table. */
export function rowsOf(answer, text, people) {
  return answer.texts[text].people.map((person) => {
    const label = answer.labels.indexOf(person.predicted);
    const known = people.get(person.annotator);
    return {
      name: person.annotator, label, says: String(person.predicted), p: person.p, sure: person.p[label],
      attributes: known?.attributes ?? {}, place: known?.place, source: person.source,
      range: person.low ? [person.low[label], person.high[label]] : null,
    };
  });
}

/** How sure the model is of somebody, with the interval where one is known. */
export const howSure = {
  name: "How sure", of: (row) => row.sure, number: true,
  shown: (row) => percent(row.sure) + (row.range ? ` (${percent(row.range[0])} to ${percent(row.range[1])})` : ""),
};

/** What the numbers in brackets are, where there are any. */
export const aboutRanges = (rows) => (rows.some((row) => row.range) ? el("p", { class: "soft" },
  "In brackets 90 % intervals: how well the model knows people who were added by a few labels. Of the people it was trained on, that is not known.") : null);

/** Points of the map, of rows. */
export const pointsOf = (rows) => rows.filter((row) => row.place);

/** `27 of 40 people are expected to say toxic`. */
export function sentence(answer, text) {
  const { summary } = answer.texts[text];
  const place = answer.labels.indexOf(summary.predicted);
  const n = Math.round(summary.share[place] * summary.n_annotators);
  return el("p", { class: "says" }, `${n.toLocaleString("en")} of ${counted(summary.n_annotators, "person is", "people are")} expected to say `,
    el("strong", {}, String(summary.predicted)), ".");
}

/** Bars of the shares of people, with mean probabilities beside them. */
export const shares = (answer, text) => answer.labels.map((name, place) => ({
  name, value: answer.texts[text].summary.share[place],
  words: `${percent(answer.texts[text].summary.share[place])} of people, mean ${percent(answer.texts[text].summary.p[place])}`,
}));
