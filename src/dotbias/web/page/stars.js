// The stars that a person gives, "not seen", and the history they make.
import { el, put, remove, say } from "./dom.js";

const path = (item) => `/api/me/rating?item=${encodeURIComponent(item.item_id)}`;

export async function rate(item, rating) {
  await put(path(item), { rating });
  say(rating === null ? "Noted: not seen." : "Noted.");
}
export const forget = (item) => remove(path(item));

export function stars(item, health, now, give) {
  const values = health.scale ? health.scale.stars : [1];
  const word = (value) => (health.scale ? `${value} of ${health.scale.high}` : "liked");
  return el("span", { class: "stars", role: "group", "aria-label": `Your rating of ${item.title ?? item.item_id}` },
    values.map((value) => el("button", {
      type: "button", class: now !== null && now !== undefined && value <= now + 1e-9 ? "on" : "", "aria-label": word(value), title: word(value),
      "aria-pressed": String(now === value), onclick: () => give(value),
    }, health.scale ? "★" : "♥")));
}
