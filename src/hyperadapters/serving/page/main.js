// The page: what the run is, the text, and the tabs.

import { annotators, get, useKey } from "./api.js";
import { setUpCompare } from "./compare.js";
import { busy, byId, counted, fault } from "./dom.js";
import { askEveryone, emptyEveryone } from "./everyone.js";
import { setUpJury } from "./jury.js";
import { setUpNewcomer } from "./newcomer.js";
import { setUpTable } from "./table.js";

const state = {
  run: null,
  people: new Map(),
  /** The text that is typed, or the pair of texts. */
  text() {
    const found = this.run.pairs ? [byId("text").value, byId("text-pair").value] : byId("text").value;
    if (![found].flat().every((part) => part.trim())) {
      byId("text").focus();
      throw new Error("Type a text first.");
    }
    return found;
  },
  /** Whether it is known of anybody how sure the model is: of those who were added by a few labels. */
  intervals() {
    const n = [...this.people.values()].filter((person) => person.source === "adapted").length;
    return this.run.can_adapt && n > 0 && n <= this.run.limits.interval_rows;
  },
  /** Ask anew who is there; answers on the page stay. */
  async reload() {
    this.run = await get("v1/run");
    this.people = new Map((await annotators(this.run.limits.rows)).map((person) => [person.annotator, person]));
    const { run } = this;
    byId("about").textContent = `${counted(run.n_annotators, "person", "people")}, who say ${run.labels.join(" or ")}. Run ${run.name}, method ${run.method}.`;
    setUpJury(this);
  },
};

async function start() {
  try {
    await state.reload();
  } catch (error) {
    fault(error.message);
    return;
  }
  fault("");
  const { run } = state;
  byId("simulated").hidden = !run.simulated;
  byId("second").hidden = !run.pairs;
  byId("text-pair").required = run.pairs;
  setUpCompare(state);
  setUpNewcomer(state);
  setUpTable(state);
  emptyEveryone();
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  start();
});

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  show(byId("tab-everyone"));
  busy(byId("ask-button"), () => askEveryone(state));
});

for (const id of ["text", "text-pair"]) {
  byId(id).addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask").requestSubmit();
  });
}

// Tabs as the ARIA practices describe them: one is in the order of Tab, arrows go to the others.
const tabs = [...byId("tabs").children];

function show(chosen) {
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.tabIndex = tab === chosen ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
  }
}

tabs.forEach((tab, place) => {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    show(next);
    next.focus();
  });
});

start();
