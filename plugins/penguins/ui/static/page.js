// Shows the data of api/overview, and requests promotions and rollbacks.

import { draw } from "./chart.js";
import { showDisk } from "./disk.js";
import { $, busy, contract, link, make, offerContracts, request, table, tell, time } from "./dom.js";
import { follow } from "./theme.js";

const OUTSIDE = "It was moved outside of the pipeline, as in MLflow's UI, or a promotion was interrupted: the audit trail "
  + "doesn't say why it is there.";
const chosen = `?contract=${encodeURIComponent(contract)}`;
let shown = null, target = null; // the page's data, and the version that a rollback goes back to

const number = (value) => value?.toFixed(4) ?? "";

const digits = (value) => make("td", number(value), { class: "number" });
const text = (value) => make("td", value ?? "", { class: "text" });
// Users may write descriptions of any length in MLflow.
const short = (value) => value.length > 80 ? `${value.slice(0, 79)}…` : value;

function showProduction() {
  const version = shown.versions.find((each) => each.version === shown.production);
  $("now").textContent = shown.production ? `${shown.model} version ${shown.production}` : "Nothing is in Production";
  const { decision } = shown;
  const source = version?.source;
  $("why").textContent = decision?.reason ?? (shown.production ? OUTSIDE : "");
  const facts = version ? {
    "since": decision ? time(decision.at) : "",
    "put there by": decision?.who,
    "instead of": decision?.from_version ? `version ${decision.from_version}` : "",
    "DAG run": version.tags.dag_run_id,
    "source": source && `${source.address}, ${source.rows.toLocaleString()} rows, `
      + `${source.bytes.toLocaleString()} bytes, sha256 ${source.sha256}`,
    "data": version.tags.data_digest,
    "code": version.tags.git_commit,
    "in MLflow": link(`version ${version.version}`, version.link),
  } : {};
  $("lineage").replaceChildren(...Object.entries(facts).filter(([, value]) => value)
    .flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  $("gate").replaceChildren(...gateTable(version));
}

// Loaded after the page is shown, because the service may be slow or down.
async function showService() {
  const asked = shown;
  const sentences = await request("service").catch((error) => [`What the service serves is unknown: ${error.message}`]);
  if (asked === shown) $("service").replaceChildren(...sentences.map((sentence) => make("p", sentence)));
}

// Loaded after the page is shown, because the server downloads the files of earlier versions to check them.
async function offerRollback() {
  const { production, may_change: mayChange } = shown, asked = shown;
  const tellOffer = (note, found = null) => {
    if (asked !== shown) return; // the page has loaded again meanwhile
    target = found;
    $("rollback").hidden = !target;
    $("rollback").textContent = `Roll back to version ${target}`;
    $("rollback-note").textContent = note;
  };
  tellOffer("");
  if (!mayChange) return;
  tellOffer("Checking the version to go back to …");
  try {
    const { target: found, passed_over: passedOver } = await request("rollback");
    const reasons = Object.entries(passedOver).map(([version, reason]) => `Version ${version} is passed over: ${reason}`);
    const none = found || !production ? [] : ["There is no earlier version to go back to."];
    tellOffer([...none, ...reasons].join(" "), found);
  } catch (error) {
    tellOffer(`The version to go back to can't be checked: ${error.message}`);
  }
}

function gateTable(version) {
  const numbers = version?.gate?.numbers;
  if (!numbers?.champion) return [];
  const row = (name, before, after) => make("tr", [make("th", name, { scope: "row" }), digits(before), digits(after)]);
  const head = make("tr", ["When it was judged", `version ${numbers.champion}`, `version ${version.version}`]
    .map((each) => make("th", each, { scope: "col" })));
  const recalls = Object.entries(numbers.recalls).map(([name, both]) => row(`recall ${name}`, ...both));
  return [make("table", [head, row("accuracy", numbers.champion_accuracy, numbers.accuracy), ...recalls])];
}

function picture(number) {
  const src = new URL(`confusion/${number}${chosen}`, location).href; // the page around the frame opens it, too
  const image = make("img", "", { src, alt: `Version ${number}: true against predicted ${shown.target}` });
  const inFull = link(image, src); // of many classes the small one can't be read
  image.addEventListener("error", () => inFull.replaceWith(`There is no picture of version ${number}.`));
  return make("figure", [make("figcaption", `Version ${number}`), inFull]);
}

function answerButton(version, approved) {
  const { production } = shown;
  const verb = approved ? "Promote" : "Keep the champion";
  const question = approved ? `Put version ${version.version} in Production?`
    : production ? `Keep version ${production} in Production?` : `Leave version ${version.version} out of Production?`;
  const button = make("button", verb, { "aria-label": `${verb}: version ${version.version}` });
  button.addEventListener("click", () => ask(question, verb, "Carrying out the answer …", "answer",
    { version: version.version, approved }));
  return button;
}

function showQuestions() {
  const asked = shown.versions.filter((version) => shown.questions.includes(version.version));
  $("waiting").hidden = !asked.length;
  $("questions").replaceChildren(...asked.map((version) => make("article", [
    make("h3", `Put version ${version.version} in Production, in place of ${
      shown.production ? `version ${shown.production}` : "nothing"}?`),
    make("p", `The gate says: ${version.gate?.reason ?? ""}`, { class: "text" }),
    make("div", gateTable(version), { class: "long" }),
    make("div", [shown.production, version.version].filter(Boolean).map(picture), { class: "pictures" }),
    make("p", shown.may_change ? [answerButton(version, true), " ", answerButton(version, false)] : ""),
  ])));
}

function promoteButton(version) {
  if (!shown.may_change || version.version === shown.production) return "";
  const button = make("button", "Promote", { "aria-label": `Promote version ${version.version}` });
  button.addEventListener("click", () => ask(`Put version ${version.version} in Production?`, "Promote",
    `Putting version ${version.version} in Production …`, "promote", { version: version.version }));
  return button;
}

function show() {
  showProduction();
  showQuestions();
  draw($("chart"), shown.versions, shown.production);
  table("versions", ["Version", "", "Accuracy", "Macro F1", "CV accuracy", "Model", "The gate", ""],
    shown.versions.map((each) => ({
      kind: each.version === shown.production ? "production" : "",
      cells: [each.version === shown.production ? `${each.version} Production` : each.version,
        each.challenger ? "challenger" : "", digits(each.metrics.holdout_accuracy),
        digits(each.metrics.holdout_f1_macro), digits(each.metrics.cv_accuracy_mean), make("td", link(short(each.name) || "MLflow", each.link), { class: "name" }),
        text(each.gate?.reason ?? each.reason), promoteButton(each)],
    })));
  const done = { promote: "promoted", refuse: "not promoted", rollback: "rolled back", found: "found",
    overtaken: "answered too late", sign: "signed by hand", shadow: "put in the shadow" };
  table("trail", ["When", "Who", "What", "Why", "DAG run"], shown.trail.map((each) => ({
    cells: [make("td", time(each.at), { class: "number" }), each.who,
      `version ${each.to_version} ${done[each.action]}${each.from_version ? `, before it ${each.from_version}` : ""}`,
      text(each.reason), each.dag_run_id ?? ""],
  })));
  table("candidates", ["Candidate", "CV accuracy", "Accuracy", "Macro F1"], shown.candidates.map((each) => ({
    cells: [link(each.name, each.link), digits(each.metrics.cv_accuracy_mean), digits(each.metrics.holdout_accuracy),
      digits(each.metrics.holdout_f1_macro)],
  })));
}

async function load() {
  tell("trouble", await busy("Loading …", async () => {
    shown = await request("overview");
    show();
    document.querySelector("main").hidden = false;
    offerRollback();
    showService();
    showDisk();
  }));
}

function ask(title, verb, doing, path, details) {
  $("ask-title").textContent = title;
  $("confirm").textContent = verb;
  $("reason").value = "";
  $("reason").setCustomValidity("");
  $("ask").returnValue = "";
  $("ask").onclose = () => $("ask").returnValue === "confirm"
    && change(doing, path, { ...details, reason: $("reason").value, expected_champion: shown.production });
  $("ask").showModal();
}

async function change(doing, path, details) {
  tell("done", "");
  let outcome = "";
  const refused = await busy(doing, async () => {
    const { production } = await request(path, details);
    outcome = !production ? "Nothing is in Production, as before." : production === shown.production
      ? `Version ${production} stays in Production.`
      : `Version ${production} is in Production. The prediction service follows within seconds.`;
  });
  await load();
  tell("done", outcome);
  if (refused) tell("trouble", refused);
}

$("refresh").addEventListener("click", load);
$("reason").addEventListener("input", ({ target }) => target.setCustomValidity(target.value.trim() ? "" : "Give a reason."));
$("rollback").addEventListener("click", () => ask(`Roll back to version ${target}?`, "Roll back",
  `Rolling back to version ${target} …`, "rollback", { expected_target: target }));
follow();
offerContracts();
load();
