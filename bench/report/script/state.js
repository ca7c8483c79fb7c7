// Everything that the reader chose, and its permalink: what stands behind # in the address.
const start = () => ({
  limits: {}, text: "", filters: Object.fromEntries(data.filters.map((name) => [name, []])), columns: null, sort: "rank", down: false,
  x: data.cost, y: "z", join: "", a: null, b: null, series: "", theme: "",
});
const state = start();
function address() {
  const query = new URLSearchParams();
  for (const [id, value] of Object.entries(state.limits)) query.append(columns.get(id).higher ? "min" : "max", `${id}=${value}`);
  for (const [name, values] of Object.entries(state.filters)) for (const value of values) query.append(`only.${name}`, value);
  if (state.columns) for (const id of state.columns) query.append("column", id);
  const plain = start();
  for (const name of ["text", "sort", "x", "y", "join", "series", "theme"]) if (state[name] !== plain[name]) query.set(name, state[name]);
  if (state.down) query.set("down", "1");
  for (const side of ["a", "b"]) if (state[side] !== null) query.set(side, data.names[state[side]]);
  return query.toString();
}
function restore(text) {
  const query = new URLSearchParams(text);
  Object.assign(state, start());
  for (const kind of ["max", "min"]) for (const limit of query.getAll(kind)) {
    const at = limit.lastIndexOf("="), id = limit.slice(0, at), value = Number(limit.slice(at + 1));
    const column = columns.get(id);
    if (column && column.cost && column.higher === (kind === "min") && Number.isFinite(value)) state.limits[id] = value;
  }
  for (const name of data.filters) state.filters[name] = query.getAll(`only.${name}`);
  const asked = query.getAll("column").filter((id) => columns.has(id));
  if (asked.length) state.columns = asked;
  state.text = query.get("text") ?? "";
  state.down = query.get("down") === "1";
  const known = (id, fits) => columns.has(id) && fits(columns.get(id));
  if (known(query.get("sort"), () => true)) state.sort = query.get("sort");
  if (known(query.get("x"), (c) => c.cost)) state.x = query.get("x");
  if (known(query.get("y"), (c) => c.score)) state.y = query.get("y");
  if (query.get("join") in data.lines) state.join = query.get("join");
  if (["light", "dark"].includes(query.get("theme"))) state.theme = query.get("theme");
  state.series = query.get("series") ?? "";
  for (const side of ["a", "b"]) {
    const place = data.names.indexOf(query.get(side));
    state[side] = place < 0 ? null : place;
  }
}
let pending = 0;
function remember() { // browsers allow few changes of the address in a second
  clearTimeout(pending);
  pending = setTimeout(() => history.replaceState(null, "", `#${address()}`), 150);
}
