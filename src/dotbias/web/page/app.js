// Which page is shown: the hash says, so that links can be shared and "back" works.
import { el, failed, get, loading } from "./dom.js";
import best from "./best.js";
import forYou from "./foryou.js";
import inside from "./inside.js";
import map from "./map.js";

const pages = { "for-you": ["For you", forYou], map: ["Map", map], best: ["Best and worst", best], inside: ["Inside", inside] };
const view = document.getElementById("view");
let leave = () => {};
let health = null;

export function where() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return [path in pages ? path : "for-you", new URLSearchParams(query ?? "")];
}

// Say in the address what is shown, without a new entry in the history.
function note(page) {
  return (given) => {
    const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== null && value !== "" && value !== undefined)).toString();
    if (where()[0] === page) history.replaceState(null, "", `#/${page}${query ? `?${query}` : ""}`);
  };
}

async function show(first) {
  const [page, params] = where();
  leave();
  leave = () => {};
  const [words, draw] = pages[page];
  document.title = `${words} · dotbias`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${page}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  view.replaceChildren(loading());
  try {
    health ??= await get("/api/health");
    if (where()[0] !== page) return;
    const place = el("div");
    view.replaceChildren(place);
    leave = draw(place, { health, params, note: note(page) }) ?? leave;
    const count = (n) => n.toLocaleString("en");
    document.getElementById("about").textContent = `${health.fitter ?? "A model"} of ${count(health.ratings)} ratings: ${count(health.users)} users, ${count(health.items)} items. What you rate stays on this server; you can export and delete it.`;
  } catch (fault) {
    view.replaceChildren(failed(fault, () => show()));
  }
  if (!first) view.focus({ preventScroll: true });
  scrollTo(0, 0);
}

addEventListener("hashchange", () => show());
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); view.focus(); });
show(true);
