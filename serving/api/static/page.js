// The page: asks for the model once in a while, and for a prediction whenever a value changes.

import { showAnswer, showNoAnswer } from "./answer.js";
import { $, element, isNumeric, label, percent, withUnit } from "./dom.js";
import { control, decoded, isPossible, startValue } from "./fields.js";
import { drawLegend, drawScatter, mostTelling } from "./scatter.js";

const REFRESH_MS = 5000;

const state = { name: null, byHand: false, model: null, points: null, values: {}, asked: 0, asking: false, troubles: {} };

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

// Where the chosen model is asked: the first one has paths of its own.
const path = (part) => (state.name === null ? part : `models/${encodeURIComponent(state.name)}/${part}`);

function complain(about, found) {
  state.troubles[about] = found;
  const error = state.troubles.model ?? state.troubles.answer;
  $("trouble").hidden = !error;
  $("trouble").textContent = error ? `No answer: ${error.message}` : "";
}

async function refresh() {
  try {
    await refreshModels();
    const asked = state.name;
    const status = await ask(asked === null ? "model" : `models/${encodeURIComponent(asked)}`);
    if (asked !== state.name) return;
    if (!status.model) throw new Error(status.reason);
    complain("model", null);
    const changed = state.model?.version !== status.model.version || state.model?.run_id !== status.model.run_id;
    showModel(status);
    if (changed) await takeOver(status.model);
  } catch (error) {
    complain("model", error);
  }
}

async function refreshModels() {
  const { models } = await ask("models");
  showChoice(models.map(({ name }) => name));
  const serving = models.find(({ version }) => version !== null);
  if (state.model || state.name !== null || state.byHand || !serving || serving === models[0]) return;
  choose(serving.name); // at first, rather than one that has no answer
  $("name").value = serving.name;
}

function showChoice(names) {
  const shown = [...document.querySelectorAll("#name option")].map(({ value }) => value);
  if (shown.join("\n") === (names.length > 1 ? names.join("\n") : "")) return;
  if (!names.includes(state.name)) choose(null);
  const select = element("select", { id: "name" });
  select.append(...names.map((name) => element("option", { value: name }, name)));
  select.value = state.name ?? names[0];
  select.addEventListener("change", () => {
    state.byHand = true;
    choose(select.selectedIndex ? select.value : null);
    showNoAnswer();
    refresh();
  });
  $("choice").replaceChildren(...(names.length > 1 ? [element("label", { for: "name" }, "Model "), select] : []));
}

function choose(name) {
  Object.assign(state, { name, model: null, points: null, values: {} });
}

function showModel(status) {
  const { model, refused } = status;
  const accuracy = model.metrics.holdout_accuracy;
  const judged = accuracy === undefined ? "" : `, ${percent(accuracy)} right on the hold-out`;
  $("model").textContent = `${status.registered_model} version ${model.version} (${model.engine})${judged}`;
  const since = new Date(model.loaded_at).toLocaleString();
  const other = refused ? ` Version ${refused.version} was refused: ${refused.message}.` : "";
  $("served").textContent = `Version ${model.version} answers since ${since}.${other}`;
  $("log").hidden = !status.log;
  $("log").textContent = status.log ? logText(status.log) : "";
}

function logText({ recorded, shipped, dropped, lost, spool_bytes: bytes, lag_seconds: lag }) {
  const number = (value) => value.toLocaleString("en");
  const full = Object.entries(dropped).filter(([, rows]) => rows);
  const missing = [...full.map(([reason, rows]) => `${number(rows)} (${reason} full)`), ...(lost ? [`${number(lost)} (killed)`] : [])];
  const waiting = bytes ? ` ${number(Math.ceil(bytes / 1000))} kB wait, for ${Math.round(lag)} s.` : "";
  const notLogged = missing.length ? ` Not logged: ${missing.join(", ")}.` : "";
  return `${number(recorded)} predictions to log, ${number(shipped)} shipped.${waiting}${notLogged}`;
}

async function takeOver(model) {
  const points = await ask(state.name === null ? "model/points" : path("points"));
  Object.assign(state, { model, points, values: kept(model.features) });
  const { row_name: row, answer_key: key } = model;
  $("question").textContent = `Which ${row === "row" ? key : row} is it?`;
  $("take").textContent = `Take a ${row} of known ${key}:`;
  fillAxes(model.features.filter(isNumeric));
  buildControls();
  buildPresets();
  drawLegend($("legend"), model.classes);
  await predict();
}

function kept(features) {
  const value = (feature) => state.values[feature.name];
  const usable = (feature) => feature.name in state.values && isPossible(feature, value(feature));
  return Object.fromEntries(features.map((each) => [each.name, usable(each) ? value(each) : startValue(each)]));
}

function buildControls() {
  const controls = state.model.features.map((feature, index) =>
    control(feature, index, state.values[feature.name], (value) => {
      state.values[feature.name] = value;
      predict();
    }),
  );
  $("sliders").replaceChildren(...controls);
}

function buildPresets() {
  const { inputs, labels, classes } = state.points;
  const buttons = classes.flatMap((name, index) => {
    const rows = inputs.filter((_, row) => labels[row] === index);
    if (!rows.length) return [];
    const button = element("button", { type: "button" }, name);
    let next = 0;
    button.addEventListener("click", () => {
      const row = rows[next++ % rows.length];
      state.model.features.forEach((feature, column) => { state.values[feature.name] = decoded(feature, row[column]); });
      buildControls();
      predict();
    });
    return [button];
  });
  $("presets").replaceChildren(...buttons);
  $("take").hidden = !buttons.length;
}

function fillAxes(features) {
  $("plot").hidden = !features.length;
  const [up, across = up] = mostTelling(features, state.points);
  for (const [id, chosen] of [["x", across], ["y", up]]) {
    const before = $(id).value;
    const options = features.map((each) => element("option", { value: each.name }, withUnit(label(each), each)));
    $(id).replaceChildren(...options);
    $(id).value = features.some(({ name }) => name === before) ? before : chosen?.name;
  }
}

// One question at a time: while a slider moves, only its latest place is asked for.
async function predict() {
  draw();
  state.asked += 1;
  if (state.asking) return;
  state.asking = true;
  for (let answered = 0; state.model && answered !== state.asked;) {
    answered = state.asked;
    try {
      await predictOnce(state.model);
      complain("answer", null);
    } catch (error) {
      complain("answer", error);
      showNoAnswer();
    }
  }
  state.asking = false;
}

async function predictOnce(model) {
  const body = JSON.stringify(state.values);
  const answer = await ask(path("predict"), { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (state.model !== model) return;
  if (answer.model_version !== model.version) refresh();
  const winner = model.classes[answer.prediction[0]];
  if (winner !== undefined) showAnswer(model.classes, winner, answer.probabilities[0], answer.warnings);
}

function draw() {
  if (!state.points || $("plot").hidden) return;
  $("scatter-text").textContent = drawScatter($("scatter"), state, $("x").value, $("y").value);
}

for (const id of ["x", "y"]) $(id).addEventListener("change", draw);
$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", $("key-value").value);
  refresh();
});
await refresh();
setInterval(refresh, REFRESH_MS);
