// Thumbnails of test photographs on which two cells disagree, as far as the page holds them: a strip for each side.
const SHOWN = 60; // in a strip
const pictured = new Map();
function picture(bytes, { from, to }) {
  if (!pictured.has(from)) pictured.set(from, URL.createObjectURL(new Blob([bytes.subarray(from, to)], { type: "image/webp" })));
  return pictured.get(from);
}
async function strips(a, b) {
  await parsed;
  if (!by("photographs")) return "";
  const bytes = await part("thumbnails"), parts = [];
  for (const { settings, photographs } of await json("photographs")) for (const id of settings) {
    const answers = await answersOf(id, a, b);
    if (!answers) continue;
    const column = columns.get(id), sign = column.higher ? 1 : -1, score = (value) => fixed(value, column.places);
    const gap = answers.y.map((v, k) => sign * (v - answers.x[k]));
    const one = (way, words) => {
      const all = gap.filter((v) => v * way > 0).length;
      const shown = photographs.filter(({ at }) => gap[at] * way > 0).sort((p, q) => way * (gap[q.at] - gap[p.at])).slice(0, SHOWN);
      const items = shown.map((photo) => {
        const label = photo.label || photo.id, scores = answers.binary ? "" : `${score(answers.x[photo.at])} / ${score(answers.y[photo.at])}`;
        const alt = `${label}${scores && `: A ${scores.replace(" / ", ", B ")}`}, ${words}; ${photo.id}`;
        return `<li><img src="${picture(bytes, photo)}" alt="${safe(alt)}" title="${safe(photo.id)}"><span>${safe(label)}</span>${scores && `<span class="soft">${safe(scores)}</span>`}</li>`;
      });
      const head = `${words}: ${plural(all, "photograph")}${shown.length < all ? `, ${shown.length.toLocaleString("en")} shown` : ""}`;
      return `<h4>${safe(head)}</h4>` + (items.length ? `<div class="strip" tabindex="0" role="region" aria-label="${safe(`${withUnit(column)}, ${head}`)}"><ul>${items.join("")}</ul></div>` : "");
    };
    const words = answers.binary ? ["only A is right", "only B is right"] : ["A scores higher", "B scores higher"];
    parts.push({ binary: answers.binary, html: `><summary>${safe(withUnit(column))}: photographs on which they disagree</summary>${one(-1, words[0])}${one(1, words[1])}</details>` });
  }
  const first = parts.find((one) => one.binary) ?? parts[0];
  return parts.map((one) => `<details${one === first ? " open" : ""}${one.html}`).join("");
}
