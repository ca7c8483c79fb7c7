// Two cells side by side: costs, paired differences of every task, classes, and the images that they disagree on.
const RESAMPLES = 2000;
function pair(place, on = true) {
  if (!on) { if (state.a === place) state.a = null; else if (state.b === place) state.b = null; }
  else if (state.a === null && state.b !== place) state.a = place;
  else if (state.a !== place) state.b = place;
  update();
}
body.addEventListener("change", (event) => {
  const place = event.target.dataset.compare;
  if (place !== undefined) pair(Number(place), event.target.checked);
});
let compared = "";
function showPair() {
  for (const box of body.querySelectorAll("input:checked")) if (![state.a, state.b].includes(Number(box.dataset.compare))) box.checked = false;
  for (const side of ["a", "b"]) {
    if (state[side] !== null) { const box = drawn.get(state[side])?.row.querySelector("input"); if (box) box.checked = true; }
    by(side).value = state[side] ?? "";
  }
  const now = `${state.a} ${state.b}`;
  if (now !== compared) { compared = now; drawPair(); }
}
async function drawPair() {
  const { a, b } = state, place = by("pair");
  if (a === null || b === null || a === b) { place.replaceChildren(make("p", { class: "soft" }, "Choose two cells: here, by their boxes in the table, or by a click on their points.")); return; }
  place.setAttribute("aria-busy", "true");
  const [one, other] = [data.names[a], data.names[b]];
  const both = a < ranked && b < ranked;
  const lead = !both ? "At least one of the two is not ranked." : !data.errors ? "The scores come without errors, so no difference can be tested."
    : ahead(a, b) ? `${one} is significantly more accurate over all settings.` : ahead(b, a) ? `${other} is significantly more accurate over all settings.`
    : "Over all settings, their difference is not significant.";
  const rows = [];
  for (const column of data.columns.filter((c) => c.score)) rows.push(await difference(column, a, b));
  const costs = data.columns.filter((c) => c.cost && (c.values[a] ?? c.values[b]) !== null && (c.shown || chosenColumns().includes(c.id))).map((column) => {
    const [v, w] = [column.values[a], column.values[b]];
    const ratio = v !== null && w !== null && v > 0 && w > 0 ? `${fixed(w / v, 2)} ×` : "n/a";
    return [withUnit(column), number(v), number(w), ratio];
  });
  const photographs = await strips(a, b), classes = await classTables(a, b);
  if (compared !== `${a} ${b}`) return; // another pair was chosen meanwhile
  place.innerHTML = `<p>${safe(lead)}</p>` +
    grid("Scores", ["setting", "A", "B", "B − A", "95 % interval", "", "images: only A right / only B right"], rows) + photographs + grid("Costs", ["cost", "A", "B", "B / A"], costs) + classes;
  place.removeAttribute("aria-busy");
}
const grid = (title, heads, rows) => rows.length ? `<div class="scroll" tabindex="0" role="region" aria-label="${safe(title)}"><table><caption>${safe(title)}</caption><thead><tr>${heads.map((h, i) => `<th scope="col" class="${i ? "" : "t"}">${safe(h)}</th>`).join("")}</tr></thead><tbody>${rows.map((row) => `<tr>${row.map((v, i) => i ? `<td>${safe(v)}</td>` : `<th scope="row" class="t">${safe(v)}</th>`).join("")}</tr>`).join("")}</tbody></table></div>` : "";
async function difference(column, a, b) {
  const [v, w] = [column.values[a], column.values[b]];
  const base = [withUnit(column), shown(column, v), shown(column, w)];
  if (v === null || w === null) return [...base, "n/a", "", "", ""];
  const gap = w - v, sign = (value) => (value > 0 ? "+" : "") + fixed(value, column.places);
  const answers = await answersOf(column.id, a, b);
  if (!answers) return [...base, sign(gap), column.id === "z" ? "see above" : "not recorded", "", ""];
  const { low, high } = interval(answers);
  const better = column.higher ? low > 0 : high < 0, worse = column.higher ? high < 0 : low > 0;
  const verdict = better ? "B is better" : worse ? "A is better" : "not significant";
  const { x, y, binary } = answers;
  let [onlyA, onlyB] = [0, 0];
  for (let i = 0; i < x.length; i++) { if (x[i] > y[i]) onlyA++; else if (y[i] > x[i]) onlyB++; }
  const more = column.higher ? [onlyA, onlyB] : [onlyB, onlyA];
  const disagree = `${more[0].toLocaleString("en")} / ${more[1].toLocaleString("en")} of ${x.length.toLocaleString("en")}${binary ? "" : " (scores higher)"}`;
  return [...base, sign(gap), `${sign(gap + low - answers.mean)} … ${sign(gap + high - answers.mean)}`, verdict, disagree];
}
// Every test image's score of both cells; null where the page does not hold them.
async function answersOf(id, a, b) {
  const entry = data.answers.find((one) => one.id === id);
  if (!entry || entry.left_out) return null;
  const [i, j] = [entry.places.indexOf(a), entry.places.indexOf(b)];
  if (i < 0 || j < 0) return null;
  const bytes = await part(entry.element), n = entry.images, wide = entry.bits ? Math.ceil(n / 8) : n;
  const read = (row) => Float64Array.from({ length: n }, (_, k) => {
    const code = entry.bits ? (bytes[row * wide + (k >> 3)] & (128 >> (k & 7)) ? 1 : 0) : bytes[row * wide + k] / 255;
    return entry.low + code * (entry.high - entry.low);
  });
  const m = entry.draws, after = entry.places.length * wide;
  const draws = (row) => m ? Array.from(new Float32Array(bytes.slice(after + 4 * m * row, after + 4 * m * (row + 1)).buffer)) : [];
  const [x, y] = [read(i), read(j)];
  let mean = 0;
  for (let k = 0; k < n; k++) mean += (y[k] - x[k]) / n;
  return { x, y, mean, binary: entry.bits, draws: draws(i).map((v, k) => draws(j)[k] - v) };
}
// The paired bootstrap of bench/records/stats.py, with random numbers of its own: the same images for both cells, and
// seeded draws of training images likewise.
function interval({ x, y, draws }) {
  const random = mulberry(12345), n = x.length, m = draws.length, found = new Float64Array(RESAMPLES);
  const gap = y.map((v, k) => v - x[k]);
  const middle = m ? draws.reduce((sum, v) => sum + v, 0) / m : 0, widen = m > 1 ? Math.sqrt(m / (m - 1)) : 0;
  for (let r = 0; r < RESAMPLES; r++) {
    let sum = 0, extra = 0;
    for (let k = 0; k < n; k++) sum += gap[random(n)];
    if (m > 1) for (let k = 0; k < m; k++) extra += draws[random(m)] - middle;
    found[r] = sum / n + (m > 1 ? widen * extra / m : 0);
  }
  found.sort();
  const end = (q) => { const at = q * (RESAMPLES - 1), k = Math.floor(at); return found[k] + (at - k) * ((found[k + 1] ?? found[k]) - found[k]); };
  return { low: end(0.025), high: end(0.975) };
}
function mulberry(seed) {
  return (n) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 4294967296 * n);
  };
}
async function classTables(a, b) {
  await parsed;
  if (!by("classes")) return "";
  const all = await json("classes"), parts = [];
  for (const [setting, cells] of Object.entries(all)) {
    const [one, other] = [cells[a], cells[b]];
    if (!one || !other) continue;
    const theirs = new Map(other.map((row) => [row.class, row]));
    const names = Object.keys(one[0]).filter((name) => name !== "class" && name !== "n" && typeof one.find((row) => row[name] !== null && row[name] !== undefined)?.[name] === "number");
    const rows = one.filter((row) => theirs.has(row.class)).map((row) => {
      const twin = theirs.get(row.class);
      const gap = (name) => typeof row[name] === "number" && typeof twin[name] === "number" ? twin[name] - row[name] : null;
      return { row, twin, gap, by: gap(names[0]) ?? 0 };
    }).sort((p, q) => p.by - q.by);
    const text = (value) => typeof value === "number" ? fixed(value, 1) : "–";
    parts.push(grid(`${setting}, class by class: what B loses most against A comes first`, ["class", ...names.flatMap((name) => [`${name} A`, `${name} B`, "B − A"])],
      rows.map(({ row, twin, gap }) => [row.class, ...names.flatMap((name) => [text(row[name]), text(twin[name]), gap(name) === null ? "–" : (gap(name) > 0 ? "+" : "") + fixed(gap(name), 1)])])));
  }
  return parts.join("");
}
