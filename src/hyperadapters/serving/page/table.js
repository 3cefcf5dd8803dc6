// A table goes in, the same table with answers comes out.

import { dropTable, fetchTable, get, sendTable } from "./api.js";
import { busy, byId, counted, el, save, say } from "./dom.js";

export function setUpTable(state) {
  const file = el("input", { id: "table-file", type: "file", accept: ".csv,text/csv" });
  const first = el("input", { id: "table-column", value: "text", autocomplete: "off" });
  const second = el("input", { id: "table-column-2", value: "text_pair", autocomplete: "off" });
  const per = el("select", { id: "table-per" },
    el("option", { value: "text" }, "One row for each text"), el("option", { value: "person" }, "One row for each text and person"));
  const who = el("select", { id: "table-who" },
    el("option", { value: "all" }, "Everyone"), el("option", { value: "population" }, "Nobody in particular"));
  const safe = el("input", { id: "table-safe", type: "checkbox", checked: true });
  const button = el("button", { class: "main" }, "Answer the table");
  const progress = el("div", { id: "table-progress" });
  const drop = el("div", { class: "drop" }, el("label", { for: "table-file" }, "CSV file ", el("small", {}, "choose one, or drop it here")), file);
  for (const kind of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) file.files = event.dataTransfer.files;
    });
  }

  const run = () => busy(button, async () => {
    if (!file.files.length) throw new Error("Choose a CSV file first.");
    const query = new URLSearchParams({ per: per.value, annotators: who.value, spreadsheet: safe.checked });
    query.append("text", first.value.trim() || "text");
    if (state.run.pairs) query.append("text", second.value.trim());
    let job = await sendTable(file.files[0], query);
    const { id } = job;
    const bar = el("progress", { max: job.n, value: 0, "aria-label": "Texts answered" });
    const words = el("p", {});
    progress.replaceChildren(bar, words);
    while (job.state === "running") {
      await new Promise((done) => setTimeout(done, 250));
      job = await get(`v1/tables/${id}`);
      bar.value = job.done;
      words.textContent = `${job.done.toLocaleString("en")} of ${counted(job.n, "text", "texts")} answered`;
    }
    if (job.state === "failed") throw new Error(job.detail);
    const content = await fetchTable(id);
    dropTable(id).catch(() => {});
    const name = file.files[0].name.replace(/\.csv$/i, "") + "-answered.csv";
    say("The table is answered.");
    progress.replaceChildren(bar, el("div", { class: "row" }, el("span", {}, `${counted(job.n, "text is", "texts are")} answered.`),
      el("button", { type: "button", id: "table-download", onclick: () => save(content, name) }, `Download ${name}`)));
  });

  byId("table").replaceChildren(el("form", { class: "card", onsubmit: (event) => { event.preventDefault(); run(); } },
    el("h2", {}, "A table of texts"), drop,
    el("div", { class: "columns" },
      el("div", {}, el("label", { for: "table-column" }, "Column of the text"), first),
      state.run.pairs ? el("div", {}, el("label", { for: "table-column-2" }, "Column of the second text"), second) : null,
      el("div", {}, el("label", { for: "table-who" }, "Who is asked"), who),
      el("div", {}, el("label", { for: "table-per" }, "What comes back"), per)),
    el("div", { class: "row" }, el("label", { class: "inline", for: "table-safe" }, safe, "Safe to open in a spreadsheet "),
      el("small", {}, "words that begin like a formula (= + - @) get an apostrophe before them")),
    el("div", { class: "row" }, button), progress));
}
