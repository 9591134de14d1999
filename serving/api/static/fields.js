// The controls for a row's values: sliders for numbers, selects for categories and booleans.

import { decimals, element, isNumeric, label, step, withUnit, written } from "./dom.js";

const BEYOND = 0.15; // how far the sliders go beyond the range seen in training, as a share of it
const MISSING = "missing";
const taken = new Set(["name", ...[...document.querySelectorAll("[id]")].map(({ id }) => id)]);

export function startValue(feature) {
  if (feature.type === "boolean") return false;
  if (feature.categories) return feature.categories[0];
  if (feature.min === null) return feature.required ? limits(feature)[0] : null;
  return Number(written(feature, (feature.min + feature.max) / 2));
}

// Whether a value is one of the feature's; a new version may have others.
export function isPossible(feature, value) {
  if (value === null) return !feature.required || isNumeric(feature);
  if (feature.type === "boolean") return typeof value === "boolean";
  return feature.categories ? feature.categories.includes(value) : typeof value === "number";
}

// The value behind a number of the matrix that the model sees.
export function decoded(feature, number) {
  if (number === null) return null;
  const values = feature.type === "boolean" ? [false, true] : feature.categories;
  return values ? values[number] ?? null : Number(written(feature, number));
}

// `change` is called with a value of the feature, or null.
export function control(feature, index, value, change) {
  // A name without a hyphen can neither be such a number nor end as the ids that are made of it.
  const id = /^[A-Za-z]\w*$/.test(feature.name) && !taken.has(feature.name) ? feature.name : `feature-${index}`;
  return isNumeric(feature) ? slider(feature, id, value, change) : choice(feature, id, value, change);
}

function limits(feature) {
  const { min, max } = feature;
  const bounds = Object.fromEntries(Object.entries(feature.bounds).filter(([, value]) => value !== null));
  const [size, least, most] = [step(feature), min ?? 0, max ?? 1];
  const room = BEYOND * (most - least);
  const beyond = room < size ? 0 : room; // of 0 and 1 there is nothing beyond
  const [floor, ceiling] = [least >= 0 ? 0 : -Infinity, most <= 0 ? 0 : Infinity]; // most quantities have one sign
  const low = bounds.minimum ?? (bounds.exclusive_minimum === undefined ? -Infinity : bounds.exclusive_minimum + size);
  const high = bounds.maximum ?? (bounds.exclusive_maximum === undefined ? Infinity : bounds.exclusive_maximum - size);
  return [
    Math.max(low, floor, Math.floor((least - beyond) / size) * size),
    Math.min(high, ceiling, Math.ceil((most + beyond) / size) * size),
  ];
}

function slider(feature, id, value, change) {
  const [low, high] = limits(feature).map((each) => each.toFixed(decimals(feature)));
  const made = element("div", { class: "slider" });
  const row = element("div");
  const number = element("input", { type: "number", step: "any", id: `${id}-number` });
  const unit = feature.unit ? ` in ${feature.unit}` : "";
  number.setAttribute("aria-label", `${label(feature)}${unit}, as a number`);
  if (!feature.required) number.placeholder = MISSING;
  const range = { min: low, max: high, step: step(feature), "aria-describedby": `${id}-range` };
  const track = element("input", { type: "range", id, ...range });
  row.append(element("label", { for: id }, withUnit(label(feature), feature)), number);
  made.append(row, track, element("small", { id: `${id}-range` }, seen(feature)));
  number.value = track.value = value ?? "";
  const enter = (text, other) => {
    other.value = text;
    change(text === "" ? null : Number(text));
  };
  track.addEventListener("input", () => enter(track.value, number));
  number.addEventListener("input", () => enter(number.value, track));
  return made;
}

function seen(feature) {
  const { min, max, unit, required } = feature;
  const missing = required ? "" : min === null ? "May be missing" : "; may be missing";
  if (min === null) return missing;
  return `In training ${written(feature, min)} to ${written(feature, max)}${unit && ` ${unit}`}${missing}`;
}

function choice(feature, id, value, change) {
  const values = [...(feature.categories ?? [false, true]), ...(feature.required ? [] : [null])];
  const made = element("div", { class: "slider" });
  const select = element("select", { id });
  select.append(...values.map((each, index) => element("option", { value: index }, text(each))));
  select.value = values.indexOf(value);
  select.addEventListener("change", () => change(values[select.value]));
  made.append(element("label", { for: id }, withUnit(label(feature), feature)), select);
  return made;
}

const text = (value) => (value === null ? MISSING : typeof value === "boolean" ? (value ? "yes" : "no") : String(value));
