// A jury: who sits on it, how much each counts, and what it would say.

import { post } from "./api.js";
import { busy, byId, counted, el, percent, say } from "./dom.js";
import { bars } from "./picture.js";
import { aboutRanges, howSure, peopleTable, rowsOf } from "./people.js";

const MOST_VALUES = 60;

export function setUpJury(state) {
  const weights = new Map();
  const names = [...state.people.keys()];
  const people = el("select", { id: "jury-people", multiple: true, size: 7 }, names.map((name) => el("option", { value: name }, name)));
  const filters = Object.entries(state.run.attributes).filter(([, values]) => values.length && values.length <= MOST_VALUES)
    .map(([name, values], place) => ({
      name, field: el("select", { id: `jury-where-${place}`, multiple: true, size: Math.min(5, values.length) }, values.map((value) => el("option", { value }, value))),
    }));
  const size = el("input", { id: "jury-size", type: "number", min: 1, max: names.length, placeholder: "all", inputmode: "numeric" });
  const seed = el("input", { id: "jury-seed", type: "number", min: 0, max: 4294967295, value: 0, inputmode: "numeric" });
  const result = el("div", { id: "jury-result" });
  const ask = el("button", { class: "main" }, "Ask the jury");
  const again = el("button", { type: "button", onclick: () => { seed.value = Number(seed.value || 0) + 1; run(again); } }, "Draw others");

  const run = (button) => busy(button, async () => {
    const chosen = valuesOf(people);
    const where = Object.fromEntries(filters.map(({ name, field }) => [name, valuesOf(field)]).filter(([, values]) => values.length));
    const jury = { where, seed: Number(seed.value || 0), weights: Object.fromEntries(weights) };
    if (chosen.length) jury.people = chosen;
    if (size.value) jury.size = Number(size.value);
    const answer = await post("v1/predict", { texts: [state.text()], jury, intervals: state.intervals() });
    show(state, answer, result, weights, () => run(ask));
  });

  byId("jury").replaceChildren(
    el("form", { class: "card", onsubmit: (event) => { event.preventDefault(); run(ask); } },
      el("h2", {}, "Who sits on the jury"),
      el("div", { class: "columns" },
        el("fieldset", {}, el("label", { for: "jury-people" }, "People ", el("small", {}, "none chosen: everyone; Ctrl or Shift chooses several")), people),
        filters.map(({ name, field }) => el("fieldset", {}, el("label", { for: field.id }, `${name} `, el("small", {}, "none chosen: any")), field)),
        el("fieldset", {}, el("label", { for: "jury-size" }, "How many of these, drawn at random"), size,
          el("label", { for: "jury-seed" }, "Number of the draw"), el("div", { class: "row" }, seed, again))),
      el("div", { class: "row" }, ask)),
    result);
}

const valuesOf = (select) => [...select.selectedOptions].map((option) => option.value);

function show(state, answer, result, weights, again) {
  const { verdict } = answer.texts[0];
  const rows = rowsOf(answer, 0, state.people);
  const weight = new Map(answer.members.map((member) => [member.annotator, member.weight]));
  const dissenters = rows.filter((row) => row.says !== String(verdict.verdict) && weight.get(row.name) > 0);
  say(`The jury is expected to say ${verdict.verdict}; dissent ${percent(verdict.dissent)}.`);
  const columns = [
    { name: "Member", of: (row) => row.name },
    { name: "Expected to say", of: (row) => row.says },
    howSure,
    { name: "Weight", of: (row) => weight.get(row.name), number: true, shown: (row) => el("input", {
      type: "number", min: 0, max: 1000000, step: "any", value: weight.get(row.name), "aria-label": `Weight of ${row.name}`,
      onchange: (event) => { weights.set(row.name, Math.max(0, Number(event.target.value) || 0)); again(); },
    }) },
  ];
  result.replaceChildren(el("div", { class: "columns" },
    el("div", { class: "card" },
      el("p", { class: "says", id: "verdict" }, `The jury of ${counted(rows.length, "person", "people")} is expected to say `, el("strong", {}, String(verdict.verdict)), "."),
      bars(answer.labels.map((name, place) => ({
        name, value: verdict.p[place], low: verdict.low[place] ?? undefined, high: verdict.high[place] ?? undefined,
        words: `${percent(verdict.share[place])} of the votes, mean ${percent(verdict.p[place])}`
          + (verdict.low[place] === null ? "" : ` (${percent(verdict.low[place])} to ${percent(verdict.high[place])})`),
      })), "Weighted mean probabilities with 90 % intervals"),
      el("p", {}, el("strong", {}, `Dissent: ${percent(verdict.dissent)}. `),
        dissenters.length ? `${counted(dissenters.length, "member is", "members are")} expected to say something else: ${named(dissenters)}.` : "Nobody is expected to say anything else."),
      el("p", { class: "soft" }, "The verdict is the label with most of the votes, counted by weight: what each member is expected to say. "
        + "The bars are the mean of their probabilities, which can lean the other way where those in the minority are surer. "
        + "Lines across the bars are 90 % intervals over juries drawn anew from these members; they say nothing about how good the model is.")),
    el("div", { class: "card" }, el("h2", {}, "Members"), peopleTable("Members and how much they count", columns, rows), aboutRanges(rows))));
}

function named(rows) {
  const most = rows.slice(0, 12).map((row) => row.name).join(", ");
  return rows.length > 12 ? `${most} and ${rows.length - 12} more` : most;
}
