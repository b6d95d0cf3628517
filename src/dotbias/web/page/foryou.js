// For you: it asks, you answer, and the list follows.
import { choice, el, failed, fill, finder, get, post, range, remove, slider, soon, title } from "./dom.js";
import { forget, rate, stars } from "./stars.js";

const ASKED = 4;

export default function forYou(place, { health, params, note }) {
  const wish = { popularity: Number(params.get("popularity") ?? 0), diversity: Number(params.get("diversity") ?? 0), genre: params.get("genre") ?? "", from: params.get("from") ?? "", to: params.get("to") ?? "" };
  const problem = el("div"), questions = el("div"), mine = el("div"), list = el("div", { id: "list" });
  const reasons = new Map();
  let ratings = [], told = "", gone = false, before = null;

  const meta = (item) => [item.year, item.genres?.slice(0, 3).join(", ")].filter(Boolean).join(" · ");
  async function give(item, rating) {
    try {
      await (rating === undefined ? forget(item) : rate(item, rating));
      problem.replaceChildren();
    } catch (fault) {
      problem.replaceChildren(failed(fault));
      return;
    }
    refresh();
  }
  const answer = (item, now) => el("div", { class: "row" }, stars(item, health, now, (value) => give(item, value)),
    el("button", { type: "button", class: "notseen", onclick: () => give(item, null) }, "Not seen"));

  function refresh() {
    fill(mine, async (signal) => {
      ratings = (await get("/api/me", signal)).ratings;
      return history();
    }, { quiet: true });
    fill(questions, async (signal) => {
      const { items } = await post("/api/to_ask", { me: true, n: ASKED }, signal);
      if (!items.length) return el("p", { class: "soft" }, "Nothing is left to ask.");
      return el("ul", { class: "plain" }, items.map((item) => el("li", { class: "item question", "data-item": item.item_id },
        title(item), el("span", { class: "small soft" }, ` ${item.genres.slice(0, 3).join(", ")}`), answer(item))));
    }, { quiet: true });
    recommend();
  }

  function history() {
    const rated = ratings.filter((r) => r.rating !== null);
    if (!ratings.length) return el("p", { class: "soft" }, "Nothing yet. What you rate is kept here, under a cookie of yours.");
    const rows = [...ratings].reverse().map((r) => el("li", { class: "item" }, el("div", { class: "row" },
      el("span", { class: "grow" }, title(r)), r.rating === null ? el("span", { class: "soft small" }, "not seen") : null,
      stars(r, health, r.rating, (value) => give(r, value)), el("button", { type: "button", "aria-label": `Take back ${r.title ?? r.item_id}`, onclick: () => give(r) }, "×"))));
    return el("details", { open: params.has("mine") }, el("summary", {}, `${rated.length} rated, ${ratings.length - rated.length} not seen`),
      el("ul", { class: "plain" }, rows), el("div", { class: "row" }, el("button", { type: "button", onclick: save }, "Export"), el("button", { type: "button", onclick: wipe }, "Delete all")));
  }
  async function save() {
    const blob = new Blob([JSON.stringify(await get("/api/me"), null, 1)], { type: "application/json" });
    const link = el("a", { href: URL.createObjectURL(blob), download: "my-ratings.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  async function wipe() {
    if (!confirm("Delete all that you said here?")) return;
    await remove("/api/me");
    await get("/api/me");
    refresh();
  }

  function recommend() {
    note({ popularity: wish.popularity || "", diversity: wish.diversity || "", genre: wish.genre, from: wish.from, to: wish.to });
    const year = (text) => (/^-?\d{1,4}$/.test(text) ? Number(text) : null);
    const body = { me: true, n: 10, intervals: true, popularity: wish.popularity, diversity: wish.diversity, genres: wish.genre ? [wish.genre] : [], year_from: year(wish.from), year_to: year(wish.to) };
    fill(list, async (signal) => {
      const found = await post("/api/recommend", body, signal);
      setTimeout(() => explain(found.items, signal));
      return draw(found);
    }, { quiet: true });
  }
  function draw(found) {
    const widths = found.items.filter((r) => r.low !== null).map((r) => r.high - r.low);
    const width = widths.length ? widths.reduce((a, b) => a + b, 0) / widths.length : null;
    const sure = width === null ? null : el("p", { class: "small soft", id: "width", "data-width": width.toFixed(4) },
      `The bars are 80 % intervals, on average ± ${(width / 2).toFixed(2)} stars${before !== null && Math.abs(before - width) > 0.01 ? ` (before: ± ${(before / 2).toFixed(2)})` : ""}.`);
    before = width;
    if (!found.items.length) return el("p", { class: "soft" }, found.note ?? "Nothing fits.");
    return [sure, el("ol", { class: "plain" }, found.items.map((r) => {
      const why = el("p", { class: "why" });
      reasons.set(String(r.item_id), why);
      return el("li", { class: "item recommended", "data-item": r.item_id }, el("div", { class: "row" },
        el("span", { class: "grow" }, title(r), el("span", { class: "small soft" }, ` ${r.genres.slice(0, 3).join(", ")}`)),
        health.scale ? range(health.scale, r.low, r.high, r.score) : null, el("span", { class: "score", title: "predicted rating" }, health.scale ? r.score.toFixed(1) : "")), why,
        el("details", {}, el("summary", { class: "small" }, "I know it"), answer(r)));
    })), found.note ? el("p", { class: "small soft" }, found.note) : null, el("p", { class: "small soft" }, `Ordered by ${found.order.replace("they", "you")}.`)].filter(Boolean);
  }
  // Reasons come one after the other, so that the list need not wait for them.
  async function explain(items, signal) {
    const rated = ratings.some((r) => r.rating !== null);
    for (const item of items) {
      if (gone || signal.aborted || !rated) return;
      try {
        const { because } = await post("/api/explain", { me: true, item: item.item_id, n: 2 }, signal);
        const good = because.filter((b) => b.share > 0);
        const words = good.flatMap((b, k) => [k ? " and " : "Because of ", title(b), b.rating === null || !health.scale ? "" : ` (you gave ${b.rating})`]);
        reasons.get(String(item.item_id))?.replaceChildren(...(words.length ? words : ["Most people like it; your ratings say little about it."]));
      } catch (fault) {
        if (fault.name === "AbortError") return;
      }
    }
  }

  const soonList = soon(250, recommend);
  const year = (words, key) => el("label", {}, words, el("input", { type: "number", value: wish[key], min: -9999, max: 9999, placeholder: health.years ? String(health.years[key === "from" ? 0 : 1]) : "", oninput: (e) => { wish[key] = e.target.value; soonList(); } }));
  const controls = el("div", { class: "controls" },
    slider("Popularity", wish.popularity, { min: -1, max: 1, step: 0.1, shown: (x) => (x === 0 ? "as it is" : x < 0 ? `hidden gems ${-x}` : `well known ${x}`), change: (x) => { wish.popularity = x; soonList(); } }),
    health.factors ? slider("Variety", wish.diversity, { min: 0, max: 1, step: 0.1, shown: (x) => (x === 0 ? "as it is" : String(x)), change: (x) => { wish.diversity = x; soonList(); } }) : null,
    health.genres.length ? choice("Genre", [["", "all"], ...health.genres.map((g) => [g, g])], wish.genre, (x) => { wish.genre = x; recommend(); }) : null,
    health.years ? year("From", "from") : null, health.years ? year("To", "to") : null);
  place.replaceChildren(el("h1", {}, "For you"), el("p", { class: "lead" }, "Rate what you know. With every star the list and its bars follow."), problem,
    el("div", { class: "two" },
      el("div", {}, el("section", { class: "panel", "aria-label": "Questions" }, el("h2", {}, "Do you know these?"), questions),
        el("section", { class: "panel", "aria-label": "Search" }, el("h2", {}, "Or name one"), finder("A title, or its beginning", (item, close) => el("div", {}, title(item), el("span", { class: "small soft" }, ` ${meta(item)}`), el("div", { class: "row" }, stars(item, health, null, (value) => { close(); give(item, value); }))))),
        el("section", { class: "panel", "aria-label": "Your ratings" }, el("h2", {}, "Your ratings"), mine)),
      el("section", { class: "panel", "aria-label": "Recommendations" }, el("h2", {}, "You might like"), controls, list)));
  refresh();
  return () => { gone = true; };
}
