"use strict";
// Sorting and filtering of the tables. Without scripts they stand as they are, best first.

const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

function remember() {
  for (const [key, value] of [...state]) if (!value) state.delete(key);
  const hash = state.toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

// What a cell is sorted by: its data, or its text; numbers as numbers, nothing as nothing.
function valueOf(row, column) {
  const cell = row.cells[column];
  if (!cell) return null;
  const text = cell.dataset.v ?? cell.textContent.trim();
  if (text === "" || text === "-") return null;
  const plain = text.replace(/,/g, "");
  return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : text.toLowerCase();
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

function sort(table, column, direction) {
  const sign = direction === "ascending" ? 1 : -1;
  for (const body of table.tBodies) {
    const rows = [...body.rows].map((row, i) => [valueOf(row, column), i, row]);
    rows.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return a === b ? i - j : a === null ? 1 : -1;  // missing last
      return sign * compare(a, b) || i - j;
    });
    body.append(...rows.map(([, , row]) => row));
  }
  for (const [i, head] of [...table.tHead.rows[0].cells].entries()) {
    if (i === column) head.setAttribute("aria-sort", direction);
    else head.removeAttribute("aria-sort");
  }
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if ("nosort" in head.dataset) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    const link = head.querySelector("a");
    if (link) {
      // A link cannot stand in a button: the button goes below it.
      button.textContent = "sort";
      button.setAttribute("aria-label", `sort by ${link.textContent.trim()}`);
      head.append(document.createElement("br"), button);
    } else {
      button.append(...head.childNodes);
      head.append(button);
    }
    button.addEventListener("click", () => {
      const words = head.classList.contains("word");
      const now = head.getAttribute("aria-sort");
      const first = words || /^(rank|failed|unparsed)/.test(head.textContent.trim()) ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const direction = now === first ? other : first;
      sort(table, column, direction);
      state.set(table.id, `${column}:${direction}`);
      remember();
    });
  });
  const [column, direction] = (state.get(table.id) ?? "").split(":");
  if (heads[column] && ["ascending", "descending"].includes(direction)) sort(table, Number(column), direction);
}

function makeFilters(form) {
  const inputs = { models: form.querySelector("#filter-models"), tasks: form.querySelector("#filter-tasks"),
    kind: form.querySelector("#filter-kind") };
  const tables = [...document.querySelectorAll("table.matrix")];
  function apply() {
    const model = inputs.models.value.trim().toLowerCase();
    const task = inputs.tasks.value.trim().toLowerCase();
    const kind = inputs.kind.value;
    let shown = 0, columns = 0;
    for (const table of tables) {
      const heads = [...table.tHead.rows[0].cells];
      const keep = heads.map((head) => !head.dataset.task || head.dataset.task.toLowerCase().includes(task));
      columns = Math.max(columns, keep.filter(Boolean).length - 1);
      heads.forEach((head, i) => { head.hidden = !keep[i]; });
      for (const body of table.tBodies) {
        for (const row of body.rows) {
          const fits = row.dataset.name.toLowerCase().includes(model) && (!kind || body.dataset.kind === kind);
          row.hidden = !fits;
          shown += fits;
          [...row.cells].forEach((cell, i) => { cell.hidden = !keep[i]; });
        }
      }
    }
    form.querySelector("#status").textContent =
      model || task || kind ? `${shown} rows and ${columns} tasks shown` : "";
    for (const [key, input] of Object.entries(inputs)) state.set(key, input.value.trim());
    remember();
  }
  for (const [key, input] of Object.entries(inputs)) {
    input.value = state.get(key) ?? "";
    input.addEventListener("input", apply);
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  form.hidden = false;
  if (Object.values(inputs).some((input) => input.value)) apply();
}

// A link to a cell's provenance opens it.
function openTarget() {
  const target = location.hash.includes("=") ? null : document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target && target.querySelector("details");
  if (details) details.open = true;
}

for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
const filters = document.getElementById("filters");
if (filters) makeFilters(filters);
openTarget();
addEventListener("hashchange", openTarget);
