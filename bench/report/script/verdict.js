// The page's first lines: what to ship of what is left, and why.
const said = { line: by("verdict").textContent, why: by("why").textContent };
// The first text is the longest: its room is kept, so that a slider does not move away while it is moved.
function keepRoom() {
  for (const [id, text] of [["verdict", said.line], ["why", said.why]]) {
    const place = by(id), now = place.textContent;
    place.style.minHeight = "";
    place.textContent = text;
    place.style.minHeight = `${place.offsetHeight}px`;
    place.textContent = now;
  }
}
function showVerdict(found, visible) {
  const free = !Object.keys(state.limits).length && found.left === ranked;
  by("verdict").textContent = free || !ranked ? said.line : headline(found);
  by("why").textContent = free || !ranked ? said.why : reason(found, visible);
  const limits = Object.keys(state.limits).length;
  by("left").textContent = `${found.left.toLocaleString("en")} of ${plural(ranked, "ranked cell")} left` + (limits ? ` within ${plural(limits, "limit")}` : "") +
    (found.contenders.length ? `; ${found.contenders.length.toLocaleString("en")} on the statistical front` : "");
  document.body.dataset.pick = found.pick === null ? "" : data.names[found.pick];
}
function headline(found) {
  return found.pick === null ? "No ranked cell is left" : `Ship ${data.names[found.pick]}`;
}
function reason(found, visible) {
  if (found.pick === null) {
    const places = [...Array(ranked).keys()].filter((p) => visible[p]);
    if (!places.length) return "The filters leave none. Clear one of them.";
    const near = nearest(state.limits, places);
    if (near === null) return "No ranked cell has values of all limited columns.";
    const parts = Object.entries(state.limits).map(([id, limit]) => {
      const column = columns.get(id), value = column.values[near];
      return `${column.title} ${number(value)} ${column.unit}`.trim() + (within(column, limit, near) ? " (within)" : ` (limit ${limit})`);
    });
    return `The nearest is ${data.names[near]}: ${parts.join(", ")}.`;
  }
  const column = columns.get(data.cost);
  const paid = (p) => column ? `${number(column.values[p])} ${column.unit}`.trim() : "";
  const parts = [column ? `${column.title} ${paid(found.pick)}` : "It has the highest mean z"];
  if (found.pick !== found.best) {
    const ratio = prices(data.cost)[found.best] / prices(data.cost)[found.pick];
    const times = column.higher ? 1 / ratio : ratio;
    const beside = times >= 1.05 ? `${fixed(times, 1)} times ${column.higher ? "the" : "less than the"}` : "about the same as the";
    parts[0] += `, ${beside} most accurate cell left, ${data.names[found.best]} (${paid(found.best)})`;
  } else if (found.left > 1) parts.push("It is also the most accurate cell left");
  if (found.left > 1 && data.errors)
    parts.push(found.tied.length > 1 ? `${found.tied.length.toLocaleString("en")} of ${plural(found.left, "cell")} tie: none is significantly less accurate than the most accurate one` : "No other cell ties with it");
  return `${parts.join(". ")}.`.replace(/^./, (first) => first.toUpperCase());
}
