// All cells, one row each: sorted, filtered, greyed out where they break a budget.
const PAGE = 150; // rows that are drawn at first; more as the reader scrolls, for a browser needs a second for a thousand
const body = by("rows");
let drawn = new Map(), reach = PAGE, shownRows = "";
const listed = () => { const chosen = new Set(chosenColumns()); return data.columns.filter((column) => chosen.has(column.id) || column.id === "backbone"); };
function drawHeads() {
  const heads = listed().map((column) => {
    const sorted = state.sort === column.id ? ` aria-sort="${state.down ? "descending" : "ascending"}"` : "";
    const title = column.about ? ` title="${safe(column.about)}"` : "";
    const kind = `${column.number ? "" : "t"}${column.id === "backbone" ? " name" : ""}`;
    return `<th scope="col" class="${kind}"${sorted}${title}><button data-sort="${safe(column.id)}">${safe(column.title)}</button><small>${safe(column.unit) || "&nbsp;"}</small></th>`;
  });
  by("heads").innerHTML = `<th scope="col" class="t"><small>compare</small></th>${heads.join("")}`;
}
function drawRows() { // the first ones of those that the filters leave
  const list = listed(), places = sorted().filter((p) => visible[p]);
  const row = (p) => `<tr data-place="${p}">${tick(p)}${list.map((column) => cell(column, p)).join("")}</tr>`;
  body.innerHTML = places.slice(0, reach).map(row).join("");
  drawn = new Map([...body.rows].map((row) => [Number(row.dataset.place), { row, kind: "" }]));
  const left = Math.max(places.length - reach, 0);
  by("rest").hidden = !left;
  by("rest-said").textContent = `${drawn.size} of ${plural(places.length, "row")} drawn`;
}
function more(count) {
  reach += count;
  drawRows();
  update();
}
const tick = (p) => `<td class="t"><input type="checkbox" data-compare="${p}" aria-label="compare ${safe(data.names[p])}"></td>`;
function cell(column, p) {
  const value = column.values[p];
  if (column.id === "backbone") return `<th scope="row" class="t name"><span class="mark" aria-hidden="true"></span>${safe(value)}</th>`;
  if (!column.number) return `<td class="t${column.id === "remark" ? " w" : ""}">${safe(value)}</td>`;
  if (column.keys) return `<td>${safe(value)}</td>`;
  const error = column.errors?.[p], mark = column.marks?.[p];
  return `<td>${shown(column, value)}${error === null || error === undefined ? "" : ` <span class="e">± ${fixed(error, column.places)}</span>`}${mark ? ` ${mark}` : ""}</td>`;
}
function sorted() {
  const column = columns.get(state.sort), keys = column.keys ?? column.values;
  const text = typeof keys.find((v) => v !== null) === "string", way = state.down ? -1 : 1;
  return data.names.map((_, p) => p).sort((a, b) => {
    const aside = (a >= ranked) - (b >= ranked);
    if (aside) return aside;
    const [v, w] = [keys[a], keys[b]];
    if (v === null || w === null) return (v === null) - (w === null) || a - b;
    return way * (text ? v.localeCompare(w, "en", { numeric: true }) : v - w) || a - b;
  });
}
by("heads").addEventListener("click", (event) => {
  const id = event.target.closest("button")?.dataset.sort;
  if (!id) return;
  const column = columns.get(id);
  const first = Boolean(column.number && column.higher); // the best on top
  state.down = state.sort === id ? !state.down : first;
  state.sort = id;
  drawHeads();
  by("heads").querySelector("[aria-sort] button").focus();
  update();
  announce(`sorted by ${withUnit(column)}, ${state.down ? "descending" : "ascending"}`);
});
by("all-rows").addEventListener("click", () => more(data.names.length));
new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) more(PAGE); }, { root: body.closest(".scroll"), rootMargin: "400px" }).observe(by("rest"));
function showRows(visible, mask, found) {
  const now = [state.sort, state.down, reach, listed().length, chosenColumns(), visible].join();
  if (now !== shownRows) { shownRows = now; drawRows(); }
  const front = new Set(found.front), strong = new Set(found.contenders);
  for (const [p, line] of drawn) {
    const kind = p >= ranked ? "aside" : !mask[p] ? "out" : p === found.pick ? "pick" : front.has(p) ? "front" : strong.has(p) ? "strong" : "";
    if (line.kind === kind) continue;
    line.row.className = line.kind = kind;
    if (kind === "out") line.row.setAttribute("aria-disabled", "true"); else line.row.removeAttribute("aria-disabled");
  }
}
// What is shown, as rows of plain values: for CSV and JSON.
function table() {
  const list = listed();
  return sorted().filter((p) => visible[p]).map((p) => {
    const row = { cell: data.names[p], in_budget: Boolean(mask[p]), pick: p === found.pick };
    for (const column of list) {
      row[column.id] = column.values[p];
      if (column.errors) row[`${column.id}_stderr`] = column.errors[p];
    }
    return row;
  });
}
function csv(rows) {
  const quote = (value) => value === null || value === undefined ? "" : /[",\n]/.test(String(value)) ? `"${String(value).replace(/"/g, '""')}"` : String(value);
  const names = Object.keys(rows[0] ?? {});
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((row) => row.map(quote).join(",")).join("\n") + "\n";
}
function download(name, type, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
