// JSON Schema, as OpenAPI 3.1 uses it, turned into a list of fields and into an example.

import { element } from "./element.js";

const DEPTH = 4; // a schema may contain itself

export function resolve(schema, document) {
  let found = schema;
  while (found.$ref) {
    found = found.$ref
      .slice(2)
      .split("/")
      .reduce((at, key) => at[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);
  }
  return found;
}

// What a union may be besides null: the interesting part of "string or null".
function choices(schema, document) {
  return (schema.anyOf ?? schema.oneOf ?? []).map((one) => resolve(one, document)).filter((one) => one.type !== "null");
}

function bounds(schema) {
  const words = [];
  if (schema.minimum !== undefined) words.push(`at least ${schema.minimum}`);
  if (schema.maximum !== undefined) words.push(`at most ${schema.maximum}`);
  if (schema.maxLength !== undefined) words.push(`up to ${schema.maxLength} characters`);
  if (schema.maxItems !== undefined) words.push(`up to ${schema.maxItems} items`);
  if (schema.format) words.push(schema.format);
  if (schema.default !== undefined && schema.default !== null && typeof schema.default !== "object") {
    words.push(`default ${JSON.stringify(schema.default)}`);
  }
  return words.join(", ");
}

function typeWords(given, document) {
  const schema = resolve(given, document);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const union = schema.anyOf ?? schema.oneOf;
  if (union) return union.map((one) => typeWords(one, document)).join(" | ");
  if (schema.type === "array") return `${schema.items ? typeWords(schema.items, document) : "any"}[]`;
  return [schema.type ?? "any"].flat().join(" | ");
}

// The object behind a field, if there is one: itself, the one real choice of a union, or what an array holds.
function objectIn(given, document) {
  const schema = resolve(given, document);
  if (schema.properties) return schema;
  if (schema.type === "array" && schema.items) return objectIn(schema.items, document);
  const real = choices(schema, document);
  return real.length === 1 ? objectIn(real[0], document) : null;
}

// In an answer every field that is not optional is there: only a request has something to require.
export function fields(given, document, { answer = false, depth = 0 } = {}) {
  const object = objectIn(given, document);
  if (!object) return element("p", { class: "more" }, typeWords(given, document));
  const required = new Set(object.required ?? []);
  const items = Object.entries(object.properties).map(([name, property]) => {
    const schema = resolve(property, document);
    const [only] = choices(schema, document);
    const words = [schema.description ?? property.description, bounds(only ?? schema)].filter(Boolean).join(". ");
    const item = element(
      "li",
      {},
      element("span", { class: "name" }, name),
      element("span", { class: "type" }, typeWords(property, document)),
      !answer && required.has(name) ? element("span", { class: "must" }, "required") : "",
      words ? element("div", { class: "more" }, words) : "",
    );
    if (depth < DEPTH && objectIn(property, document)) {
      const inner = element("details", {}, element("summary", {}, "fields"));
      inner.addEventListener("toggle", () => {
        if (inner.childElementCount === 1) inner.append(fields(property, document, { answer, depth: depth + 1 }));
      });
      item.append(inner);
    }
    return item;
  });
  return element("ul", { class: "fields" }, ...items);
}

export function example(given, document, depth = 0) {
  const schema = resolve(given, document);
  if (schema.examples?.length) return schema.examples[0];
  if (schema.example !== undefined) return schema.example;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (depth > DEPTH) return null;
  const real = choices(schema, document);
  if (real.length) return example(real[0], document, depth + 1);
  switch ([schema.type].flat()[0]) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, one]) => [name, example(one, document, depth + 1)]),
      );
    case "array":
      return schema.items ? [example(schema.items, document, depth + 1)] : [];
    case "string":
      return schema.format === "date-time" ? "2026-01-01T10:00:00.000Z" : "string";
    case "integer":
    case "number":
      return schema.minimum ?? 0;
    case "boolean":
      return false;
    default:
      return null;
  }
}
