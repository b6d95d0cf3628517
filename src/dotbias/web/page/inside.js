// Inside: gradient descent on a crosstab. The server computes; this draws, and remembers which steps were made how.
import { ask, choice, css, el, failed, fill, post, say, slider, soon } from "./dom.js";

const OPTIMIZERS = ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"];
const AMOUNT = 40;
const MOST = 2000;

export default function inside(place, { health, params, note }) {
  if (!health.scale) {
    place.replaceChildren(el("h1", {}, "Inside"), el("p", { class: "state" }, "This model learned from clicks; the lesson needs ratings."));
    return undefined;
  }
  const table = { n: Number(params.get("n") ?? 12), genre: params.get("genre") || null, seed: Number(params.get("seed") ?? 0) };
  let factors = Number(params.get("k") ?? 3);
  let stretches = read(params.get("run") ?? "");
  const last = stretches.at(-1);
  const now = { optimizer: last?.optimizer ?? "momentum", lr: last?.lr ?? 0.01, momentum: last?.momentum ?? 0.5, wd: last?.wd ?? 0 };
  let world = null, frame = null, losses = [], cell = null, running = null, gone = false;

  const grid = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Crosstab" }), apart = el("div"), trouble = el("div");
  const curve = el("canvas", { class: "chart", role: "img" }), bars = el("canvas", { class: "chart low", role: "img" }), counted = el("p", { class: "small", role: "status" });
  const step = el("button", { type: "button", onclick: () => { stop(); advance(1); } }, "Step");
  const run = el("button", { type: "button", class: "main", onclick: () => (running ? stop() : go()) }, "Run");
  const reset = el("button", { type: "button", onclick: () => { stop(); stretches = []; restart(); } }, "Reset");

  // a,b,c;… : steps, optimizer, lr, momentum, wd of each stretch
  function read(text) {
    return text.split(";").filter(Boolean).slice(0, 200).map((part) => part.split(",")).filter((p) => p.length === 5 && OPTIMIZERS.includes(p[1]) && p.every((x, k) => k === 1 || Number.isFinite(Number(x))))
      .map(([steps, optimizer, lr, momentum, wd]) => ({ steps: Math.max(0, Math.round(Number(steps))), optimizer, lr: Number(lr), momentum: Number(momentum), wd: Number(wd) }));
  }
  const write = () => stretches.map((s) => [s.steps, s.optimizer, s.lr, s.momentum, s.wd].join(",")).join(";");
  const made = () => stretches.reduce((sum, s) => sum + s.steps, 0);
  const remember = () => note({ n: table.n === 12 ? "" : table.n, genre: table.genre ?? "", seed: table.seed || "", k: factors === 3 ? "" : factors, run: write() });
  const asked = (more) => ({ ...table, factors, stretches, ...more });
  function push(steps) {
    const s = stretches.at(-1);
    if (s && s.optimizer === now.optimizer && s.lr === now.lr && s.momentum === now.momentum && s.wd === now.wd) s.steps += steps;
    else stretches.push({ ...now, steps });
  }
  function cut(to) { // forget steps that were asked for and never shown
    let over = made() - to;
    while (over > 0 && stretches.length) {
      const s = stretches.at(-1), off = Math.min(over, s.steps);
      s.steps -= off; over -= off;
      if (!s.steps) stretches.pop();
    }
  }

  async function* lines(answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const line of parts) yield JSON.parse(line);
    }
  }
  function take(next) {
    if (next.step === losses.length) losses.push([next.train, next.test]);
    if (next.diverged) { trouble.replaceChildren(el("div", { class: "error", role: "alert" }, el("p", {}, `At step ${next.step} the numbers ran away: the learning rate is too large.`), el("p", { class: "small soft" }, "Reset, or take a smaller one."))); return false; }
    frame = next;
    return true;
  }
  async function stream(steps, start, signal, each) {
    if (steps) push(steps);
    const answer = await ask("POST", "/api/inside/run", asked({ start }), signal);
    for await (const next of lines(answer)) if (!take(next) || (await each?.()) === false) return false;
    return true;
  }
  async function advance(steps) {
    if (made() + steps > MOST) { say("That is enough steps."); return; }
    try { await stream(steps, losses.length, undefined); paint(); remember(); open(); } catch (fault) { cut(losses.length - 1); trouble.replaceChildren(failed(fault)); }
  }
  async function go() {
    running = new AbortController();
    const mine = running;
    run.textContent = "Pause";
    const pace = () => new Promise((resolve) => requestAnimationFrame(() => { paint(); resolve(mine === running && !gone); }));
    try {
      while (mine === running && !gone && made() < MOST) if (!(await stream(Math.min(AMOUNT, MOST - made()), losses.length, mine.signal, pace))) break;
    } catch (fault) {
      if (fault.name !== "AbortError") trouble.replaceChildren(failed(fault));
    }
    if (mine === running) stop();
  }
  function stop() {
    if (!running) return;
    running.abort();
    running = null;
    run.textContent = "Run";
    cut(Math.max(0, losses.length - 1));
    remember();
    if (frame) { paint(); open(); }
  }
  async function restart() {
    losses = []; frame = null;
    trouble.replaceChildren();
    try {
      await stream(0, 0, undefined);
      cut(Math.max(0, losses.length - 1));
      paint(); remember(); open();
    } catch (fault) { trouble.replaceChildren(failed(fault)); }
  }
  async function begin() {
    stop();
    await fill(grid, async (signal) => {
      world = await post("/api/inside/table", table, signal);
      if (cell && (cell[0] >= world.users.length || cell[1] >= world.items.length)) cell = null;
      return sheet();
    });
    if (world && !gone) restart();
  }

  let cells = [];
  function sheet() {
    cells = world.users.map((user, u) => world.items.map((item, i) => el("button", { type: "button", class: world.part[u][i] === 2 ? "test" : world.part[u][i] === 0 ? "none" : "", "aria-label": `user ${user}, ${world.titles[i]}`, onclick: () => { cell = [u, i]; mark(); open(); } }, el("b"), el("span"))));
    return el("table", { class: "grid" }, el("thead", {}, el("tr", {}, el("th", {}, el("span", { class: "unseen" }, "user")), world.titles.map((t) => el("th", { scope: "col" }, el("span", { title: t }, t))))),
      el("tbody", {}, world.users.map((user, u) => el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, String(user))), cells[u].map((b) => el("td", {}, b))))));
  }
  const mark = () => cells.forEach((row, u) => row.forEach((b, i) => b.setAttribute("aria-pressed", String(cell !== null && cell[0] === u && cell[1] === i))));

  function paint() {
    if (gone || !world || !frame?.scores) return;
    const [cold, warm, heat] = ["--cold", "--warm", "--heat"].map(css); // so hot that the text still stands out
    cells.forEach((row, u) => row.forEach((b, i) => {
      const real = world.ratings[u][i], guess = frame.scores[u][i];
      b.firstChild.textContent = real === null ? "" : String(real);
      b.lastChild.textContent = guess.toFixed(1);
      if (real !== null) {
        const off = guess - real;
        b.style.background = `rgb(${off > 0 ? warm : cold} / ${Math.min(1, Math.abs(off) / 2) * heat})`;
      }
    }));
    const said = (x) => (x === null ? "none" : x.toFixed(3));
    counted.textContent = `Step ${losses.length - 1}. RMSE on train ${said(frame.train)}, on test ${said(frame.test)}; the mean alone ${said(world.mean.test)} on test, biases alone ${said(world.biases.test)}.`;
    curves(); histogram();
  }
  function pen(canvas) {
    const ratio = devicePixelRatio || 1, [w, h] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = "12px system-ui, sans-serif";
    return [context, w, h];
  }
  function curves() {
    const [p, w, h] = pen(curve), [left, bottom, top] = [38, 20, 8];
    const known = losses.flat().filter((x) => x !== null), lines = [world.mean.test, world.biases.test].filter((x) => x !== null), all = [...known, ...lines];
    const most = Math.min(Math.max(...all), 2.5 * Math.max(...lines, 0.5)), least = Math.min(...all), room = Math.max(most - least, 0.1) * 0.12;
    const low = Math.max(0, least - room), high = most + room, steps = Math.max(20, losses.length - 1), tick = [0.02, 0.05, 0.1, 0.2, 0.5, 1].find((t) => (high - low) / t <= 6) ?? 2;
    const x = (k) => left + ((w - left - 8) * k) / steps, y = (v) => top + ((h - top - bottom) * (high - Math.min(v, high))) / (high - low);
    p.strokeStyle = css("--line"); p.fillStyle = css("--soft"); p.textBaseline = "middle";
    for (let v = Math.ceil(low / tick) * tick; v <= high; v += tick) { p.beginPath(); p.moveTo(left, y(v)); p.lineTo(w - 8, y(v)); p.stroke(); p.textAlign = "right"; p.fillText(v.toFixed(2), left - 5, y(v)); }
    p.textAlign = "left"; p.fillText("0", left, h - 8); p.textAlign = "right"; p.fillText(`${steps} steps`, w - 8, h - 8);
    const level = (v, colour, dash) => { if (v === null) return; p.setLineDash(dash); p.strokeStyle = colour; p.beginPath(); p.moveTo(left, y(v)); p.lineTo(w - 8, y(v)); p.stroke(); p.setLineDash([]); };
    level(world.mean.test, css("--soft"), [2, 4]); level(world.biases.test, css("--star"), [7, 4]);
    p.lineWidth = 2;
    [[0, "--accent"], [1, "--test"]].forEach(([which, colour]) => { p.strokeStyle = css(colour); p.beginPath(); losses.forEach((l, k) => { if (l[which] !== null) p.lineTo(x(k), y(l[which])); }); p.stroke(); });
    p.lineWidth = 1;
    curve.setAttribute("aria-label", counted.textContent);
  }
  function histogram() {
    const [p, w, h] = pen(bars), { edge, counts } = frame.gradient, most = Math.max(...counts, 1), wide = w / counts.length;
    p.fillStyle = css("--accent");
    counts.forEach((n, k) => { const tall = ((h - 20) * n) / most; p.fillRect(k * wide + 1, h - 18 - tall, wide - 2, tall); });
    p.fillStyle = css("--soft"); p.textBaseline = "bottom";
    [[-edge, "left", 2], [0, "center", w / 2], [edge, "right", w - 2]].forEach(([v, align, at]) => { p.textAlign = align; p.fillText(v === 0 ? "0" : v.toPrecision(2), at, h - 1); });
    bars.setAttribute("aria-label", `Histogram of the gradient, from ${(-edge).toPrecision(2)} to ${edge.toPrecision(2)}`);
  }

  function open() {
    if (!cell) { apart.replaceChildren(el("p", { class: "soft" }, "Click a cell: its prediction taken apart, its gradient computed twice.")); return; }
    if (running) return;
    const [u, i] = cell;
    fill(apart, async (signal) => {
      const c = await post("/api/inside/cell", asked({ user: u, item: i }), signal);
      const what = ["no rating: a guess", "in train", "held out for test"][c.part];
      const worst = Math.max(...c.parameters.map((q) => Math.abs(q.formula - q.difference)));
      const head = (...names) => el("thead", {}, el("tr", {}, names.map((t, k) => el("th", { class: k ? "n" : null, scope: "col" }, t))));
      return [el("p", {}, "User ", el("bdi", {}, String(world.users[u])), ", ", el("bdi", {}, world.titles[i]), `: ${c.rating === null ? "" : `rated ${c.rating}, `}${what}.`),
        el("p", { class: "legendline" }, c.terms.map((t, k) => `${k && t.value >= 0 ? "+ " : k ? "− " : ""}${(k ? Math.abs(t.value) : t.value).toFixed(3)} (${t.name})`).join(" "), el("b", {}, ` = ${c.prediction.toFixed(3)}`)),
        el("details", { open: true }, el("summary", {}, "Its parameters and their gradient"), el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Gradient" }, el("table", { class: "numbers" }, head("parameter", "value", "by formula", "by difference"),
          el("tbody", {}, c.parameters.map((q) => el("tr", {}, el("td", {}, q.name), ...[q.value, q.formula, q.difference].map((v) => el("td", { class: "n" }, v.toFixed(5))))))))),
        el("p", { class: "small soft" }, `Formula: minus the sum of error × the other side's factor${now.wd ? ", plus decay × value" : ""}. Difference: (L(x + h) − L(x − h)) / 2h. They differ by at most ${worst.toExponential(1)}.`)];
    }, { quiet: true });
  }

  const again = soon(250, begin);
  const set = (key) => (value) => { now[key] = value; };
  const logarithmic = (words, key, low, high) => slider(words, Math.log10(Math.max(now[key], 10 ** low)), { min: low, max: high, step: 0.1, shown: (x) => show(x), change: (x) => { now[key] = Number((10 ** x).toPrecision(2)); } });
  const show = (x) => String(Number((10 ** x).toPrecision(2)));
  const controls = el("div", { class: "controls" },
    choice("Optimizer", OPTIMIZERS.map((o) => [o, o]), now.optimizer, set("optimizer")), logarithmic("Learning rate", "lr", -4, 0.5),
    slider("Momentum", now.momentum, { min: 0, max: 0.99, step: 0.01, shown: (x) => x.toFixed(2), change: set("momentum") }), slider("Weight decay", now.wd, { min: 0, max: 30, step: 0.1, shown: (x) => x.toFixed(1), change: set("wd") }),
    slider("Factors", factors, { min: 1, max: 10, step: 1, change: (x) => { factors = x; stretches = []; again(); } }), slider("Table", table.n, { min: 4, max: 20, step: 1, shown: (x) => `${x} × ${x}`, change: (x) => { table.n = x; stretches = []; again(); } }),
    health.genres.length ? choice("Items of", [["", "all genres"], ...health.genres.map((g) => [g, g])], table.genre ?? "", (x) => { table.genre = x || null; stretches = []; begin(); }) : null,
    slider("Seed", table.seed, { min: 0, max: 20, step: 1, change: (x) => { table.seed = x; stretches = []; again(); } }));
  place.replaceChildren(el("h1", {}, "Inside"), el("p", { class: "lead" }, "The users and items with most ratings, and a model that learns them by gradient descent: mean + user bias + item bias + factors · factors. Change a setting at any time; the next step uses it."),
    el("section", { class: "panel" }, controls, el("div", { class: "row" }, step, run, reset, counted), trouble),
    el("div", { class: "two" }, el("section", { class: "panel", "aria-label": "Crosstab" }, el("h2", {}, "Ratings, and what it predicts"), grid, el("p", { class: "small soft legendline" }, "Bold: the rating; below: the prediction. Dashed: held out for test. Red: predicted too high; blue: too low.")),
      el("div", {}, el("section", { class: "panel" }, el("h2", {}, "Error (RMSE)"), curve, el("ul", { class: "legend" }, legend("--accent", "train"), legend("--test", "test"), legend("--star", "biases alone, test", "dashed"), legend("--soft", "mean alone, test", "dotted")), el("h2", {}, "Gradient, all parameters"), bars),
        el("section", { class: "panel", "aria-label": "A cell" }, el("h2", {}, "A cell taken apart"), apart))));
  function legend(colour, words, line) { const sign = el("i", { class: line }); sign.style.color = css(colour); return el("li", {}, sign, el("span", {}, words)); }
  const watch = new ResizeObserver(() => paint());
  watch.observe(curve);
  begin();
  return () => { gone = true; stop(); watch.disconnect(); };
}
