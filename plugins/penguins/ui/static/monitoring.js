// Shows whether the model in Production can still be trusted: its traffic, accuracy, drift, shadow and alarms.

import { mark } from "./bars.js";
import { isDrifted, picture, smallest } from "./compare.js";
import { $, busy, link, make, offerContracts, request, table, tell, time } from "./dom.js";
import { axis, lines, percent, stack } from "./series.js";
import { strip } from "./strip.js";
import { follow } from "./theme.js";

const PICTURES = 12, ROWS = 12;
const number = (value) => make("td", value, { class: "number" });
const text = (value) => make("td", value, { class: "text" });
const count = (value) => value.toLocaleString();
const interval = (share) => share ? `${percent(share.value)} (${percent(share.low)} to ${percent(share.high)})` : "";
const mean = (shares) => shares.reduce((sum, share) => sum + share, 0) / (shares.length || 1);
const total = (each) => Object.values(each.classes).reduce((sum, rows) => sum + rows, 0);
let shown = null, details = null;

function showTraffic() {
  const time = axis(shown, 640), { traffic } = shown;
  const classes = [...new Set(traffic.flatMap((each) => Object.keys(each.classes)))].sort();
  const parts = (share) => traffic.flatMap((each) => Object.entries(each.classes).map(([name, rows]) =>
    ({ at: each.at, name, kind: classes.indexOf(name), value: share ? rows / total(each) : rows })));
  const rows = traffic.reduce((sum, each) => sum + total(each), 0);
  stack($("traffic"), time, parts(false), { format: (value) => count(Math.round(value)), spoken: `${count(rows)} predictions` });
  const sums = classes.map((name) => traffic.reduce((sum, each) => sum + (each.classes[name] ?? 0), 0));
  stack($("mix"), time, parts(true), { high: 1, format: percent,
    spoken: classes.map((name, at) => `${name} ${percent(sums[at] / rows)}`).join(", ") });
  $("classes").replaceChildren(...classes.map((name, at) => make("span", [mark(at), ` ${name} ${percent(sums[at] / rows)}`])));
  const shares = (name, of) => ({ name, kind: 0, points: traffic.map((each) => ({ at: each.at, value: of(each) }))
    .filter(({ value }) => value !== null) });
  for (const each of [shares("outside", (one) => one.outside / total(one)), shares("missing", (one) => one.missing)]) {
    const values = each.points.map(({ value }) => value);
    lines($(each.name), time, [each], { spoken: `${percent(mean(values))} on average, ${percent(Math.max(0, ...values))} at most` });
  }
}

function showAccuracy() {
  const versions = [...new Set(shown.judged.map(({ version }) => version))].sort((a, b) => a - b);
  const series = versions.flatMap((version, kind) => [["by the truth", "live"], ["estimated", "estimate"]].map(([name, key]) => ({
    name: `version ${version} ${name}`, kind, guess: key === "estimate",
    points: shown.judged.filter((each) => each.version === version && each[key])
      .map((each) => ({ at: each.at, ...each[key] })),
  })));
  const sure = series.flatMap(({ points }) => points).filter(({ low, high }) => high - low < 0.3); // few rows say little
  const lowest = Math.min(0.9, shown.floor ?? 1, ...sure.map(({ low }) => low));
  lines($("accuracy"), axis(shown, 1280), series, { low: Math.floor(lowest * 10) / 10, high: 1, floor: shown.floor,
    spoken: "Accuracy over time; the table below has it by version" });
  $("versions").replaceChildren(...versions.map((version, kind) => make("span", [mark(kind), ` version ${version}`])),
    "● by the truth, ○ estimated without it, | the 95 % interval", shown.floor ? `, - - the floor of ${percent(shown.floor)}` : "");
  table("by-version", ["Version", "Rows", "Windows", "Judged", "Drifted", "Rows with a known class", "Right", "Estimated"],
    versions.map((version) => ({ kind: version === shown.trust.version ? "production" : "", cells: versionCells(version) })));
}

function versionCells(version) {
  const own = shown.judged.filter((each) => each.version === version);
  const sum = (name) => own.reduce((all, each) => all + (each[name] ?? 0), 0), labelled = sum("labelled");
  const right = own.reduce((all, each) => all + (each.live?.value ?? 0) * each.labelled, 0);
  const guessed = own.filter((each) => each.estimate), rows = guessed.reduce((all, each) => all + each.rows, 0);
  const estimate = guessed.reduce((all, each) => all + each.estimate.value * each.rows, 0) / rows;
  return [version === shown.trust.version ? `${version} Production` : version,
    ...[sum("rows"), sum("windows"), sum("judged"), sum("drifted"), labelled].map((value) => number(count(value))),
    number(labelled ? percent(right / labelled) : ""), number(rows ? percent(estimate) : "")];
}

function showDrift() {
  const cells = new Map();
  for (const { at, judged, drifted } of shown.judged) {
    const known = cells.get(at) ?? { at, judged: 0, drifted: 0 };
    cells.set(at, { at, judged: known.judged + judged, drifted: known.drifted + drifted });
  }
  const names = new Map();
  for (const { name, at, windows } of shown.drifts) names.set(name, [...names.get(name) ?? [], { at, windows }]);
  const sorted = [...names].map(([name, found]) => ({ name, sum: found.reduce((sum, { windows }) => sum + windows, 0),
    cells: [...cells.values()].map((cell) => ({ ...cell,
      drifted: found.filter(({ at }) => at === cell.at).reduce((sum, { windows }) => sum + windows, 0) })) }))
    .sort((a, b) => b.sum - a.sum);
  const spoken = sorted.map(({ name, sum }) => `${name} in ${sum} windows`).join(", ") || "no window drifted";
  strip($("drift"), shown, [{ name: "all rows", cells: [...cells.values()] }, ...sorted.slice(0, ROWS)], `Drift: ${spoken}`);
}

const key = ({ start, end, version }) => JSON.stringify([start, end, version]);

function offerWindows() {
  const chosen = $("window").value, { windows } = shown;
  $("window").replaceChildren(...windows.map((each) => make("option",
    `${time(each.start)}, version ${each.version}, ${count(each.rows)} rows: ${each.verdict}`, { value: key(each) })));
  const ours = windows.filter(({ version }) => version === shown.trust.version);
  const first = ours.find(({ verdict }) => ["stable", "drifted"].includes(verdict)) ?? ours[0] ?? windows[0];
  $("window").value = windows.some((each) => key(each) === chosen) ? chosen : first ? key(first) : "";
}

async function showWindow() {
  if (!$("window").value) {
    $("said").textContent = "No window with predictions was judged in this time.";
    $("features").replaceChildren();
    $("all").hidden = true;
    return;
  }
  const [start, end, version] = JSON.parse($("window").value);
  details = await request("monitoring/window", null, { start, end, version });
  const { estimate, live, numbers } = details, domain = numbers.domain;
  const lines = [
    `${count(details.rows)} rows of version ${version}: ${details.verdict}${
      details.drifted.length ? ` (${details.drifted.join(", ")})` : ""}.`,
    domain?.drifted ? `A classifier tells them from the training rows with an AUC of ${domain.auc.toFixed(2)}.` : "",
    details.verdict === "too few" && numbers.detectable
      ? `A shift of ${numbers.detectable.toFixed(1)} standard deviations could have been seen.` : "",
    estimate.accuracy ? `Estimated accuracy: ${interval(estimate.accuracy)}.`
      : estimate.refusal ? `No estimate of the accuracy: ${estimate.refusal}.` : "",
    live.labelled ? `By the truth of ${count(live.labelled)} rows: ${interval(live.accuracy)}.` : "No true class is known.",
  ];
  $("said").textContent = lines.filter(Boolean).join(" ");
  showPictures(PICTURES);
}

function showPictures(most) {
  const { drifted, numbers } = details;
  const features = [...numbers.features ?? []].sort((a, b) =>
    isDrifted(b, drifted) - isDrifted(a, drifted) || smallest(a) - smallest(b));
  $("features").replaceChildren(...features.slice(0, most).map((each) => picture(each, drifted)));
  $("all").hidden = features.length <= most;
  $("all").textContent = `Show all ${features.length} features`;
}

function showShadow() {
  const { shadow } = shown;
  $("shadow").hidden = !shadow;
  if (!shadow) return;
  const { version, champion, now, since, required, numbers, reason } = shadow;
  $("shadow-title").textContent = `Version ${version} in the shadow of version ${champion}${now ? "" : ", until it was judged"}`;
  $("shadow-said").textContent = `Since ${time(since)}${required ? `; ${count(required)} predictions are required` : ""}. ${
    shadow.looked_at ? `${time(shadow.looked_at)}, ${shadow.outcome}: ` : ""}${reason}`;
  if (!numbers.answers) return $("shadow-table").replaceChildren();
  const names = [...new Set(Object.entries(numbers.answers).flatMap(([name, row]) => [name, ...Object.keys(row)]))].sort();
  const sum = (values) => values.reduce((all, value) => all + value, 0);
  const theirs = (name) => sum(Object.values(numbers.answers[name] ?? {}));
  const ours = (name) => sum(Object.values(numbers.answers).map((row) => row[name] ?? 0));
  const known = numbers.labelled ? [[`right, of ${count(numbers.labelled)} whose class is known`, numbers.champion_right,
    numbers.right], ["right where the other is wrong", numbers.lost, numbers.gained]] : [];
  const rows = [...names.map((name) => [`answered ${name}`, theirs(name), ours(name)]), ...known,
    ["the same class", "", numbers.agreed], ["rows", "", numbers.rows]];
  table("shadow-table", ["Real traffic", `Version ${champion}`, `Version ${version}`], rows.map(([name, ...both]) =>
    ({ cells: [name, ...both.map((value) => number(value === "" ? "" : count(value)))] })));
}

function showAlarms() {
  const { alarms, links } = shown;
  $("none").hidden = alarms.length > 0;
  const version = (number) => link(`version ${number}`, links.versions + number);
  const after = ({ run_id: run, outcome, made, asked }) => {
    const trained = run ? [link(run, new URL(links.runs + encodeURIComponent(run), location.href).href), made ? " made " : "",
      made ? version(made) : "", outcome ? ": " : " is under way"] : [];
    return text([...trained, outcome ?? (run ? "" : asked ? "a training was asked for" : "")]);
  };
  table("alarms", ["Alarm", "Raised", "Kind", "About", "Why", "What became of it"], alarms.map((each) => ({
    cells: [number(each.id), number(time(each.at)), each.kind, version(each.version), text(each.reason), after(each)],
  })));
}

async function load() {
  tell("trouble", await busy("Loading …", async () => {
    shown = await request("monitoring", null, { hours: $("hours").value });
    $("model").textContent = shown.trust.version ? `${shown.model} version ${shown.trust.version}` : shown.model;
    $("sentence").textContent = shown.trust.sentence;
    $("sentence").className = shown.trust.level;
    document.querySelector("main").hidden = false;
    showTraffic();
    showAccuracy();
    showDrift();
    showShadow();
    showAlarms();
    offerWindows();
    await showWindow();
  }));
}

$("refresh").addEventListener("click", load);
$("hours").addEventListener("change", load);
$("window").addEventListener("change", async () => tell("trouble", await busy("Loading …", showWindow)));
$("all").addEventListener("click", () => showPictures(Infinity));
follow();
offerContracts();
load();
