// Best and worst: what is left of an item's ratings once the raters' own habits are taken off.
import { el, fill, get, range, soon, title } from "./dom.js";

export default function best(place, { health, params, note }) {
  const tables = el("div");
  let least = Number(params.get("min") ?? 20) || 20;
  const draw = () => {
    note({ min: least });
    fill(tables, async (signal) => {
      const found = await get(`/api/best?n=15&min_ratings=${least}`, signal);
      if (!found.eligible) return el("p", { class: "state" }, `No item has ${least} ratings. Ask for fewer.`);
      return [el("p", { class: "soft small" }, `${found.eligible.toLocaleString("en")} items have at least ${least} ratings.`),
        el("div", { class: "two even" }, ranking("Best", found.best), ranking("Worst", found.worst)), divisive(found.divisive)];
    }, { quiet: true });
  };
  const number = (x) => (x === null ? "" : x.toFixed(2));
  const scroll = (words, table) => el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": words }, table);
  const head = (...names) => el("thead", {}, el("tr", {}, names.map(([words, kind, help]) => el("th", { class: kind, scope: "col", title: help }, words))));
  const reach = (r) => (health.scale ? [range(health.scale, r.low, r.high, r.stars), r.low === null ? null : el("span", { class: "reach" }, `${number(r.low)} to ${number(r.high)}`)] : null);
  const ranking = (words, rows) => el("section", { class: "panel" }, el("h2", {}, words), scroll(words, el("table", {},
    head(["Title", ""], ["Average user", "n", "what the average user would give it"], ["", ""], ["Raw mean", "n raw", "the mean of its ratings"], ["Ratings", "n"]),
    el("tbody", {}, rows.map((r) => el("tr", {}, el("td", {}, link(r)), el("td", { class: "n" }, number(r.stars)), el("td", {}, reach(r)), el("td", { class: "n soft raw" }, number(r.mean)), el("td", { class: "n soft" }, String(r.count))))))));
  const divisive = (rows) => el("section", { class: "panel" }, el("h2", {}, "Most divisive"), el("p", { class: "soft small" }, "On these, tastes differ most: how far what the model predicts for different people lies apart, their general generosity aside."),
    rows.length ? scroll("Most divisive", el("table", {}, head(["Title", ""], ["Spread", "n", "standard deviation over users"], ["Ratings", "n"]), el("tbody", {}, rows.map((r) => el("tr", {}, el("td", {}, link(r)), el("td", { class: "n" }, r.spread.toFixed(2)), el("td", { class: "n soft" }, String(r.count))))))) : el("p", {}, "This model has no tastes."));
  const link = (r) => (health.factors ? el("a", { href: `#/map?item=${encodeURIComponent(r.item_id)}` }, title(r)) : title(r));
  const soonDraw = soon(300, draw);
  place.replaceChildren(el("h1", {}, "Best and worst"), el("p", { class: "lead" }, "Not the mean of the ratings: an item seen only by generous people looks good there. Here each rater's own habits and taste are taken off, and few ratings count for little. The bars are 95 % intervals."),
    el("div", { class: "controls few" }, el("label", {}, "At least so many ratings", el("input", { type: "number", min: 1, value: least, oninput: (e) => { least = Math.max(1, Math.round(Number(e.target.value)) || 1); soonDraw(); } }))), tables);
  draw();
}
