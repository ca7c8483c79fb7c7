// Axes of a plot in SVG: where a value lies, and ticks that are round numbers.
const svg = (tag, attributes = {}, text = "") => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
};
function axis(values, from, to, mayLog = true) {
  let low = Math.min(...values), high = Math.max(...values);
  const log = mayLog && low > 0 && high > 12 * low;
  if (log) { low = Math.log10(low); high = Math.log10(high); }
  const room = (high - low || Math.abs(high) || 1) * 0.05;
  low -= room; high += room;
  const at = (value) => from + ((log ? Math.log10(value) : value) - low) / (high - low) * (to - from);
  return { at, ticks: log ? decades(low, high) : steps(low, high, Math.abs(to - from)), low: log ? 10 ** low : low, high: log ? 10 ** high : high };
}
function steps(low, high, pixels) {
  const rough = (high - low) / Math.max(2, Math.floor(pixels / 70));
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}
function decades(low, high) {
  const found = [];
  for (const parts of [[1], [1, 2, 5], [1, 2, 3, 4, 5, 6, 8]]) {
    found.length = 0;
    for (let e = Math.floor(low); e <= Math.ceil(high); e++) for (const m of parts) {
      const value = Number((m * 10 ** e).toPrecision(3));
      if (Math.log10(value) >= low && Math.log10(value) <= high) found.push(value);
    }
    if (found.length >= 4) break;
  }
  return found;
}
const brief = (value) => Math.abs(value) >= 1e6 ? value.toExponential(0) : Number(value.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 6 }).replace("-", "−");
// The frame of a plot: grid, ticks, titles.
function frame(root, x, y, box, titles, percent = false) {
  const group = svg("g", { class: "axes" });
  for (const value of x.ticks) {
    group.append(svg("line", { class: "grid", x1: x.at(value), x2: x.at(value), y1: box.top, y2: box.bottom }));
    group.append(svg("text", { x: x.at(value), y: box.bottom + 18, "text-anchor": "middle" }, brief(value)));
  }
  for (const value of y.ticks) {
    group.append(svg("line", { class: "grid", x1: box.left, x2: box.right, y1: y.at(value), y2: y.at(value) }));
    group.append(svg("text", { x: box.left - 8, y: y.at(value) + 4, "text-anchor": "end" }, percent ? `${Math.round(100 * value)} %` : brief(value)));
  }
  group.append(svg("text", { class: "title", x: (box.left + box.right) / 2, y: box.bottom + 40, "text-anchor": "middle" }, titles[0]));
  group.append(svg("text", { class: "title", transform: `translate(${box.left - 46},${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, titles[1]));
  root.append(group);
}
const COLOURS = 8, DASHES = ["", "6 4", "2 3"];
