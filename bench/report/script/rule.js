// The rule of the pick: bench/verdict/picking.py has the same one, and a test compares their answers.
const data = JSON.parse(by("cells").textContent);
const ranked = data.ranked;
const columns = new Map(data.columns.map((column) => [column.id, column]));
const gains = Float64Array.from(data.gains);
const leads = bytesOf(data.ahead);
const ahead = (one, other) => { const bit = one * ranked + other; return (leads[bit >> 3] & (128 >> (bit & 7))) !== 0; };
const pricesOf = new Map();
function prices(id) { // lower is better, unknown is endless
  if (!pricesOf.has(id)) {
    const column = columns.get(id), sign = column && column.higher ? -1 : 1;
    pricesOf.set(id, Float64Array.from({ length: ranked }, (_, p) => column && column.values[p] !== null ? sign * column.values[p] : Infinity));
  }
  return pricesOf.get(id);
}
const within = (column, limit, place) => {
  const value = column.values[place];
  return value !== null && (column.higher ? value >= limit : value <= limit);
};
function inside(limits, places = data.names.length) {
  const mask = new Uint8Array(places).fill(1);
  for (const [id, limit] of Object.entries(limits)) {
    const column = columns.get(id);
    for (let p = 0; p < places; p++) if (!within(column, limit, p)) mask[p] = 0;
  }
  return mask;
}
// Places on the Pareto front of a gain against a price, cheapest first; a tie in both keeps both.
function frontOf(places, gain, price) {
  const known = places.filter((p) => Number.isFinite(price[p]) && gain[p] !== null && !Number.isNaN(gain[p]));
  known.sort((a, b) => price[a] - price[b] || gain[b] - gain[a] || data.rows[a] - data.rows[b]);
  const front = [];
  let best = -Infinity, at = NaN;
  for (const p of known) {
    if (gain[p] > best) { best = gain[p]; at = price[p]; front.push(p); }
    else if (gain[p] === best && price[p] === at) front.push(p);
  }
  return front;
}
function choose(mask, cost = data.cost) {
  const places = [];
  for (let p = 0; p < ranked; p++) if (mask[p]) places.push(p);
  if (!places.length) return { left: 0, pick: null, best: null, tied: [], front: [], contenders: [] };
  const price = prices(cost);
  let best = places[0];
  for (const p of places) if (gains[p] >= gains[places[0]] && price[p] < price[best]) best = p;
  const tied = places.filter((p) => !ahead(best, p));
  const front = frontOf(places, gains, price);
  const cheapest = front.find((p) => !ahead(best, p));
  return { left: places.length, pick: cheapest === undefined ? best : cheapest, best, tied, front, contenders: contenders(places, price) };
}
// Cells that no cell which costs no more is significantly better than.
function contenders(places, price) {
  const known = places.filter((p) => Number.isFinite(price[p])).sort((a, b) => price[a] - price[b] || a - b);
  const strong = []; // whoever beats a cell is beaten by nobody as good: only those that stand need be asked, and others besides
  return known.filter((p, i) => {
    for (const other of strong) if (ahead(other, p)) return false;
    let end = i;
    while (end + 1 < known.length && price[known[end + 1]] === price[p]) end++;
    for (let k = 0; k <= end; k++) if (ahead(known[k], p)) return false;
    strong.push(p);
    return true;
  });
}
// The cell that comes nearest to limits which none meets: its largest excess, as a part of the limit, is the least.
function nearest(limits, places) {
  let found = null, least = Infinity;
  for (const p of places) {
    let worst = 0;
    for (const [id, limit] of Object.entries(limits)) {
      const column = columns.get(id), value = column.values[p];
      const over = value === null ? Infinity : (column.higher ? limit - value : value - limit) / (Math.abs(limit) || 1);
      worst = Math.max(worst, over);
    }
    if (worst < least) { least = worst; found = p; }
  }
  return found;
}
