// The API reference: reads /openapi.json and lays its routes out by tag. Text only ever goes in as text, never as HTML.

import { element } from "./element.js";
import { example, fields, resolve } from "./schema.js";
import { form } from "./try.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

function credentialWords(operation) {
  const names = new Set((operation.security ?? []).flatMap(Object.keys));
  const words = [];
  if (names.has("apiKey")) words.push("API key");
  if (names.has("sessionToken")) words.push("session token");
  return words.join(" or ") || "open";
}

function pathView(path) {
  const pieces = path.split(/(\{[^}]+\})/).map((piece) => (piece.startsWith("{") ? element("em", {}, piece) : piece));
  return element("span", { class: "path" }, ...pieces);
}

function bodySchema(container, document) {
  const schema = container?.content?.["application/json"]?.schema;
  return schema && resolve(schema, document);
}

function sample(title, value) {
  const text = JSON.stringify(value, null, 2);
  return element("div", {}, element("h4", {}, title), element("pre", { class: "sample" }, element("code", {}, text)));
}

function parameterList(parameters) {
  const items = parameters.map((parameter) =>
    element(
      "li",
      {},
      element("span", { class: "name" }, parameter.name),
      element("span", { class: "type" }, `${parameter.schema?.type ?? "string"}, in ${parameter.in}`),
      parameter.required ? element("span", { class: "must" }, "required") : "",
      parameter.description ? element("div", { class: "more" }, parameter.description) : "",
    ),
  );
  return element("div", {}, element("h4", {}, "Parameters"), element("ul", { class: "fields" }, ...items));
}

function answersView(responses) {
  const chips = Object.entries(responses).map(([status, answer]) =>
    element("span", {}, `${status} ${answer.description}`),
  );
  return element("div", { class: "answers" }, ...chips);
}

function routeView(method, path, operation, document) {
  const id = `${method}-${path}`.replace(/[^a-z0-9]+/gi, "-");
  const request = bodySchema(operation.requestBody, document);
  const [success] = Object.keys(operation.responses).filter((status) => status < "300");
  const answer = bodySchema(operation.responses[success], document);
  const inside = element("div", { class: "inside" });
  const details = element(
    "details",
    { class: "route", id },
    element(
      "summary",
      {},
      element("span", { class: `method ${method}` }, method.toUpperCase()),
      pathView(path),
      element("span", { class: "says" }, operation.summary ?? ""),
      element("span", { class: "who" }, credentialWords(operation)),
    ),
    inside,
  );
  // Filled when first opened: a page of many routes appears at once.
  details.addEventListener("toggle", () => {
    if (inside.childElementCount) return;
    if (operation.description) inside.append(element("p", {}, operation.description));
    if (operation.parameters?.length) inside.append(parameterList(operation.parameters));
    if (request) {
      const list = element("div", {}, element("h4", {}, "Request body"), fields(request, document));
      inside.append(element("div", { class: "pair" }, list, sample("For example", example(request, document))));
    }
    if (answer) {
      const list = element("div", {}, element("h4", {}, `Answer ${success}`), fields(answer, document, { answer: true }));
      list.append(answersView(operation.responses));
      inside.append(element("div", { class: "pair" }, list, sample("For example", example(answer, document))));
    }
    inside.append(form(method, path, operation, request && example(request, document)));
  });
  return details;
}

function contentsEntry(method, path, operation, details) {
  const entry = element(
    "a",
    { class: "entry", href: `#${details.id}` },
    element("span", { class: `method ${method}` }, method === "delete" ? "DEL" : method.toUpperCase()),
    element("span", {}, operation.summary ?? path),
  );
  entry.dataset.words = path;
  return entry;
}

function lay(document_) {
  const tags = new Map();
  for (const [path, operations] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((name) => name in operations)) {
      const tag = operations[method].tags?.[0] ?? "other";
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push([method, path, operations[method]]);
    }
  }
  const routes = document.getElementById("routes");
  const before = document.getElementById("after-routes");
  routes.replaceChildren();
  for (const [tag, rows] of tags) {
    const section = element("section", { id: `tag-${tag}` }, element("h2", { class: "tag" }, tag));
    before.before(element("h2", {}, tag));
    for (const [method, path, operation] of rows) {
      const details = routeView(method, path, operation, document_);
      section.append(details);
      before.before(contentsEntry(method, path, operation, details));
    }
    routes.append(section);
  }
  const { title, version } = document_.info;
  document.getElementById("facts").prepend(element("span", {}, `${title} ${version}`), element("span", {}, location.origin));
}

function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) named.open = true;
  named?.scrollIntoView();
}

function filterContents(words) {
  const wanted = words.trim().toLowerCase();
  let heading = null;
  let shown = 0;
  const close = () => heading && (heading.hidden = shown === 0);
  for (const item of document.getElementById("contents").children) {
    if (item.tagName === "H2") {
      close();
      [heading, shown] = [item, 0];
    } else {
      item.hidden = !`${item.textContent} ${item.dataset.words ?? ""}`.toLowerCase().includes(wanted);
      shown += item.hidden ? 0 : 1;
    }
  }
  close();
}

document.getElementById("find").addEventListener("input", (event) => filterContents(event.target.value));
addEventListener("hashchange", openNamed);

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  lay(await answer.json());
  if (location.hash) openNamed();
} catch (error) {
  const words = `The routes cannot be shown: reading openapi.json failed (${error.message}).`;
  document.getElementById("routes").replaceChildren(element("p", { class: "notice" }, words));
}
