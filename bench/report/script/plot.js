// Accuracy against cost: a point a cell, the fronts of what is left, lines through sizes or depths.
const SHAPES = [
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`, (r) => `M0,${-1.3 * r}L${1.3 * r},0 0,${1.3 * r} ${-1.3 * r},0z`,
  (r) => `M${-r},${-r}h${2 * r}v${2 * r}h${-2 * r}z`, (r) => `M0,${-1.2 * r}L${1.2 * r},${r} ${-1.2 * r},${r}z`,
  (r) => `M${-1.2 * r},${-r / 2.4}h${r * 0.8}v${-r * 0.8}h${r * 0.8}v${r * 0.8}h${r * 0.8}v${r * 0.8}h${-r * 0.8}v${r * 0.8}h${-r * 0.8}v${-r * 0.8}h${-r * 0.8}z`,
];
const plot = by("front");
const engineOf = columns.get("engine").values, precisionOf = columns.get("precision").keys;
const engines = distinct(engineOf.slice(0, ranked)), precisions = distinct(precisionOf.slice(0, ranked));
const backboneOf = columns.get("backbone").values;
let points = [], scene = null;
function drawPlot() {
  if (!plot) return;
  const cost = columns.get(state.x), score = columns.get(state.y);
  const wide = plot.clientWidth || 900, high = plot.clientHeight || 460;
  const box = { left: 62, right: wide - 18, top: 14, bottom: high - 52 };
  const known = [...Array(ranked).keys()].filter((p) => cost.values[p] !== null && score.values[p] !== null);
  plot.replaceChildren();
  plot.classList.toggle("many", known.length > 200);
  plot.setAttribute("viewBox", `0 0 ${wide} ${high}`);
  points = [];
  scene = null;
  if (!known.length) { plot.append(svg("text", { x: wide / 2, y: high / 2, "text-anchor": "middle" }, "No ranked cell has both values.")); return; }
  const x = axis(known.map((p) => cost.values[p]), box.left, box.right);
  const reach = known.flatMap((p) => { const e = score.errors?.[p] ?? 0; return [score.values[p] - e, score.values[p] + e]; });
  const y = axis(reach, box.bottom, box.top, false);
  frame(plot, x, y, box, [withUnit(cost) + (cost.higher ? ", higher is better" : ""), withUnit(score) + (score.higher ? "" : ", lower is better")]);
  const shade = svg("rect", { class: "over", x: 0, y: box.top, width: 0, height: box.bottom - box.top });
  const joins = svg("g", { class: "joins" }), front = svg("path", { class: "frontline" }), bars = svg("g", { class: "bars" });
  const ring = svg("circle", { class: "ring", r: 10 }), dots = svg("g", { class: "dots" }), labels = svg("g", { class: "labels" });
  plot.append(shade, joins, front, bars, dots, ring, labels);
  for (const p of known) {
    const [left, top, error] = [x.at(cost.values[p]), y.at(score.values[p]), score.errors?.[p]];
    const colour = `c${engines.indexOf(engineOf[p]) % COLOURS}`;
    const dot = svg("path", { class: `dot ${colour}`, d: SHAPES[precisions.indexOf(precisionOf[p]) % SHAPES.length](5), transform: `translate(${left.toFixed(1)},${top.toFixed(1)})` });
    dots.append(dot);
    let bar = null;
    if (error) bars.append(bar = svg("path", { class: `bar ${colour}`, d: `M${left.toFixed(1)},${y.at(score.values[p] - error).toFixed(1)}V${y.at(score.values[p] + error).toFixed(1)}` }));
    points[p] = { left, top, dot, bar, colour, kind: "" };
  }
  for (const line of data.lines[state.join] ?? []) {
    const on = line.places.filter((p) => points[p]);
    if (on.length < 2) continue;
    const path = svg("path", { class: `join ${points[on[0]].colour}`, d: `M${on.map((p) => `${points[p].left.toFixed(1)},${points[p].top.toFixed(1)}`).join("L")}` });
    path.append(svg("title", {}, `${data.names[on[0]]}: ${line.at.join(", ")}`));
    path.places = on;
    joins.append(path);
  }
  scene = { cost, score, box, x, y, shade, front, labels, joins, ring, known };
}
function showPlot(mask, found, visible) {
  if (!scene) return;
  const { cost, score, box, x } = scene;
  const left = scene.known.filter((p) => mask[p]);
  const signed = score.values.map((v) => v === null ? null : score.higher ? v : -v);
  const front = frontOf(left, state.y === "z" ? gains : signed, prices(state.x));
  const on = new Set(front), strong = new Set(contenders(left, prices(state.x)));
  for (const p of scene.known) {
    const point = points[p];
    const kind = !visible[p] ? "gone" : !mask[p] ? "out" : on.has(p) ? "on" : strong.has(p) ? "strong" : "weak";
    if (point.kind !== kind) {
      point.kind = kind;
      point.dot.setAttribute("class", `dot ${point.colour} ${point.kind}`);
      if (point.bar) point.bar.setAttribute("class", `bar ${point.colour} ${kind}`);
    }
  }
  for (const p of [...front, ...(found.pick === null ? [] : [found.pick])]) if (points[p]) points[p].dot.parentNode.append(points[p].dot); // above the others
  const stairs = front.map((p, i) => { const { left: a, top: b } = points[p]; return i ? `H${a.toFixed(1)}V${b.toFixed(1)}` : `M${a.toFixed(1)},${b.toFixed(1)}`; });
  scene.front.setAttribute("d", stairs.join(""));
  for (const join of scene.joins.children) join.setAttribute("class", `${join.getAttribute("class").split(" gone")[0]}${join.places.some((p) => mask[p]) ? "" : " gone"}`);
  const limit = state.limits[state.x];
  const edge = limit === undefined ? null : Math.min(Math.max(limit > 0 || x.low < 0 ? x.at(limit) : box.left, box.left), box.right);
  scene.shade.setAttribute("x", edge === null || cost.higher ? box.left : edge);
  scene.shade.setAttribute("width", edge === null ? 0 : cost.higher ? edge - box.left : box.right - edge);
  const pick = points[found.pick];
  scene.ring.setAttribute("transform", pick ? `translate(${pick.left},${pick.top})` : "translate(-99,-99)");
  write(front, found);
}
// Names of the cells on the front, each at the nearest place that covers no point of the front and no other name.
function write(front, found) {
  const { box, labels } = scene;
  labels.replaceChildren();
  for (const side of ["a", "b"]) {
    const point = points[state[side]];
    if (point) labels.append(svg("circle", { class: "chosen", r: 8, cx: point.left, cy: point.top }), svg("text", { class: "side", x: point.left, y: point.top + 4, "text-anchor": "middle", "font-size": 11 }, side.toUpperCase()));
  }
  const narrow = box.right - box.left < 480, size = narrow ? 11 : 12.5;
  const taken = front.map((p) => [points[p].left - 6, points[p].top - 6, points[p].left + 6, points[p].top + 6]);
  const free = (b) => b[0] > box.left && b[2] < box.right && b[1] > box.top && b[3] < box.bottom && taken.every((t) => t[0] > b[2] || t[2] < b[0] || t[1] > b[3] || t[3] < b[1]);
  const first = [found.pick, ...front].filter((p, i, all) => p !== null && points[p] && all.indexOf(p) === i);
  for (const p of first) {
    const { left, top } = points[p], text = String(backboneOf[p]), wide = text.length * size * 0.56;
    for (const [dx, dy, anchor] of [[-9, -9, "end"], [9, 16, "start"], [0, -12, "middle"], [10, 4, "start"], [-10, 4, "end"], [0, 22, "middle"], [0, -28, "middle"], [0, 38, "middle"], [12, -22, "start"], [-12, 26, "end"]]) {
      const start = left + dx - (anchor === "end" ? wide : anchor === "middle" ? wide / 2 : 0);
      const area = [start, top + dy - size, start + wide, top + dy + 3];
      if (!free(area)) continue;
      taken.push(area);
      labels.append(svg("text", { x: left + dx, y: top + dy, "text-anchor": anchor, "font-size": size, class: p === found.pick ? "pick" : "" }, text));
      break;
    }
  }
}
function drawLegend() {
  const swatch = (kind, shape) => { const root = svg("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true" }); root.append(svg("path", { class: `dot on ${kind}`, d: SHAPES[shape % SHAPES.length](4.5) })); return root; };
  by("legend").replaceChildren(
    ...engines.map((name, i) => make("li", {}, swatch(`c${i % COLOURS}`, 0), name)),
    ...(precisions.length > 1 ? precisions.map((name, i) => make("li", {}, swatch("plain", i), name)) : []),
  );
}
const tip = by("tip");
function pointAt(event) {
  const area = plot.getBoundingClientRect();
  const [x, y] = [event.clientX - area.left, event.clientY - area.top];
  let best = null, least = 14 ** 2;
  for (const p of scene?.known ?? []) {
    if (points[p].kind.startsWith("gone")) continue;
    const far = (points[p].left - x) ** 2 + (points[p].top - y) ** 2;
    if (far < least) { least = far; best = p; }
  }
  return best;
}
function showTip(p) {
  tip.hidden = p === null;
  if (p === null) return;
  const line = (column) => `<br>${safe(column.title.replace("\n", " "))} ${shown(column, column.values[p])}${column.errors?.[p] ? ` ± ${fixed(column.errors[p], column.places)}` : ""} ${safe(column.unit)}`;
  const list = data.columns.filter((column) => column.score || (column.cost && column.shown));
  tip.innerHTML = `<b>${safe(data.names[p])}</b><br>rank ${safe(columns.get("rank").values[p])}${list.map(line).join("")}`;
  const { left, top } = points[p], right = left > plot.clientWidth / 2;
  tip.style.left = right ? "" : `${left + 14}px`;
  tip.style.right = right ? `${plot.clientWidth - left + 14}px` : "";
  tip.style.top = `${Math.max(Math.min(top - 40, plot.clientHeight - tip.offsetHeight), 0)}px`;
}
if (plot) {
  plot.addEventListener("pointermove", (event) => showTip(pointAt(event)));
  plot.addEventListener("pointerleave", () => showTip(null));
  plot.addEventListener("click", (event) => { const p = pointAt(event); if (p !== null) pair(p); });
}
