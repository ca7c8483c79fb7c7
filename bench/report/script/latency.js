// Every query's time: cumulative distributions of the cells on the front and of those compared.
const MANY = 12;
async function drawLatency(found) {
  const root = by("latency");
  if (!root) return;
  const all = await json("distributions");
  if (!by("series").options.length) choice(by("series"), Object.keys(all).map((name) => [name, name]));
  const series = all[state.series] ? state.series : Object.keys(all)[0];
  by("series").value = series;
  const wanted = distinct([state.a, state.b, found.pick, ...found.front].filter((p) => p !== null)).slice(0, MANY);
  let curves = wanted.map((p) => all[series].find((one) => one.place === p)).filter(Boolean);
  if (!curves.length) curves = all[series].slice(0, MANY);
  const wide = root.clientWidth || 900, high = root.clientHeight || 360;
  const box = { left: 62, right: wide - 18, top: 14, bottom: high - 52 };
  root.replaceChildren();
  root.setAttribute("viewBox", `0 0 ${wide} ${high}`);
  const x = axis(curves.flatMap((c) => [c.ms[0], c.ms[c.ms.length - 1]]), box.left, box.right);
  const y = axis([0, 1], box.bottom, box.top, false);
  frame(root, x, { ...y, ticks: [0, 0.25, 0.5, 0.75, 1] }, box, ["milliseconds", "share of queries"], true);
  by("latency-legend").replaceChildren(...curves.map((curve, i) => {
    const kind = `c${i % COLOURS}`, dash = DASHES[Math.floor(i / COLOURS) % DASHES.length];
    const steps = curve.ms.map((ms, k) => `${k ? "H" : "M"}${x.at(ms).toFixed(1)}${k ? "V" : ","}${y.at(k / (curve.ms.length - 1)).toFixed(1)}`);
    root.append(svg("path", { class: `curve ${kind}`, d: steps.join(""), "stroke-dasharray": dash }));
    const swatch = svg("svg", { width: 22, height: 10, "aria-hidden": "true" });
    swatch.append(svg("path", { class: `curve ${kind}`, d: "M0,5H22", "stroke-dasharray": dash }));
    return make("li", {}, swatch, `${data.names[curve.place]} (${plural(curve.n, "query").replace("querys", "queries")})`);
  }));
}
