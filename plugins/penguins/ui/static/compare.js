// Draws a feature of a window against the training rows: the share of the rows in each bin, or with each value.

import { make, shape as add, SVG } from "./dom.js";
import { percent } from "./series.js";

const WIDTH = 340, HEIGHT = 150, LEFT = 40, RIGHT = 334, TOP = 8, BOTTOM = 126;

const short = (value) => Number(value.toPrecision(3)).toLocaleString();

function bins({ edges, values, others, reference, window }) {
  const both = (at) => [reference[at], window[at]];
  if (edges) {
    const names = edges.length ? [`below ${short(edges[0])}`, ...edges.slice(1).map((edge, at) =>
      `${short(edges[at])} to ${short(edge)}`), `from ${short(edges.at(-1))}`] : ["any"];
    return names.map((name, at) => [name, ...both(at)]);
  }
  const named = values.map((value, at) => [value ?? "missing", ...both(at)]);
  return others.some(Boolean) ? [...named, ["others", ...others]] : named;
}

const chance = (p) => `p = ${p < 0.001 ? p.toExponential(0) : p.toFixed(3)}`;

function text({ kind, aspects: { values, missing }, missing: { reference, window } }) {
  const found = [];
  if (values) {
    const moved = kind === "number" ? `${values.effect?.toFixed(2) ?? "many"} sd` : `${percent(values.effect)} of the rows`;
    found.push(`moved by ${moved}, ${chance(values.p)}`);
  }
  if (reference || window || missing) {
    found.push(`missing ${percent(reference)}, now ${percent(window ?? 0)}${missing ? `, ${chance(missing.p)}` : ""}`);
  }
  return found.join("; ");
}

export function isDrifted(feature, named) {
  return named.includes(feature.name) || Object.values(feature.aspects).some(({ drifted }) => drifted);
}

export function smallest(feature) {
  return Math.min(1, ...Object.values(feature.aspects).map(({ p }) => p));
}

export function picture(feature, named) {
  const drifted = isDrifted(feature, named);
  const unit = feature.unit ? ` (${feature.unit})` : "";
  const heading = make("strong", `${feature.name}${unit}`), said = make("div", text(feature), { class: "note" });
  const figure = make("figure", make("figcaption", [heading, drifted ? " drifted" : "", said]),
    { class: drifted ? "drifted" : "" });
  if (!feature.counts) return figure;
  const found = bins(feature.counts), sums = [1, 2].map((side) => found.reduce((sum, each) => sum + each[side], 0) || 1);
  const shares = found.map(([name, before, after]) => [name, before / sums[0], after / sums[1]]);
  const high = Math.max(0.01, ...shares.flatMap(([, before, after]) => [before, after]));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${feature.name}, training rows and window: ${shares.map(([name, before, after]) =>
    `${name} ${percent(before)}, ${percent(after)}`).join("; ")}`);
  const step = (RIGHT - LEFT) / shares.length, y = (share) => BOTTOM - (BOTTOM - TOP) * share / high;
  for (const share of [0, high]) {
    add(svg, "line", { x1: LEFT, x2: RIGHT, y1: y(share), y2: y(share) });
    add(svg, "text", { x: LEFT - 4, y: y(share) + 4, "text-anchor": "end" }, percent(share));
  }
  shares.forEach(([name, before, after], at) => {
    const x = LEFT + at * step, title = `${name}: ${percent(before)}, now ${percent(after)}`;
    for (const [kind, share, inset] of [["reference", before, 0.06], ["own", after, 0.16]]) {
      const bar = add(svg, "rect", { x: x + step * inset, width: step * (1 - 2 * inset), y: y(share),
        height: BOTTOM - y(share), class: kind });
      add(bar, "title", {}, title);
    }
  });
  labels(feature.counts, found).forEach(([at, name]) =>
    add(svg, "text", { x: LEFT + at * step, y: BOTTOM + 16, "text-anchor": "middle" }, name));
  figure.append(svg);
  return figure;
}

// Positions in bins, and what is written there.
function labels({ edges }, found) {
  if (edges) {
    const places = edges.length > 2 ? [0, edges.length >> 1, edges.length - 1] : edges.length ? [0] : [];
    return places.map((place) => [place + 1, short(edges[place])]);
  }
  const longest = Math.max(4, Math.floor(44 / found.length));
  return found.length > 8 ? [] : found.map(([name], at) =>
    [at + 0.5, String(name).length > longest ? `${String(name).slice(0, longest - 1)}…` : String(name)]);
}
