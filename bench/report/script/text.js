// Numbers and names as text, the same as bench/verdict/digits.py writes them.
const formats = new Map();
function fixed(value, places) {
  if (!formats.has(places)) formats.set(places, new Intl.NumberFormat("en", { minimumFractionDigits: places, maximumFractionDigits: places }));
  return formats.get(places).format(value).replace("-", "−");
}
function number(value) {
  if (value === null || value === undefined) return "n/a";
  if (!value) return "0";
  return fixed(value, Math.min(Math.max(2 - Math.floor(Math.log10(Math.abs(value)) + 1e-12), 0), 6));
}
const shown = (column, value) => value === null || value === undefined ? "n/a" : column.places === undefined ? number(value) : fixed(value, column.places);
const safe = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
const withUnit = (column) => column.title.replace("\n", " ") + (column.unit ? ` [${column.unit}]` : "");
const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
const distinct = (values) => [...new Set(values)];
const by = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};
const choice = (select, pairs) => select.replaceChildren(...pairs.map(([value, text]) => make("option", { value }, text)));
const announce = (text) => { by("said").textContent = text; };
