// Shows the room on the disk, and what the stack takes of it.

import { $, make, request, table, time } from "./dom.js";

const size = (bytes) => bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;

export async function showDisk() {
  try {
    const { free, total, is_low: low, wanted_percent: wanted, measured_at: at, parts } = await request("disk");
    const warning = low ? `: less than ${wanted}%, see docs/how-to/keep-house.md` : "";
    $("room").textContent = `${size(free)} of ${size(total)} are free (${Math.round(100 * free / total)}%)${warning}.`;
    const rows = Object.entries(parts).sort(([, a], [, b]) => b - a)
      .map(([name, bytes]) => ({ cells: [name, make("td", size(bytes), { class: "number" })] }));
    table("parts", ["of the stack", "size"], rows);
    $("parts").hidden = !rows.length;
    $("measured").textContent = at ? `Measured at ${time(at)}; the DAG penguins_disk does it every hour.`
      : "What the stack takes wasn't measured yet: the DAG penguins_disk does it every hour.";
  } catch (error) {
    $("room").textContent = `The disk can't be looked at: ${error.message}`;
  }
}
