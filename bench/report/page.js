"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const by = (id) => document.getElementById(id);
  const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const palette = ["#0b7ac4", "#e0862c", "#1f9d76", "#c45a9a", "#7f6bd6", "#b8a11f", "#56b4c9", "#d05a45"];
  const symbols = ["circle", "diamond", "square", "triangle-up", "cross"];
  const config = { responsive: true, displayModeBar: false };
  const layout = (extra) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
    font: { family: "system-ui, sans-serif", size: 13 }, margin: { l: 62, r: 24, t: 16, b: 56 },
    hoverlabel: { bgcolor: "#2b3138", bordercolor: "#2b3138", font: { color: "#ffffff" }, align: "left" },
    legend: { orientation: "h", xref: "container", x: 0, yref: "container", y: 0, yanchor: "bottom" }, ...extra,
  });
  const title = (axis) => safe(axis.name) + (axis.unit ? " [" + safe(axis.unit) + "]" : "");
  const distinct = (values) => [...new Set(values)];
  const shown = (value) => value === null ? "n/a" : value.toLocaleString("en", { maximumSignificantDigits: 4 });
  const spreads = (values) => {
    const known = values.filter((v) => v !== null && v > 0);
    return known.length === values.filter((v) => v !== null).length && Math.max(...known) > 12 * Math.min(...known);
  };

  const points = read("points");
  const frontPlot = by("front");
  function option(select, axes) {
    for (const axis of axes) {
      const one = document.createElement("option");
      one.value = axis.name;
      one.textContent = axis.name + (axis.unit ? " [" + axis.unit + "]" : "") + (axis.higher ? ", higher is better" : "");
      select.append(one);
    }
  }
  function hover(i) {
    const row = points.rows[i];
    const lines = ["<b>" + safe(row.name) + "</b>", "rank " + row.rank];
    for (const axis of points.y) {
      const error = axis.errors[i];
      lines.push(safe(axis.name) + " " + shown(axis.values[i]) + (error === null || error === undefined ? "" : " ± " + shown(error)));
    }
    for (const axis of points.x.slice(0, 14)) lines.push(safe(axis.name) + " " + shown(axis.values[i]));
    return lines.join("<br>");
  }
  function drawFront() {
    const x = points.x.find((a) => a.name === by("x").value), y = points.y.find((a) => a.name === by("y").value);
    const front = points.fronts[x.name][y.name];
    const narrow = frontPlot.clientWidth < 560;
    const engines = distinct(points.rows.map((r) => r.engine)), precisions = distinct(points.rows.map((r) => r.precision));
    const traces = [{
      x: front.map((i) => x.values[i]), y: front.map((i) => y.values[i]), mode: "lines", name: "Pareto front",
      line: { shape: "hv", width: 1.5, color: "#8a939c", dash: "dot" }, hoverinfo: "skip",
    }];
    engines.forEach((engine, e) => precisions.forEach((precision, p) => {
      const mine = points.rows.map((_, i) => i).filter((i) => points.rows[i].engine === engine &&
        points.rows[i].precision === precision && x.values[i] !== null && y.values[i] !== null);
      if (!mine.length) return;
      traces.push({
        x: mine.map((i) => x.values[i]), y: mine.map((i) => y.values[i]), name: safe(engine + " · " + precision),
        mode: "markers+text", text: mine.map((i) => front.includes(i) ? safe(points.rows[i].backbone) : ""),
        textposition: mine.map((i) => {
          if (narrow) return front.indexOf(i) % 2 ? "top center" : "bottom center";
          const share = front.length > 1 ? front.indexOf(i) / (front.length - 1) : 0.5;
          return share > 0.6 ? "top left" : share < 0.4 ? "bottom right" : "top center";
        }), textfont: { size: narrow ? 10 : 12 }, cliponaxis: false,
        hovertext: mine.map(hover), hoverinfo: "text",
        error_y: { type: "data", array: mine.map((i) => y.errors[i] ?? 0), thickness: 1, width: 3, color: palette[e % palette.length] },
        marker: {
          color: palette[e % palette.length], symbol: symbols[p % symbols.length],
          size: mine.map((i) => front.includes(i) ? 11 : 8), opacity: mine.map((i) => front.includes(i) ? 1 : 0.55),
        },
      });
    }));
    const all = x.values.filter((v, i) => v !== null && y.values[i] !== null);
    Plotly.react(frontPlot, traces, layout({
      xaxis: { title: { text: title(x), standoff: 8 }, type: spreads(all) ? "log" : "linear", zeroline: false, automargin: true },
      yaxis: { title: { text: title(y), standoff: 8 }, zeroline: false, automargin: true },
    }), config);
  }
  if (frontPlot) {
    option(by("x"), points.x);
    option(by("y"), points.y);
    if (points.start) by("x").value = points.start;
    by("x").addEventListener("change", drawFront);
    by("y").addEventListener("change", drawFront);
    drawFront();
  }

  const distributions = read("distributions");
  const curvePlot = by("curves");
  function drawCurves() {
    const curves = distributions[by("series").value];
    const traces = curves.map((curve, c) => ({
      x: curve.ms, y: curve.ms.map((_, i) => i / (curve.ms.length - 1)), mode: "lines",
      name: safe(curve.name) + " (" + curve.n + ")",
      line: { shape: "hv", width: 1.6, color: palette[c % palette.length], dash: ["solid", "dash", "dot"][Math.floor(c / palette.length) % 3] },
      hovertemplate: "%{y:.1%} within %{x:.3~f} ms<extra>" + safe(curve.name) + "</extra>",
    }));
    const columns = Math.max(1, Math.floor(curvePlot.clientWidth / 330));
    Plotly.react(curvePlot, traces, layout({
      height: 340 + 21 * Math.ceil(curves.length / columns),
      xaxis: { title: { text: "milliseconds", standoff: 8 }, type: spreads(curves.flatMap((c) => [c.ms[0], c.ms[c.ms.length - 1]])) ? "log" : "linear", automargin: true },
      yaxis: { title: { text: "share of queries", standoff: 8 }, tickformat: ".0%", range: [0, 1.02], automargin: true },
    }), config);
  }
  if (curvePlot) {
    option(by("series"), Object.keys(distributions).map((name) => ({ name, unit: "ms" })));
    by("series").addEventListener("change", drawCurves);
    drawCurves();
  }

  for (const button of document.querySelectorAll("th button")) {
    button.addEventListener("click", () => {
      const head = button.parentElement, table = head.closest("table"), body = table.tBodies[0];
      const up = head.getAttribute("aria-sort") !== "ascending", column = [...head.parentElement.children].indexOf(head);
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.children[column].dataset.v ?? "";
      [...body.rows].sort((a, b) => {
        const [v, w] = [value(a), value(b)];
        if (v === "" || w === "") return (v === "") - (w === "");
        const order = isNaN(v) || isNaN(w) ? v.localeCompare(w) : v - w;
        return up ? order : -order;
      }).forEach((row) => body.append(row));
    });
  }
  const more = by("more");
  if (more) more.addEventListener("change", () => by("table").classList.toggle("fewer", !more.checked));
})();
