// What the parts of the page share: elements, names and numbers of features, colours of classes.

const SIGNIFICANT = 100; // steps of a slider from least to greatest, at least
const STYLED = 3; // the stylesheet has colours of its own for so many classes
const GOLDEN_ANGLE = 137.5; // hues that follow each other differ most

export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

export const isNumeric = ({ type, categories }) => ["number", "integer"].includes(type) && !categories;

export function label({ title, name, unit }) {
  const short = unit && name.endsWith(`_${unit}`) ? name.slice(0, -unit.length - 1) : name;
  return title || short.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
}

export const withUnit = (text, { unit }) => (unit ? `${text}, ${unit}` : text);
export const percent = (share) => `${(100 * share).toFixed(1)} %`;

// Digits after the point: the contract's, or as many as tell a hundredth of the range.
export function decimals({ decimals: given, type, min, max }) {
  if (type === "integer") return 0;
  if (given !== null && given !== undefined) return given;
  const step = Math.log10((max - min) / SIGNIFICANT || 1);
  return Math.min(15, Math.max(0, -Math.floor(step)));
}

export const step = (feature) => Number((10 ** -decimals(feature)).toFixed(15));
export const written = (feature, value) => value.toFixed(decimals(feature));

// A class has its colour and its place in the stylesheet, or a hue of its own.
export function colour(made, index) {
  made.classList.add(`species-${index}`);
  if (index >= STYLED) {
    made.classList.add("hue");
    made.style.setProperty("--hue", (index * GOLDEN_ANGLE) % 360);
  }
  return made;
}
