// Elements, requests, and what every page shows while it waits or fails. Text from data only ever becomes text nodes.

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name in node && name !== "list" && !name.startsWith("aria")) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export class Refused extends Error {
  constructor(what, hint) { super(what); this.hint = hint; }
}

export async function ask(method, path, body, signal) {
  const head = body === undefined ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, { method, signal, headers: head, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Refused("The server cannot be reached.", "Is it still running?");
  }
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Refused(said.error?.what ?? `The server answered ${answer.status}.`, said.error?.hint);
  }
  return answer;
}
const json = async (...asked) => (await ask(...asked)).json();
export const get = (path, signal) => json("GET", path, undefined, signal);
export const post = (path, body, signal) => json("POST", path, body, signal);
export const put = (path, body) => json("PUT", path, body);
export const remove = (path) => json("DELETE", path);

export const loading = (what = "Loading …") => el("p", { class: "state" }, what);
export function failed(fault, again) {
  return el("div", { class: "error", role: "alert" }, el("p", {}, fault.message),
    fault.hint ? el("p", { class: "small soft" }, `Hint: ${fault.hint}`) : null,
    again ? el("button", { onclick: again }, "Try again") : null);
}
export const say = (text) => { document.getElementById("live").textContent = text; };

// Fill a place: loading, then what `make` gives, or why not. The last call wins.
const turns = new WeakMap();
export async function fill(place, make, { quiet = false } = {}) {
  turns.get(place)?.abort();
  const turn = new AbortController();
  turns.set(place, turn);
  if (!quiet || !place.childNodes.length) place.replaceChildren(loading());
  place.setAttribute("aria-busy", "true");
  try {
    const made = await make(turn.signal);
    if (turns.get(place) === turn) place.replaceChildren(...[made].flat());
  } catch (fault) {
    if (fault.name !== "AbortError" && turns.get(place) === turn) place.replaceChildren(failed(fault, () => fill(place, make)));
  }
  if (turns.get(place) === turn) place.removeAttribute("aria-busy");
}

export const name = (item) => item.title ?? String(item.item_id);
export const title = (item, props = {}) => el("bdi", { class: "title", ...props }, name(item));
export const soon = (wait, run) => { let timer; return (...given) => { clearTimeout(timer); timer = setTimeout(() => run(...given), wait); }; };
export const css = (variable) => getComputedStyle(document.documentElement).getPropertyValue(variable).trim();

// A slider with its value beside its name.
export function slider(words, value, { min, max, step, shown = String, change }) {
  const out = el("output", {}, shown(value));
  const input = el("input", { type: "range", min, max, step, value: String(value) });
  input.addEventListener("input", () => { out.textContent = shown(Number(input.value)); change(Number(input.value)); });
  return el("label", {}, words, out, input);
}
export function choice(words, options, value, change) {
  const input = el("select", { onchange: () => change(input.value) },
    options.map(([key, text]) => el("option", { value: key, selected: String(key) === String(value) }, text)));
  return el("label", {}, words, input);
}

// A search box and what it finds; `row` makes a line of each.
export function finder(words, row) {
  const found = el("ul", { class: "plain found", hidden: true });
  const look = soon(180, async () => {
    const text = input.value.trim();
    found.hidden = !text;
    if (!text) return;
    await fill(found, async (signal) => {
      const { items } = await get(`/api/items?n=6&q=${encodeURIComponent(text)}`, signal);
      say(`${items.length} found`);
      return items.length ? items.map((item) => el("li", { class: "item" }, row(item, close))) : [el("li", { class: "item soft" }, "Nothing like that here.")];
    }, { quiet: true });
  });
  const input = el("input", { type: "search", placeholder: words, "aria-label": words, autocomplete: "off", maxLength: 100, oninput: look });
  const close = () => { input.value = ""; found.hidden = true; found.replaceChildren(); };
  input.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  return el("div", { role: "search" }, input, found);
}

// Where a rating lies on the scale: an interval and a mark.
export function range(scale, low, high, value) {
  const place = (x) => `${(100 * (Math.min(Math.max(x, scale.low), scale.high) - scale.low)) / (scale.high - scale.low)}%`;
  const part = (x) => (100 * (x - scale.low)) / (scale.high - scale.low);
  const box = el("span", { class: "range", role: "img", "aria-label": low === null ? `${value.toFixed(1)}` : `from ${low.toFixed(1)} to ${high.toFixed(1)}`, title: low === null ? "" : `${low.toFixed(2)} to ${high.toFixed(2)}` });
  if (low !== null) {
    const bar = el("i");
    bar.style.left = place(low);
    bar.style.width = `${Math.max(0, part(Math.min(high, scale.high)) - part(Math.max(low, scale.low)))}%`;
    box.append(bar);
  }
  const mark = el("b");
  mark.style.left = place(value);
  box.append(mark);
  return box;
}
