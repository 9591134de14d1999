// Draws a dot for each version: number across, accuracy on the hold-out up.

import { shape as add } from "./dom.js";

const LEFT = 52, RIGHT = 628, TOP = 14, BOTTOM = 226;
const SHOWN = 30;

export function draw(svg, versions, production) {
  const dots = versions.filter(({ metrics }) => metrics.holdout_accuracy >= 0 && metrics.holdout_accuracy <= 1)
    .filter((version, index) => index < SHOWN || version.version === production).reverse();
  svg.replaceChildren();
  const accuracies = dots.map((version) => version.metrics.holdout_accuracy);
  const lowest = Math.floor(Math.min(0.95, ...accuracies) * 20) / 20;
  const y = (accuracy) => BOTTOM - (BOTTOM - TOP) * (accuracy - lowest) / (1 - lowest);
  const x = (index) => LEFT + (RIGHT - LEFT) * (index + 0.5) / Math.max(1, dots.length);
  for (let step = 0; step <= 4; step += 1) {
    const accuracy = lowest + (1 - lowest) * step / 4;
    add(svg, "line", { x1: LEFT, x2: RIGHT, y1: y(accuracy), y2: y(accuracy) });
    add(svg, "text", { x: LEFT - 6, y: y(accuracy) + 4, "text-anchor": "end" }, accuracy.toFixed(3));
  }
  const every = Math.ceil(dots.length / 15);
  dots.forEach((version, index) => {
    const kind = version.version === production ? "production" : "";
    const dot = add(svg, "circle", { cx: x(index), cy: y(accuracies[index]), r: 6, class: kind });
    add(dot, "title", {}, `version ${version.version}: ${accuracies[index].toFixed(4)}`);
    if (index % every === 0) {
      add(svg, "text", { x: x(index), y: BOTTOM + 20, "text-anchor": "middle" }, version.version);
    }
  });
  const spoken = dots.map((version, index) => `version ${version.version} ${accuracies[index].toFixed(4)}`);
  svg.setAttribute("aria-label", `Accuracy on the hold-out: ${spoken.join(", ") || "no versions"}`);
}
