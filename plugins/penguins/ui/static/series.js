// Draws values over time: stacked bars, and lines with their intervals.

import { colour } from "./bars.js";
import { shape as add } from "./dom.js";

const TOP = 10, LEFT = 62, BELOW = 26;

export const percent = (value) => `${(100 * value).toFixed(value > 0 && value < 0.0995 ? 1 : 0)} %`;

// Where the buckets of time are in a chart of some width.
export function axis({ since, seconds, buckets }, width) {
  const start = new Date(since).getTime(), length = seconds * 1000, step = (width - LEFT - 10) / buckets;
  const clock = { hour: "2-digit", minute: "2-digit" }, day = { month: "short", day: "numeric" };
  const format = seconds >= 86_400 ? { ...day, timeZone: "UTC" } : buckets * seconds <= 90_000 ? clock : day;
  return {
    buckets, step, width,
    slot: (at) => Math.floor((new Date(at) - start) / length),
    x: (slot) => LEFT + slot * step,
    label: (slot) => new Date(start + slot * length).toLocaleString([], format),
    name: (slot) => new Date(start + slot * length).toLocaleString([], { ...day, ...clock }),
  };
}

// Colours are set by the element's style: the pages' rules for shapes have precedence over attributes.

function frame(svg, time, low, high, format) {
  const height = svg.viewBox.baseVal.height, bottom = height - BELOW;
  const y = (value) => bottom - (bottom - TOP) * (value - low) / (high - low || 1);
  svg.replaceChildren();
  for (const value of [low, (low + high) / 2, high]) {
    add(svg, "line", { x1: LEFT, x2: time.width - 10, y1: y(value), y2: y(value) });
    add(svg, "text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, format(value));
  }
  ticks(svg, time, bottom + 18);
  return y;
}

export function ticks(svg, time, y) {
  const every = Math.ceil(time.buckets / (time.width / 90));
  for (let slot = 0; slot < time.buckets && time.x(slot) < time.width - 40; slot += every) {
    add(svg, "text", { x: time.x(slot) + time.step / 2, y, "text-anchor": "middle" }, time.label(slot));
  }
}

// Parts: {at, name, kind, value}; kinds are numbers from 0.
export function stack(svg, time, parts, { high, format, spoken }) {
  const stacks = Array.from({ length: time.buckets }, () => new Map());
  for (const part of parts) stacks[time.slot(part.at)]?.set(part.kind, part);
  const sums = stacks.map((each) => [...each.values()].reduce((sum, { value }) => sum + value, 0));
  const y = frame(svg, time, 0, high ?? Math.max(1, ...sums), format);
  stacks.forEach((each, slot) => {
    let below = 0;
    for (const { name, kind, value } of [...each.values()].sort((a, b) => a.kind - b.kind)) {
      const bar = add(svg, "rect", { x: time.x(slot) + time.step * 0.08, width: time.step * 0.84, y: y(below + value),
        height: y(below) - y(below + value), fill: colour(kind) });
      add(bar, "title", {}, `${time.name(slot)}, ${name}: ${format(value)}`);
      below += value;
    }
  });
  svg.setAttribute("aria-label", spoken);
}

// Series: {kind, guess, points: [{at, value, low, high}]}. A guess is drawn hollow and without a line.
export function lines(svg, time, series, { low = 0, high, floor, spoken }) {
  const values = series.flatMap(({ points }) => points.map((point) => point.high ?? point.value));
  const y = frame(svg, time, low, high ?? Math.max(0.01, ...values), percent);
  if (floor !== undefined && floor !== null) {
    const line = add(svg, "line", { x1: LEFT, x2: time.width - 10, y1: y(floor), y2: y(floor), class: "floor" });
    add(line, "title", {}, `the contract's floor: ${percent(floor)}`);
  }
  for (const { name, kind, guess, points } of series) {
    const shown = points.map((point) => ({ ...point, slot: time.slot(point.at) }))
      .filter(({ slot }) => slot >= 0 && slot < time.buckets);
    const x = ({ slot }) => time.x(slot) + time.step * (guess ? 0.62 : 0.42);
    if (!guess && shown.length > 1) {
      const path = shown.map((point, at) =>
        `${at && point.slot - shown[at - 1].slot === 1 ? "L" : "M"}${x(point)} ${y(point.value)}`).join("");
      add(svg, "path", { d: path, class: "line" }).style.stroke = colour(kind);
    }
    for (const point of shown) {
      const about = point.low === undefined ? "" : ` (${percent(point.low)} to ${percent(point.high)})`;
      if (about) {
        add(svg, "line", { x1: x(point), x2: x(point), y1: y(Math.max(low, point.low)), y2: y(point.high),
          class: time.step < 9 ? "interval thin" : "interval" }).style.stroke = colour(kind);
      }
      const dot = add(svg, "circle", { cx: x(point), cy: y(Math.max(low, point.value)), r: time.step < 9 ? 2 : 4,
        class: guess ? "guess" : "dot" });
      dot.style[guess ? "stroke" : "fill"] = colour(kind);
      add(dot, "title", {}, `${time.name(point.slot)}, ${name}: ${percent(point.value)}${about}`);
    }
  }
  svg.setAttribute("aria-label", spoken);
}
