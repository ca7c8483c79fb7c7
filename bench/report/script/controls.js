// Sliders for budgets, menus for filters, and the line that says what is left.
const budgets = data.columns.filter((column) => column.budget);
const stops = new Map(budgets.map((column) => {
  const known = distinct(column.values.slice(0, ranked).filter((v) => v !== null)).sort((a, b) => a - b);
  return [column.id, column.higher ? known.reverse() : known]; // the last one lets every cell in
}));
// The stop as a limit: as few digits, three at least, as let it in and keep the next stop out.
function loose(column, known, at) {
  const value = known[at], next = known[at + 1];
  for (let digits = 3; value && digits < 16; digits++) {
    const step = 10 ** (Math.floor(Math.log10(Math.abs(value))) - digits + 1);
    const rounded = Number(((column.higher ? Math.floor(value / step) : Math.ceil(value / step)) * step).toPrecision(digits));
    if (column.higher ? rounded <= value && rounded > next : rounded >= value && rounded < next) return rounded;
  }
  return value;
}
const sliders = new Map();
function slider(column) {
  const known = stops.get(column.id);
  const id = `budget-${column.id}`, sign = column.higher ? "≥" : "≤";
  const range = make("input", { type: "range", id, min: "0", max: String(known.length - 1), step: "1", "data-column": column.id });
  const exact = make("input", { type: "number", step: "any", class: "exact", placeholder: "any", "aria-label": `${withUnit(column)}: limit as a number` });
  const label = make("label", { for: id, title: column.about }, `${column.title} ${sign}`);
  range.addEventListener("input", () => limit(column, Number(range.value) === known.length - 1 ? null : loose(column, known, Number(range.value))));
  exact.addEventListener("change", () => limit(column, exact.value === "" || !Number.isFinite(Number(exact.value)) ? null : Number(exact.value)));
  sliders.set(column.id, { range, exact, column, known });
  return make("div", { class: "budget" }, label, exact, make("span", { class: "soft unit" }, column.unit), range);
}
function limit(column, value) {
  if (value === null) delete state.limits[column.id];
  else state.limits[column.id] = value;
  update();
}
function drawBudgets() {
  const [first, more] = [budgets.filter((c) => c.shown), budgets.filter((c) => !c.shown)];
  by("budgets").replaceChildren(...first.map(slider));
  by("more-budgets").replaceChildren(...more.map(slider));
  by("more-budgets").closest("details").hidden = !more.length;
  by("budget-part").hidden = !budgets.length;
}
function showBudgets() {
  for (const { range, exact, column, known } of sliders.values()) {
    const value = state.limits[column.id];
    let at = known.length - 1;
    if (value !== undefined) {
      const beyond = known.findIndex((v) => column.higher ? v < value : v > value);
      at = beyond < 0 ? known.length - 1 : Math.max(beyond - 1, 0);
    }
    if (Number(range.value) !== at) range.value = at;
    range.setAttribute("aria-valuetext", value === undefined ? "no limit" : `${column.higher ? "at least" : "at most"} ${value} ${column.unit}`);
    if (document.activeElement !== exact) exact.value = value ?? "";
    range.closest(".budget").classList.toggle("set", value !== undefined);
  }
}
const labelOf = (column, place) => typeof column.keys?.[place] === "string" ? column.keys[place] : column.values[place];
function menu(name, title, pairs, chosen, changed) {
  const boxes = pairs.map(([value, text]) => {
    const box = make("input", { type: "checkbox", value });
    box.addEventListener("change", () => changed(value, box.checked));
    return make("label", {}, box, text);
  });
  const details = make("details", { class: "menu", "data-menu": name }, make("summary", {}, title), make("div", { role: "group", "aria-label": title }, ...boxes));
  details.show = (text) => {
    details.firstChild.textContent = text;
    for (const box of details.querySelectorAll("input")) box.checked = chosen().includes(box.value);
  };
  return details;
}
const menus = [];
function drawFilters() {
  for (const name of data.filters) {
    const column = columns.get(name);
    const values = distinct(data.names.map((_, p) => labelOf(column, p))).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const one = menu(name, name, values.map((v) => [v, v]), () => state.filters[name], (value, on) => {
      state.filters[name] = state.filters[name].filter((v) => v !== value).concat(on ? [value] : []);
      update();
    });
    one.refresh = () => one.show(state.filters[name].length ? `${column.title}: ${state.filters[name].join(", ")}` : `${column.title}: all`);
    menus.push(one);
    by("filters").append(one);
  }
  const chooser = menu("columns", "columns", data.columns.filter((c) => c.id !== "backbone").map((c) => [c.id, withUnit(c)]), () => chosenColumns(), (value, on) => {
    const chosen = new Set(chosenColumns());
    if (on) chosen.add(value); else chosen.delete(value);
    state.columns = data.columns.map((c) => c.id).filter((id) => chosen.has(id));
    drawHeads();
    update();
  });
  chooser.refresh = () => chooser.show(`columns: ${chosenColumns().length} of ${data.columns.length}`);
  menus.push(chooser);
  by("table-controls").prepend(chooser);
  by("text").addEventListener("input", () => { state.text = by("text").value; update(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") for (const open of document.querySelectorAll("details.menu[open]")) { open.open = false; open.firstChild.focus(); } });
  document.addEventListener("click", (event) => { for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(event.target)) open.open = false; });
}
const chosenColumns = () => state.columns ?? data.columns.filter((c) => c.shown).map((c) => c.id);
const words = data.names.map((name, p) => [name, columns.get("family").values[p], columns.get("licence").values[p]].join(" ").toLowerCase());
function filtered() {
  const mask = new Uint8Array(data.names.length).fill(1);
  const asked = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  const filters = Object.entries(state.filters).filter(([, values]) => values.length).map(([name, values]) => [columns.get(name), new Set(values)]);
  if (!asked.length && !filters.length) return mask;
  for (let p = 0; p < mask.length; p++)
    if (!asked.every((word) => words[p].includes(word)) || !filters.every(([column, values]) => values.has(labelOf(column, p)))) mask[p] = 0;
  return mask;
}
