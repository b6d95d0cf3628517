// The map: items along two components; drag, zoom, search, and what is near.
import { choice, css, el, failed, fill, finder, get, loading, say, title } from "./dom.js";

export default function map(place, { health, params, note }) {
  if (!health.factors) {
    place.replaceChildren(el("h1", {}, "Map"), el("p", { class: "state" }, "This model has no factors to draw: fit als, sgd, dot_bias or gibbs."));
    return undefined;
  }
  let data = null, me = { at: null, rated: [] }, axes = [Number(params.get("x") ?? 0), Number(params.get("y") ?? 1)];
  let view = { x: 0, y: 0, scale: 1 }, base = 1, chosen = null, near = [], hover = null, gone = false;
  const canvas = el("canvas", { tabindex: 0, role: "img", "aria-label": "Items as points. Arrow keys move, plus and minus zoom; search below names an item." });
  const tip = el("div", { class: "tip", hidden: true }), ends = el("div", { class: "ends" }), side = el("div"), picks = el("div", { class: "controls" });
  const box = el("div", { class: "map" }, canvas, tip, el("div", { class: "zoom" },
    ...[["+", "Zoom in", () => zoom(1.5)], ["−", "Zoom out", () => zoom(1 / 1.5)], ["⌂", "Show all", home]].map(([sign, words, run]) => el("button", { type: "button", "aria-label": words, title: words, onclick: run }, sign))));
  const stage = el("div", {}, loading());
  place.replaceChildren(el("h1", {}, "Map"), el("p", { class: "lead" }, "Near each other: liked by the same people. The directions are those along which items differ most (principal components of their factors)."), stage);

  const at = (item) => [item.at[axes[0]], item.at[axes[1]]];
  const screen = ([x, y]) => [canvas.clientWidth / 2 + (x - view.x) * base * view.scale, canvas.clientHeight / 2 - (y - view.y) * base * view.scale];
  const plane = (x, y) => [view.x + (x - canvas.clientWidth / 2) / (base * view.scale), view.y - (y - canvas.clientHeight / 2) / (base * view.scale)];
  let asked = false;
  const draw = () => { if (!asked) { asked = true; requestAnimationFrame(paint); } };

  function home() {
    const xs = data.items.map((i) => Math.abs(at(i)[0])), ys = data.items.map((i) => Math.abs(at(i)[1]));
    base = Math.min(canvas.clientWidth / 2.15 / Math.max(...xs), canvas.clientHeight / 2.15 / Math.max(...ys)) || 1;
    view = { x: 0, y: 0, scale: 1 };
    draw();
  }
  function zoom(by, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
    const before = plane(x, y);
    view.scale = Math.min(60, Math.max(0.6, view.scale * by));
    const after = plane(x, y);
    view.x += before[0] - after[0];
    view.y += before[1] - after[1];
    draw();
  }

  function fit(items) {
    if (!items.length) return;
    const [xs, ys] = [0, 1].map((k) => items.map((i) => at(i)[k]));
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    view = { x: (left + right) / 2, y: (low + high) / 2, scale: Math.min(12, Math.max(1, 0.75 * Math.min(canvas.clientWidth / base / (right - left + 1e-9), canvas.clientHeight / base / (high - low + 1e-9)))) };
  }

  function paint() {
    asked = false;
    if (gone || !data) return;
    const ratio = devicePixelRatio || 1, [w, h] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) { canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio); }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, h);
    const [ink, soft, line, accent, star] = ["--ink", "--soft", "--line", "--accent", "--star"].map(css);
    const zero = screen([0, 0]);
    pen.strokeStyle = line;
    pen.beginPath();
    pen.moveTo(0, zero[1]); pen.lineTo(w, zero[1]); pen.moveTo(zero[0], 0); pen.lineTo(zero[0], h);
    pen.stroke();
    const rated = new Set(me.rated.map(String)), close = new Set(near.map((n) => String(n.item_id)));
    const most = Math.sqrt(data.items[0]?.count || 1);
    for (const item of data.items) {
      const [x, y] = screen(at(item));
      if (x < -9 || y < -9 || x > w + 9 || y > h + 9) continue;
      const id = String(item.item_id), own = rated.has(id);
      pen.fillStyle = item === chosen ? ink : close.has(id) ? accent : own ? star : soft;
      pen.globalAlpha = item === chosen || own || close.has(id) ? 1 : 0.45;
      pen.beginPath();
      pen.arc(x, y, (1.4 + 4.2 * (Math.sqrt(item.count) / most)) * Math.min(1.6, 0.85 + view.scale * 0.12) + (item === chosen ? 2 : 0), 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
    if (chosen) {
      pen.strokeStyle = accent;
      for (const n of near) {
        const item = data.byId.get(String(n.item_id));
        if (!item) continue;
        pen.globalAlpha = Math.max(0.15, n.similarity);
        pen.beginPath(); pen.moveTo(...screen(at(chosen))); pen.lineTo(...screen(at(item))); pen.stroke();
      }
      pen.globalAlpha = 1;
    }
    labels(pen, w, h, close, ink, line);
    if (me.at) you(pen, zero, star);
  }
  function labels(pen, w, h, close, ink) {
    const taken = [[w - 56, 0, w, 140]], room = Math.min(90, 16 + 10 * view.scale);
    let count = 0;
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const first = [chosen, ...near.map((n) => data.byId.get(String(n.item_id))), ...data.items].filter(Boolean);
    for (const item of first) {
      if (count > room) break;
      const [x, y] = screen(at(item));
      if (x < 0 || y < 0 || x > w || y > h) continue;
      const full = item.title ?? String(item.item_id), text = full.length > 30 ? `${full.slice(0, 28)}…` : full, wide = pen.measureText(text).width;
      const left = Math.max(2, x + 9 + wide > w ? x - 9 - wide : x + 9);
      const spot = [left - 2, y - 8, left + wide + 2, y + 8];
      if (taken.some((t) => t[0] < spot[2] && t[2] > spot[0] && t[1] < spot[3] && t[3] > spot[1])) continue;
      taken.push(spot);
      count += 1;
      pen.lineWidth = 3; pen.strokeStyle = css("--panel"); pen.strokeText(text, left, y); pen.lineWidth = 1;
      pen.fillStyle = item === chosen || close.has(String(item.item_id)) ? css("--accent") : ink;
      pen.fillText(text, left, y);
    }
  }
  function you(pen, zero, star) {
    const [x, y] = screen([me.at[axes[0]], me.at[axes[1]]]);
    pen.strokeStyle = star; pen.fillStyle = star; pen.lineWidth = 2.5;
    pen.beginPath(); pen.moveTo(...zero); pen.lineTo(x, y); pen.stroke();
    pen.beginPath(); pen.arc(x, y, 7, 0, 7); pen.fill();
    pen.lineWidth = 3; pen.strokeStyle = css("--panel"); pen.font = "bold 14px system-ui, sans-serif";
    pen.strokeText("you", x + 11, y); pen.fillText("you", x + 11, y); pen.lineWidth = 1;
  }

  function nearest(x, y) {
    let best = null, reach = 14 ** 2;
    for (const item of data.items) {
      const [a, b] = screen(at(item)), far = (a - x) ** 2 + (b - y) ** 2;
      if (far < reach) { reach = far; best = item; }
    }
    return best;
  }
  async function choose(item, centre) {
    chosen = item; near = [];
    note({ x: axes[0] || "", y: axes[1] === 1 ? "" : axes[1], item: item?.item_id ?? "" });
    if (!item) { side.replaceChildren(hint()); draw(); return; }
    draw();
    await fill(side, async (signal) => {
      const found = await get(`/api/similar?n=10&item=${encodeURIComponent(item.item_id)}`, signal);
      near = found.items;
      if (centre) fit([item, ...near.map((n) => data.byId.get(String(n.item_id)))].filter((i) => i?.at));
      draw();
      say(`Nearest to ${item.title ?? item.item_id}`);
      return [el("h2", {}, "Nearest to ", title(item)), el("ol", { class: "plain" }, near.map((n) => el("li", { class: "item" }, el("div", { class: "row" },
        el("button", { type: "button", class: "link grow", onclick: () => choose(data.byId.get(String(n.item_id)) ?? n, true) }, title(n)), el("span", { class: "soft small" }, n.similarity.toFixed(2)))))), found.note ? el("p", { class: "small soft" }, found.note) : el("p", { class: "small soft" }, "The number is the cosine of their factors, shrunk where ratings are few.")];
    });
  }
  const hint = () => el("div", {}, el("h2", {}, "Nearest"), el("p", { class: "soft" }, "Click a point, or search, to see what is near."), me.at ? el("p", { class: "soft" }, "The orange arrow is your taste, in the units of all people's: along it lies what you would like more than they do.") : el("p", { class: "soft" }, "Rate a few items under ", el("a", { href: "#/for-you" }, "For you"), ", and you are on the map, too."));

  function describe() {
    const side = (k) => data.axes[axes[k]];
    const words = (sign, titles) => el("p", {}, el("b", {}, `${sign} `), titles.slice(0, 4).flatMap((t, k) => [k ? " · " : "", el("bdi", {}, t)]));
    ends.replaceChildren(words("→", side(0).up), words("↑", side(1).up), words("←", side(0).down), words("↓", side(1).down));
  }
  const options = () => data.axes.map((a, k) => [k, `component ${k + 1} (${Math.round(100 * a.share)} %)`]);
  function pick(k, value) { axes[k] = Number(value); describe(); home(); choose(chosen, false); }

  const pointers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); pointers.set(e.pointerId, [e.offsetX, e.offsetY]); moved = 0; tip.hidden = true; });
  canvas.addEventListener("pointermove", (e) => {
    const last = pointers.get(e.pointerId);
    if (!last) {
      hover = nearest(e.offsetX, e.offsetY);
      tip.hidden = !hover;
      if (hover) { tip.textContent = `${hover.title ?? hover.item_id}, ${hover.count} ratings`; tip.style.left = `${Math.min(e.offsetX + 12, canvas.clientWidth - 170)}px`; tip.style.top = `${e.offsetY + 14}px`; }
      canvas.style.cursor = hover ? "pointer" : "grab";
      return;
    }
    const others = [...pointers].filter(([id]) => id !== e.pointerId);
    if (others.length) {
      const [ox, oy] = others[0][1], apart = (x, y) => Math.hypot(x - ox, y - oy) || 1;
      zoom(apart(e.offsetX, e.offsetY) / apart(...last), ox, oy);
    } else {
      view.x -= (e.offsetX - last[0]) / (base * view.scale);
      view.y += (e.offsetY - last[1]) / (base * view.scale);
    }
    moved += Math.abs(e.offsetX - last[0]) + Math.abs(e.offsetY - last[1]);
    pointers.set(e.pointerId, [e.offsetX, e.offsetY]);
    draw();
  });
  canvas.addEventListener("pointerup", (e) => { pointers.delete(e.pointerId); if (moved < 6) choose(nearest(e.offsetX, e.offsetY), false); });
  canvas.addEventListener("pointercancel", (e) => pointers.delete(e.pointerId));
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(-e.deltaY / 400), e.offsetX, e.offsetY); }, { passive: false });
  canvas.addEventListener("keydown", (e) => {
    const step = 60 / (base * view.scale), ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (ways[e.key]) { view.x += ways[e.key][0]; view.y += ways[e.key][1]; e.preventDefault(); draw(); }
    if (e.key === "+" || e.key === "=") zoom(1.5);
    if (e.key === "-") zoom(1 / 1.5);
    if (e.key === "0") home();
  });
  const watch = new ResizeObserver(() => draw());
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", draw);

  async function begin() {
    try {
      [data, me] = await Promise.all([get("/api/map"), get("/api/map/me").catch(() => me)]);
    } catch (fault) {
      stage.replaceChildren(failed(fault, begin));
      return;
    }
    if (gone) return;
    data.byId = new Map(data.items.map((i) => [String(i.item_id), i]));
    axes = axes.map((k, n) => (k in data.axes ? k : Math.min(n, data.axes.length - 1)));
    picks.replaceChildren(choice("Across", options(), axes[0], (v) => pick(0, v)), choice("Up", options(), axes[1], (v) => pick(1, v)),
      finder("Find an item", (item, close) => el("button", { type: "button", class: "link", onclick: () => { close(); choose(data.byId.get(String(item.item_id)) ?? item, true); } }, title(item))));
    stage.replaceChildren(picks, el("div", { class: "wide" }, el("div", {}, box, ends, el("p", { class: "small soft" }, `Shown: ${data.about}; larger points have more ratings.`)), el("section", { class: "panel", "aria-label": "Nearest" }, side)));
    watch.observe(canvas);
    describe();
    home();
    const wanted = data.byId.get(params.get("item") ?? "");
    choose(wanted ?? (params.get("item") ? { item_id: params.get("item"), title: null } : null), true);
  }
  begin();
  return () => { gone = true; watch.disconnect(); dark.removeEventListener("change", draw); };
}
