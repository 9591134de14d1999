// Shows the prediction log: sums over time, one prediction by its id, and the latest.

import { bars, mark } from "./bars.js";
import { $, busy, make, offerContracts, request, table, tell, time } from "./dom.js";
import { follow } from "./theme.js";

const number = (value) => make("td", value, { class: "number" });
const percent = (part, whole) => whole ? `${(100 * part / whole).toFixed(1)} %` : "";
const total = (sums, name = "rows") => sums.reduce((sum, each) => sum + each[name], 0);

function grouped(sums, name) {
  const groups = new Map();
  for (const each of sums) groups.set(name(each), [...groups.get(name(each)) ?? [], each]);
  return groups;
}

function offer(id, first, values) {
  const chosen = $(id).value;
  $(id).replaceChildren(make("option", first, { value: "" }), ...values.map((value) => make("option", value, { value })));
  $(id).value = values.includes(chosen) ? chosen : "";
}

function showSums({ model, unit, sums }) {
  const classes = [...new Set(sums.map((each) => each.class_name))].sort();
  offer("version", "all", [...new Set(sums.map((each) => each.version))].sort((a, b) => a - b));
  offer("class", "all", classes);
  const shown = sums.filter((each) => (!$("version").value || each.version === $("version").value)
    && (!$("class").value || each.class_name === $("class").value));
  const count = $("outside").checked ? "outside" : "rows", rows = total(shown, count);
  $("sum").textContent = `${rows.toLocaleString()} predictions of ${model}, by ${unit}`;
  const days = Number($("days").value);
  bars($("chart"), shown.map((each) => ({ at: each.at, kind: classes.indexOf(each.class_name), value: each[count] })),
    { hours: unit === "hour" ? 1 : 24, slots: unit === "hour" ? days * 24 + 1 : days + 1, kinds: classes });
  $("chart").setAttribute("aria-label", $("sum").textContent);
  $("legend").replaceChildren(...classes.map((name, index) => make("span", [mark(index), ` ${name}`])));
  table("sums", ["Version", "Class", "Predictions", "Share", "Outside the training range"],
    [...grouped(shown, (each) => JSON.stringify([each.version, each.class_name]))].map(([key, part]) => {
      const [version, name] = JSON.parse(key), own = total(part), outside = total(part, "outside");
      return { cells: [version, name, number(own.toLocaleString()), number(percent(own, total(shown))),
        number(outside ? `${outside.toLocaleString()} (${percent(outside, own)})` : "")] };
    }));
}

function showLatest(rows) {
  table("latest", ["When", "Prediction", "Version", "Class", "Probability", "Outside", "Answered in", "Truth"],
    rows.map((each) => {
      const button = make("button", each.id, { class: "id" });
      button.addEventListener("click", () => showOne(each.id));
      return { cells: [number(time(each.at)), button, each.version, each.class_name, number(each.probability.toFixed(3)),
        number(each.outside || ""), number(`${each.latency_ms.toFixed(2)} ms`), each.truth ?? ""] };
    }));
}

async function showOne(id) {
  $("id").value = id;
  tell("trouble", await busy("Loading …", async () => {
    const found = await request("prediction", null, { id });
    const likely = Object.entries(found.probabilities).sort(([, one], [, other]) => other - one);
    const facts = { "predicted": found.class_name,
      "probabilities": likely.map(([name, share]) => `${name} ${share.toFixed(3)}`).join(", "),
      "truth": found.truth ?? "nobody has said it", "outside the training range": `${found.outside} features`,
      "answered": `${time(found.at)}, in ${found.latency_ms.toFixed(2)} ms` };
    $("details").replaceChildren(make("h3", found.id), list(found.values), list(facts),
      ...found.lineage.map((line) => make("p", line, { class: "note" })));
  }));
}

// Features may have the name of a fact, and there may be hundreds.
function list(values) {
  return make("dl", Object.entries(values).flatMap(([name, value]) =>
    [make("dt", name), make("dd", value || "missing, or not logged")]), { class: "long" });
}

async function load() {
  tell("trouble", await busy("Loading …", async () => {
    const found = await request("predictions", null, { days: $("days").value, version: $("version").value,
      class_name: $("class").value, outside: $("outside").checked });
    showSums(found);
    showLatest(found.latest);
  }));
}

$("refresh").addEventListener("click", load);
$("filter").addEventListener("change", load);
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  showOne($("id").value);
});
follow();
offerContracts();
load();
