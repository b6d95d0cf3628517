// The API from its own description, without any library.
import { el, failed, get } from "./dom.js";

const view = document.getElementById("view");
const short = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return [...new Set(schema.anyOf.map(short))].join(" | ");
  if (schema.type === "array") return `[${short(schema.items)} …]`;
  return schema.enum ? schema.enum.map((x) => JSON.stringify(x)).join(" | ") : schema.const !== undefined ? JSON.stringify(schema.const) : (schema.type ?? "any");
};
function fields(schema) {
  const needed = new Set(schema.required ?? []);
  const limits = (s) => ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "maxItems", "maxLength"].filter((k) => k in s).map((k) => `${k} ${s[k]}`).join(", ");
  return el("table", {}, el("tbody", {}, Object.entries(schema.properties ?? {}).map(([name, s]) => el("tr", {},
    el("td", {}, el("code", {}, name)), el("td", {}, short(s)), el("td", { class: "soft" }, [needed.has(name) ? "required" : "default" in s ? `by default ${JSON.stringify(s.default)}` : "", limits(s)].filter(Boolean).join("; "))))));
}
function route(path, verb, way) {
  const body = way.requestBody?.content?.["application/json"]?.schema;
  const gives = way.responses?.["200"] ?? way.responses?.["201"];
  const answer = gives?.content?.["application/json"]?.schema;
  return el("section", { class: "panel" }, el("h2", {}, el("span", { class: "verb" }, verb.toUpperCase()), el("code", {}, path)), el("p", {}, way.description ?? way.summary ?? ""),
    way.parameters?.length ? el("p", { class: "small" }, "Parameters: ", way.parameters.map((p) => `${p.name} (${short(p.schema)}${p.required ? ", required" : ""})`).join(", ")) : null,
    body ? el("p", { class: "small" }, "Body: ", link(body)) : null, answer ? el("p", { class: "small" }, "Answer: ", link(answer)) : null);
}
const link = (schema) => (schema.$ref ? el("a", { href: `#${short(schema)}` }, short(schema)) : short(schema));

try {
  const api = await get("/openapi.json");
  const example = `curl -s ${location.origin}/api/recommend -H 'Content-Type: application/json' \\\n  -d '{"history": [{"item": 1, "rating": 5}], "n": 5}'`;
  view.replaceChildren(el("h1", {}, "The API"), el("p", { class: "lead" }, "JSON in, JSON out. Errors are 4xx with {\"error\": {\"what\", \"hint\"}}. Programs that write send Authorization: Bearer TOKEN."), el("pre", { tabindex: 0 }, example),
    ...Object.entries(api.paths).flatMap(([path, ways]) => Object.entries(ways).map(([verb, way]) => route(path, verb, way))), el("h1", {}, "Shapes"),
    ...Object.entries(api.components.schemas).map(([name, s]) => el("section", { class: "panel", id: name }, el("h2", {}, name), s.description ? el("p", { class: "soft small" }, s.description) : null, el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name }, fields(s)))));
} catch (fault) {
  view.replaceChildren(failed(fault));
}
