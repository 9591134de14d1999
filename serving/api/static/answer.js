// The answer: the likeliest class, and a bar for each class.

import { $, colour, element, percent } from "./dom.js";

const MOST_BARS = 8; // of more classes the likeliest ones are shown

export function showAnswer(classes, winner, shares, warnings) {
  $("answer").textContent = `${winner}, ${percent(shares[winner] ?? 0)}`;
  $("answer").className = "";
  colour($("answer"), classes.indexOf(winner));
  const all = classes.map((name, index) => ({ name, index, share: shares[name] ?? 0 }));
  const shown = all.length > MOST_BARS ? all.sort((one, other) => other.share - one.share).slice(0, MOST_BARS) : all;
  $("bars").replaceChildren(...shown.map(bar));
  if (all.length > MOST_BARS) {
    const rest = all.slice(MOST_BARS).reduce((sum, { share }) => sum + share, 0);
    $("bars").append(element("li", { class: "more" }, `${all.length - MOST_BARS} more, together ${percent(rest)}`));
  }
  $("warnings").replaceChildren(...warnings.map((text) => element("li", {}, text)));
  $("warnings").hidden = !warnings.length;
}

export function showNoAnswer() {
  $("answer").textContent = "–";
  $("bars").replaceChildren();
}

function bar({ name, index, share }) {
  const made = element("li");
  const progress = colour(element("progress", { max: 1, value: share, "aria-label": name }), index);
  made.append(element("span", {}, name), progress, element("span", {}, percent(share)));
  return made;
}
