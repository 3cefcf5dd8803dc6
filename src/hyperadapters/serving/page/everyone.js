// What everyone would say of a text.

import { post, postForFile } from "./api.js";
import { busy, byId, el, fault, percent, say, save } from "./dom.js";
import { peopleMap, bars } from "./picture.js";
import { aboutRanges, howSure, peopleTable, pointsOf, rowsOf, sentence, shares } from "./people.js";

export async function askEveryone(state) {
  const answer = await post("v1/predict", { texts: [state.text()], annotators: "all", intervals: state.intervals() });
  const rows = rowsOf(answer, 0, state.people);
  const { summary } = answer.texts[0];
  say(`${summary.n_annotators} people were asked; most are expected to say ${summary.predicted}.`);
  const map = el("div");
  const table = peopleTable("Who is expected to say what, and how sure the model is", columns(state, answer), rows,
    { sort: 0 });
  const draw = (chosen) => map.replaceChildren(
    peopleMap(pointsOf(rows), answer.labels, state.run.map.share, { chosen, onchoose: (name) => { draw(name); table.choose(name); } }));
  const places = state.run.map && pointsOf(rows).length ? el("div", { class: "card" }, el("h2", {}, "Map"), map) : null;
  if (places) draw(null);
  byId("everyone").replaceChildren(
    el("div", { class: "columns" },
      el("div", { class: "card" }, sentence(answer, 0), bars(shares(answer, 0), "Shares of people"),
        el("p", { class: "soft" }, `Two people drawn at random differ ${percent(summary.disagreement)} of the time.`)),
      places),
    el("div", { class: "card" }, el("h2", {}, "People"), table, aboutRanges(rows)));
}

function columns(state, answer) {
  const each = answer.labels.length <= 3
    ? answer.labels.map((label, place) => ({ name: String(label), of: (row) => row.p[place], number: true })) : [];
  return [
    { name: "Person", of: (row) => row.name },
    { name: "Expected to say", of: (row) => row.says },
    howSure,
    ...each,
    ...Object.keys(state.run.attributes).map((name) => ({ name, of: (row) => row.attributes[name] ?? "" })),
    ...(state.run.can_export ? [{ name: "Adapter", shown: (row) => loraButton(row.name) }] : []),
  ];
}

/** A button that downloads somebody's LoRA. */
export function loraButton(name, words = "LoRA") {
  const button = el("button", {
    type: "button", class: "small", title: "Download this person's adapter as an ordinary LoRA folder",
    "aria-label": `Download the LoRA of ${name}`,
    onclick: () => busy(button, async () => save(await postForFile("v1/export", { annotator: name }), `${safe(name)}-lora.zip`)),
  }, words);
  return button;
}

const safe = (name) => name.replace(/[^\w.-]+/g, "_");

export function emptyEveryone() {
  fault("");
  byId("everyone").replaceChildren(el("p", { class: "soft" },
    "Type a text above and ask: you see who is expected to say what, and how sure the model is of each."));
}
