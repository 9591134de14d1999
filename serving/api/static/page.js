// The page: asks /model once in a while, and /predict whenever a slider moves.

import { drawLegend, drawScatter } from "./scatter.js";

const REFRESH_MS = 5000;
const BEYOND = 0.15; // how far the sliders go beyond the range seen in training, as a share of it

const $ = (id) => document.getElementById(id);
const state = { model: null, points: null, values: {}, asked: 0, asking: false, troubles: {} };

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

const label = (name) => name.replace(/_(mm|g)$/, "").replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const step = (feature) => (feature.unit === "g" ? 25 : 0.1);

async function ask(path, options = {}) {
  const key = sessionStorage.getItem("key");
  const headers = { ...options.headers, ...(key && { "X-API-Key": key }) };
  const response = await fetch(path, { ...options, headers });
  const body = await response.json();
  $("key").hidden = response.status !== 401;
  if (response.ok) return body;
  const detail = Array.isArray(body.detail) ? body.detail.map((each) => each.msg).join("; ") : body.detail;
  throw new Error(detail ?? `the service answered ${response.status}`);
}

function complain(about, found) {
  state.troubles[about] = found;
  const error = state.troubles.model ?? state.troubles.answer;
  $("trouble").hidden = !error;
  $("trouble").textContent = error ? `No answer: ${error.message}` : "";
}

async function refresh() {
  try {
    const status = await ask("model");
    if (!status.model) throw new Error(status.reason);
    complain("model", null);
    const changed = state.model?.version !== status.model.version || state.model?.run_id !== status.model.run_id;
    showModel(status);
    if (changed) await takeOver(status.model);
  } catch (error) {
    complain("model", error);
  }
}

function showModel(status) {
  const { model, refused } = status;
  const accuracy = model.metrics.holdout_accuracy;
  const judged = accuracy === undefined ? "" : `, ${percent(accuracy)} right on the hold-out`;
  $("model").textContent = `${status.registered_model} version ${model.version} (${model.engine})${judged}`;
  const since = new Date(model.loaded_at).toLocaleString();
  const other = refused ? ` Version ${refused.version} was refused: ${refused.message}.` : "";
  $("served").textContent = `Version ${model.version} answers since ${since}.${other}`;
}

async function takeOver(model) {
  const first = !state.model;
  const points = await ask("model/points");
  Object.assign(state, { model, points });
  if (first) {
    for (const feature of model.features) state.values[feature.name] = middle(feature);
    fillAxes(model.features);
  }
  buildSliders(model.features);
  buildPresets();
  drawLegend($("legend"), model.species);
  await predict();
}

const middle = ({ min, max, unit }) => Number(((min + max) / 2).toFixed(unit === "g" ? 0 : 1));

function buildSliders(features) {
  $("sliders").replaceChildren(...features.map(slider));
}

function slider(feature) {
  const { name, unit, min, max } = feature;
  const size = step(feature);
  const low = Math.max(size, Math.floor((min - BEYOND * (max - min)) / size) * size);
  const high = Math.ceil((max + BEYOND * (max - min)) / size) * size;
  const range = { min: low.toFixed(1), max: high.toFixed(1), step: size };
  const made = element("div", { class: "slider" });
  const row = element("div");
  const number = element("input", { type: "number", min: size, step: "any", id: `${name}-number` });
  number.setAttribute("aria-label", `${label(name)} in ${unit}, as a number`);
  const track = element("input", { type: "range", id: name, ...range, "aria-describedby": `${name}-range` });
  row.append(element("label", { for: name }, `${label(name)}, ${unit}`), number);
  const seen = `In training ${min.toFixed(unit === "g" ? 0 : 1)} to ${max.toFixed(unit === "g" ? 0 : 1)} ${unit}`;
  made.append(row, track, element("small", { id: `${name}-range` }, seen));
  number.value = track.value = state.values[name];
  track.addEventListener("input", () => change(name, track.value, number));
  number.addEventListener("input", () => change(name, number.value, track));
  return made;
}

function change(name, text, other) {
  state.values[name] = text === "" ? null : Number(text);
  other.value = text;
  predict();
}

function buildPresets() {
  const { inputs, labels, species, features } = state.points;
  const buttons = species.flatMap((name, index) => {
    const rows = inputs.filter((_, row) => labels[row] === index);
    if (!rows.length) return [];
    const button = element("button", { type: "button" }, name);
    let next = 0;
    button.addEventListener("click", () => {
      const row = rows[next++ % rows.length];
      features.forEach((feature, column) => { state.values[feature] = Number(row[column].toFixed(1)); });
      buildSliders(state.model.features);
      predict();
    });
    return [button];
  });
  $("presets").replaceChildren(...buttons);
}

function fillAxes(features) {
  for (const [id, chosen] of [["x", "flipper_length_mm"], ["y", "bill_length_mm"]]) {
    const options = features.map(({ name, unit }) => element("option", { value: name }, `${label(name)}, ${unit}`));
    $(id).replaceChildren(...options);
    $(id).value = chosen;
    $(id).addEventListener("change", draw);
  }
}

// One question at a time: while a slider moves, only its latest place is asked for.
async function predict() {
  draw();
  state.asked += 1;
  if (state.asking) return;
  state.asking = true;
  try {
    let answered = 0;
    while (answered !== state.asked) {
      answered = state.asked;
      const body = JSON.stringify(state.values);
      showAnswer(await ask("predict", { method: "POST", headers: { "Content-Type": "application/json" }, body }));
    }
    complain("answer", null);
  } catch (error) {
    complain("answer", error);
    $("answer").textContent = "–";
    $("bars").replaceChildren();
  } finally {
    state.asking = false;
  }
}

function showAnswer({ species: [winner], probabilities: [shares], warnings, model_version }) {
  $("answer").textContent = `${winner}, ${percent(shares[winner])}`;
  $("answer").className = `species-${Object.keys(shares).indexOf(winner)}`;
  const bars = Object.entries(shares).map(([name, share], index) => {
    const bar = element("li");
    const progress = element("progress", { max: 1, value: share, class: `species-${index}`, "aria-label": name });
    bar.append(element("span", {}, name), progress, element("span", {}, percent(share)));
    return bar;
  });
  $("bars").replaceChildren(...bars);
  $("warnings").replaceChildren(...warnings.map((text) => element("li", {}, text)));
  $("warnings").hidden = !warnings.length;
  if (model_version !== state.model.version) refresh();
}

function draw() {
  if (!state.points) return;
  $("scatter-text").textContent = drawScatter($("scatter"), state, $("x").value, $("y").value, label);
}

$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", $("key-value").value);
  refresh();
});
await refresh();
setInterval(refresh, REFRESH_MS);
