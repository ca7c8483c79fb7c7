// One way round: the reader changes the state, and update() shows it.
let visible = new Uint8Array(0), mask = visible, found = null, drawnFor = "";
function update() {
  visible = filtered();
  mask = inside(state.limits);
  for (let p = 0; p < mask.length; p++) mask[p] &= visible[p];
  found = choose(mask);
  showRows(visible, inside(state.limits), found);
  showBudgets();
  for (const one of menus) one.refresh();
  showVerdict(found, visible);
  showPlot(mask, found, visible);
  showPair();
  const latency = [state.series, found.pick, state.a, state.b, found.front.join()].join(" ");
  if (latency !== drawnFor && by("latency")?.closest("details").open) { drawnFor = latency; drawLatency(found); }
  remember();
}
function everything() { // after the whole state has changed
  document.documentElement.dataset.theme = state.theme;
  by("theme").value = state.theme;
  by("text").value = state.text;
  if (plot) { by("x").value = state.x; by("y").value = state.y; by("join").value = state.join; }
  reach = PAGE;
  drawHeads();
  drawPlot();
  update();
}
drawBudgets();
drawFilters();
for (const side of ["a", "b"]) {
  choice(by(side), [["", "–"], ...data.names.map((name, p) => [String(p), name])]);
  by(side).addEventListener("change", () => { state[side] = by(side).value === "" ? null : Number(by(side).value); update(); });
}
if (plot) {
  choice(by("x"), data.columns.filter((c) => c.cost).map((c) => [c.id, c.id + (c.unit ? ` [${c.unit}]` : "")]));
  choice(by("y"), data.columns.filter((c) => c.score).map((c) => [c.id, withUnit(c)]));
  choice(by("join"), [["", "nothing"], ...Object.keys(data.lines).map((name) => [name, { size: "input sizes", depth: "depths" }[name]])]);
  by("join").parentElement.hidden = !Object.keys(data.lines).length;
  for (const name of ["x", "y", "join"]) by(name).addEventListener("change", () => { state[name] = by(name).value; drawPlot(); update(); });
  new ResizeObserver(() => { if (scene && Math.abs(plot.clientWidth - scene.box.right - 18) > 1) { drawPlot(); showPlot(mask, found, visible); } }).observe(plot);
  drawLegend();
}
by("series")?.addEventListener("change", () => { state.series = by("series").value; update(); });
by("latency")?.closest("details").addEventListener("toggle", update);
by("theme").addEventListener("change", () => { state.theme = by("theme").value; document.documentElement.dataset.theme = state.theme; remember(); });
by("skip").addEventListener("click", () => { const region = by("table").closest(".scroll"); region.focus(); region.scrollIntoView(); });
by("reset").addEventListener("click", () => { restore(""); everything(); announce("everything reset"); });
by("link").addEventListener("click", async () => {
  history.replaceState(null, "", `#${address()}`);
  try { await navigator.clipboard.writeText(location.href); announce("link copied"); } catch { announce("the link is in the address bar"); }
});
by("csv").addEventListener("click", () => download("cells.csv", "text/csv", csv(table())));
by("json").addEventListener("click", () => download("cells.json", "application/json", JSON.stringify(table(), null, 1)));
addEventListener("hashchange", () => { if (location.hash.slice(1) !== address()) { restore(location.hash.slice(1)); everything(); } });
addEventListener("resize", keepRoom);
restore(location.hash.slice(1));
keepRoom();
everything();
document.body.dataset.ready = "1";
globalThis.bob = { state, choose, inside, update, restore, everything, difference, columns, table, csv, address };
