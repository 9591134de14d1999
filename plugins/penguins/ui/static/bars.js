// Draws stacked bars over time.

import { SVG, shape as add } from "./dom.js";

const LEFT = 70, RIGHT = 950, TOP = 12, BOTTOM = 210;
const HOUR = 3_600_000;

export const colour = (index) => `hsl(${(205 + index * 137.5) % 360} 62% 52%)`;

export function mark(index) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "mark");
  add(svg, "rect", { width: 12, height: 12, fill: colour(index) });
  return svg;
}

// Parts: {at, kind, value}, kind being a place in kinds. The last of the slots, each of some hours, is the one of now.
export function bars(svg, parts, { hours, slots, kinds }) {
  const length = hours * HOUR, last = Math.floor(Date.now() / length);
  const stacks = Array.from({ length: slots }, () => new Map());
  for (const { at, kind, value } of parts) {
    const stack = stacks[slots - 1 - (last - Math.floor(new Date(at) / length))];
    if (stack) stack.set(kind, (stack.get(kind) ?? 0) + value);
  }
  const highest = Math.max(1, ...stacks.map((stack) => [...stack.values()].reduce((sum, value) => sum + value, 0)));
  const width = (RIGHT - LEFT) / slots, y = (value) => BOTTOM - (BOTTOM - TOP) * value / highest;
  svg.replaceChildren();
  for (const value of [0, highest / 2, highest]) {
    add(svg, "line", { x1: LEFT, x2: RIGHT, y1: y(value), y2: y(value) });
    add(svg, "text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, Math.round(value).toLocaleString());
  }
  const every = Math.ceil(slots / 8);
  stacks.forEach((stack, slot) => {
    const when = new Date((last - (slots - 1 - slot)) * length), x = LEFT + slot * width;
    const name = hours < 24 ? when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
      : when.toLocaleDateString([], { timeZone: "UTC", month: "short", day: "numeric" });
    let below = 0;
    for (const [kind, value] of [...stack].sort(([a], [b]) => a - b)) {
      const bar = add(svg, "rect", { x: x + width * 0.1, width: width * 0.8, y: y(below + value),
        height: y(below) - y(below + value), fill: colour(kind) });
      add(bar, "title", {}, `${name}, ${kinds[kind]}: ${value.toLocaleString()}`);
      below += value;
    }
    if (slot % every === 0) add(svg, "text", { x: x + width / 2, y: BOTTOM + 18, "text-anchor": "middle" }, name);
  });
}
