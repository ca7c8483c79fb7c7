// What is long lies at the end of the page as gzip in base64, and is unpacked when it is asked for.
const parsed = new Promise((done) => { document.addEventListener("DOMContentLoaded", done); });
const bytesOf = (base64) => Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
async function unpack(base64) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
const unpacked = new Map();
async function part(id) {
  await parsed;
  if (!unpacked.has(id)) unpacked.set(id, unpack(by(id).textContent));
  return unpacked.get(id);
}
const json = async (id) => JSON.parse(new TextDecoder().decode(await part(id)));
for (const place of document.querySelectorAll("[data-packed]")) {
  place.closest("details").addEventListener("toggle", async () => {
    place.innerHTML = new TextDecoder().decode(await unpack(place.dataset.packed));
  }, { once: true });
}
