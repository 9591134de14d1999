// Draws a row of cells over time for each name: high where windows drifted, low where they were judged and didn't.

import { shape as add } from "./dom.js";
import { axis, ticks } from "./series.js";

const ROW = 24, NAMES = 180, WIDTH = 1280;

// Rows: {name, cells: [{at, judged, drifted}]}.
export function strip(svg, shown, rows, spoken) {
  const time = axis(shown, WIDTH - NAMES), height = rows.length * ROW + 26;
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  svg.replaceChildren();
  rows.forEach(({ name, cells }, row) => {
    const bottom = (row + 1) * ROW - 3;
    const text = add(svg, "text", { x: NAMES + 50, y: bottom - 5, "text-anchor": "end" },
      name.length > 30 ? `${name.slice(0, 29)}…` : name);
    add(text, "title", {}, name);
    add(svg, "line", { x1: NAMES + 62, x2: WIDTH - 10, y1: bottom, y2: bottom });
    for (const { at, judged, drifted } of cells) {
      const slot = time.slot(at), tall = drifted ? ROW - 5 : 5;
      if (slot < 0 || slot >= time.buckets || !judged) continue;
      const cell = add(svg, "rect", { x: NAMES + time.x(slot) + time.step * 0.08, width: time.step * 0.84,
        y: bottom - tall, height: tall, class: drifted ? "drifted" : "judged" });
      add(cell, "title", {}, `${time.name(slot)}, ${name}: ${drifted} of ${judged} windows drifted`);
    }
  });
  const moved = add(svg, "g", { transform: `translate(${NAMES} 0)` });
  ticks(moved, time, height - 6);
  svg.setAttribute("aria-label", spoken);
}
