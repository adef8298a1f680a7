// "Try it": a form for one route, sent from this page to the gateway that served it.

import { element } from "./element.js";

const credential = (id) => document.getElementById(id).value.trim();

function headersFor(operation) {
  const names = new Set((operation.security ?? []).flatMap(Object.keys));
  const headers = {};
  if (names.has("apiKey") && credential("api-key")) headers["x-api-key"] = credential("api-key");
  else if (names.has("sessionToken") && credential("session-token")) {
    headers.authorization = `Bearer ${credential("session-token")}`;
  }
  return headers;
}

function address(path, inputs) {
  let filled = path;
  const query = new URLSearchParams();
  for (const [parameter, input] of inputs) {
    const value = input.value.trim();
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (parameter.in === "query" && value) query.set(parameter.name, value);
  }
  return query.size ? `${filled}?${query}` : filled;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function outcomeView(well, line, text) {
  return [
    element("div", { class: "line", "data-well": String(well) }, line),
    ...(text ? [element("pre", {}, element("code", {}, text))] : []),
  ];
}

export function form(method, path, operation, bodyExample) {
  const inputs = (operation.parameters ?? []).map((parameter) => {
    const attributes = { autocomplete: "off", spellcheck: "false", ...(parameter.required ? { required: "" } : {}) };
    return [parameter, element("input", attributes)];
  });
  const body = bodyExample === undefined ? null : element("textarea", { spellcheck: "false" });
  if (body) body.value = JSON.stringify(bodyExample, null, 2);
  const outcome = element("div", { class: "outcome", "aria-live": "polite" });
  const send = element("button", { class: "button first" }, "Send");
  const labels = inputs.map(([parameter, input]) => element("label", { class: "field" }, parameter.name, input));
  const view = element(
    "form",
    { class: "try" },
    element("h4", {}, "Try it"),
    labels.length ? element("div", { class: "inputs" }, ...labels) : "",
    body ? element("label", { class: "field" }, "body", body) : "",
    element("div", { class: "row" }, send, element("span", {}, "Sent to this gateway, with the credentials entered above.")),
    outcome,
  );
  view.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    const headers = headersFor(operation);
    if (body) headers["content-type"] = "application/json";
    for (const [parameter, input] of inputs) {
      if (parameter.in === "header" && input.value.trim()) headers[parameter.name] = input.value.trim();
    }
    const begun = performance.now();
    try {
      const answer = await fetch(address(path, inputs), { method: method.toUpperCase(), headers, body: body?.value });
      const text = await answer.text();
      const line = `${answer.status} ${answer.statusText} in ${Math.round(performance.now() - begun)} ms`;
      outcome.replaceChildren(...outcomeView(answer.ok, line, pretty(text)));
    } catch (error) {
      outcome.replaceChildren(...outcomeView(false, `No answer: ${error.message}`));
    }
    send.disabled = false;
  });
  return view;
}
