// Somebody new says what they think, and watches the model learn them.

import { post } from "./api.js";
import { busy, byId, counted, el, percent, say } from "./dom.js";
import { loraButton } from "./everyone.js";
import { bars, peopleMap } from "./picture.js";
import { pointsOf, rowsOf } from "./people.js";

export function setUpNewcomer(state) {
  const panel = byId("newcomer");
  if (!state.run.can_adapt) {
    panel.replaceChildren(el("p", {}, `Nobody can be added to this run: the method ${state.run.method} has no vector of a person that a few labels could move.`));
    return;
  }
  const said = []; // { text, label } of this person, nowhere but in this tab
  let path = [], saved = null;
  const name = el("input", { id: "newcomer-name", maxlength: 200, autocomplete: "off", placeholder: "a name or an id" });
  const list = el("ol", { class: "list" });
  const result = el("div", { id: "newcomer-result" });
  const keep = el("button", { type: "button" }, "Save this person in the run");
  const after = el("div", { class: "row", id: "newcomer-saved" });
  const choices = state.run.labels.map((label) => el("button", { type: "button", "data-label": label, onclick: (event) => add(label, event.target) }, `I say ${label}`));
  const look = el("button", { type: "button", onclick: (event) => update(event.target) }, "What would I say?");

  async function update(button) {
    await busy(button, async () => {
      const texts = [state.text()];
      const [now, stranger] = await Promise.all([
        post("v1/newcomer", { texts, ratings: said.map(({ rating }) => rating) }), post("v1/newcomer", { texts })]);
      if (now.place) path = [...(path.length ? path : [stranger.place]), now.place];
      const everyone = now.place ? await post("v1/predict", { texts }) : null;
      show(now.texts[0], stranger.texts[0], everyone);
    });
  }

  function show(now, stranger, everyone) {
    const labels = state.run.labels;
    const row = (from) => labels.map((label, place) => ({
      name: label, value: from.p[place], low: from.low[place], high: from.high[place],
      words: `${percent(from.p[place])} (${percent(from.low[place])} to ${percent(from.high[place])})`,
    }));
    const best = labels[now.p.indexOf(Math.max(...now.p))];
    say(`After ${counted(said.length, "label", "labels")} you are expected to say ${best}.`);
    result.replaceChildren(el("div", { class: "columns" },
      el("div", { class: "card" },
        el("p", { class: "says" }, `After ${counted(said.length, "label", "labels")} you are expected to say `, el("strong", {}, String(best)), "."),
        el("h3", {}, "You"), bars(row(now), "You, with 90 % intervals"),
        el("h3", {}, "A stranger"), bars(row(stranger), "A stranger, with 90 % intervals"),
        el("p", { class: "soft" }, "Lines across the bars are 90 % intervals: how well the model knows you, not how good it is. More labels make them narrower.")),
      everyone && state.run.map ? el("div", { class: "card" }, el("h2", {}, "You among the others"),
        peopleMap(pointsOf(rowsOf(everyone, 0, state.people)), labels, state.run.map.share, { you: path })) : null));
  }

  async function add(label, button) {
    const text = state.text();
    const key = JSON.stringify(text);
    const rating = Array.isArray(text) ? { text: text[0], text_pair: text[1], label } : { text, label };
    const known = said.findIndex((one) => one.key === key);
    if (known >= 0) said.splice(known, 1);
    said.push({ key, rating });
    changed();
    await update(button);
  }

  function changed() {
    saved = null;
    after.replaceChildren();
    list.replaceChildren(...said.map((one, place) => el("li", {},
      el("span", {}, el("strong", {}, String(one.rating.label)), " ", el("span", { class: "soft" }, short(one.rating.text))),
      el("button", { type: "button", class: "small", "aria-label": `Take back what you said of: ${short(one.rating.text)}`, onclick: () => { said.splice(place, 1); changed(); update(look); } }, "Take back"))));
    keep.disabled = !said.length || state.run.read_only;
  }

  keep.addEventListener("click", () => busy(keep, async () => {
    const annotator = name.value.trim();
    if (!annotator) { name.focus(); throw new Error("Give this person a name first."); }
    const found = await post("v1/adapt", { ratings: said.map(({ rating }) => ({ ...rating, annotator })) });
    saved = annotator;
    await state.reload();
    say(`${saved} is in the run now.`);
    after.replaceChildren(el("span", {}, `${saved} is in the run now, learned from ${counted(found.learned[saved], "label", "labels")}.`),
      state.run.can_export ? loraButton(saved, "Download the LoRA") : null);
  }));

  panel.replaceChildren(
    el("div", { class: "card" },
      el("h2", {}, "Say what you think"),
      el("p", {}, "Label the text above, then another one. After each label the model learns you anew from what you have said, and from nothing else."),
      el("div", { class: "row" }, choices, look),
      list,
      el("div", { class: "row" }, el("label", { for: "newcomer-name", class: "inline" }, "Name"), name, keep),
      el("p", { class: "soft" }, state.run.read_only
        ? "This server was started read-only: nobody can be saved."
        : "What you say stays in this tab. Saving puts your vector, not your texts, into the run folder."),
      after),
    result);
  changed();
}

const short = (text) => (text.length > 80 ? `${text.slice(0, 79)}…` : text);
