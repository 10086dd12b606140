"use strict";
for (const data of document.querySelectorAll("script.chart-data")) {
  Bokeh.embed.embed_item(JSON.parse(data.textContent));
}

function sortBy(table, column, sign) {
  const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  const compare = (one, other) => Number.isFinite(one - other) ? one - other : one.localeCompare(other);
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort((one, other) => sign * compare(key(one), key(other))));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const turn = () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sortBy(table, column, up ? 1 : -1);
    };
    head.tabIndex = 0;
    head.addEventListener("click", turn);
    head.addEventListener("keydown", (event) => event.key === "Enter" && turn());
  });
}

const sample = document.getElementById("sample");
if (sample) {
  const records = [...sample.querySelectorAll("details")];
  const choice = document.getElementById("verdict");
  const show = () => {
    for (const record of records) {
      record.hidden = choice.value !== "" && record.dataset.verdict !== choice.value;
    }
    const num = records.filter((record) => !record.hidden).length;
    document.getElementById("shown-count").textContent = `${num} shown`;
  };
  choice.addEventListener("change", show);
  document.getElementById("open-all").addEventListener("click", () => {
    const open = !records.every((record) => record.open);
    records.forEach((record) => { record.open = open; });
  });
  show();
}

// Charts take their colors from the style sheet when they are drawn.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const view of Object.values(Bokeh.index)) view.resize_layout?.();
});
document.documentElement.dataset.ready = "true";
