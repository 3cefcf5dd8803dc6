// Two texts, or two wordings of one: who would say something else.

import { post } from "./api.js";
import { busy, byId, counted, el, percent, say } from "./dom.js";
import { bars } from "./picture.js";
import { peopleTable, rowsOf, sentence, shares } from "./people.js";

export function setUpCompare(state) {
  const other = el("textarea", { id: "other", rows: 3, required: true, placeholder: "The other wording" });
  const otherPair = el("textarea", { id: "other-pair", rows: 2 });
  const button = el("button", { class: "main" }, "Compare");
  const result = el("div", { id: "compare-result" });
  byId("compare").replaceChildren(
    el("form", {
      class: "card", onsubmit: (event) => {
        event.preventDefault();
        busy(button, async () => {
          const second = state.run.pairs ? [other.value, otherPair.value] : other.value;
          show(state, await post("v1/predict", { texts: [state.text(), second] }), result);
        });
      },
    },
    el("label", { for: "other" }, "Compared with ", el("small", {}, "the text above is the first wording")), other,
    state.run.pairs ? [el("label", { for: "other-pair" }, "Second text of it"), otherPair] : null,
    el("div", { class: "row" }, button)),
    result);
}

function show(state, answer, result) {
  const [first, second] = [rowsOf(answer, 0, state.people), rowsOf(answer, 1, state.people)];
  // The label that moves most on average.
  const move = answer.labels.map((_, place) => answer.texts[1].summary.p[place] - answer.texts[0].summary.p[place]);
  const most = move.reduce((best, value, place) => (Math.abs(value) > Math.abs(move[best]) ? place : best), answer.labels.length - 1);
  const rows = first.map((row, place) => ({
    name: row.name, before: row.says, after: second[place].says, shift: second[place].p[most] - row.p[most],
  }));
  const changed = rows.filter((row) => row.before !== row.after);
  const told = `${changed.length.toLocaleString("en")} of ${counted(rows.length, "person is", "people are")} expected to say something else of the second wording.`;
  say(told);
  const part = (title, text) => el("div", { class: "card" }, el("h2", {}, title), sentence(answer, text), bars(shares(answer, text), title));
  result.replaceChildren(
    el("p", { class: "says", id: "changed" }, told),
    el("div", { class: "columns" }, part("First wording", 0), part("Second wording", 1)),
    el("div", { class: "card" }, el("h2", {}, "People"), peopleTable(
      `What changes; the shift is that of the probability of ${answer.labels[most]}`, [
        { name: "Person", of: (row) => row.name },
        { name: "First", of: (row) => row.before },
        { name: "Second", of: (row) => row.after },
        { name: "Changes", of: (row) => (row.before === row.after ? "" : "yes") },
        { name: "Shift", of: (row) => row.shift, number: true, shown: (row) => `${row.shift > 0 ? "+" : ""}${percent(row.shift)}`.replace("-", "−") },
      ], rows, { sort: 4, down: true })));
}
