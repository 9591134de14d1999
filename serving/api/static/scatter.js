// Where this row falls among others of known classes. A shape for each class, so that nobody needs the colours.

import { colour, label, withUnit, written } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const BOX = { left: 64, right: 624, top: 12, bottom: 340 };
const SHAPES = ["M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0", "M0 -6L6 5L-6 5Z", "M-4.5 -4.5h9v9h-9Z", "M0 -7L6 0L0 7L-6 0Z", "M0 6L6 -5L-6 -5Z"];
const CROSS = "M-14 0H14M0 -14V14M-9 0a9 9 0 1 0 18 0a9 9 0 1 0 -18 0";
const NEAREST = 5;

function node(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function shape(index, transform) {
  return colour(node("path", { d: SHAPES[index % SHAPES.length], "fill-opacity": 0.75, transform }), index);
}

// The two features that differ most between the classes, by the share of their variance that is between them.
export function mostTelling(features, points) {
  const share = (feature) => {
    const column = points.features.indexOf(feature.name);
    const known = points.inputs.flatMap((row, index) =>
      (row[column] === null ? [] : [[row[column], points.labels[index]]]));
    const mean = (rows) => rows.reduce((sum, [value]) => sum + value, 0) / rows.length;
    const whole = mean(known);
    const total = known.reduce((sum, [value]) => sum + (value - whole) ** 2, 0);
    const between = [...new Set(points.labels)].reduce((sum, index) => {
      const own = known.filter(([, each]) => each === index);
      return own.length ? sum + own.length * (mean(own) - whole) ** 2 : sum;
    }, 0);
    return total ? between / total : 0;
  };
  const shares = new Map(features.map((feature) => [feature, share(feature)]));
  const best = [...features].sort((one, other) => shares.get(other) - shares.get(one)).slice(0, 2);
  return features.filter((feature) => best.includes(feature));
}

// Maps values to pixels such that the range seen in training, the points and this row are inside.
function scale(feature, values, from, to) {
  const all = [...values, ...(feature.min === null ? [0, 1] : [feature.min, feature.max])];
  const least = Math.min(...all), most = Math.max(...all);
  const room = (most - least || 1) * 0.06;
  return (value) => from + ((value - least + room) / (most - least + 2 * room)) * (to - from);
}

export function drawScatter(svg, { model, points, values }, xName, yName) {
  const column = (name) => points.features.indexOf(name);
  const feature = (name) => model.features.find((each) => each.name === name);
  const all = (name) => [...points.inputs.map((row) => row[column(name)]), values[name]].filter(Number.isFinite);
  const x = scale(feature(xName), all(xName), BOX.left, BOX.right);
  const y = scale(feature(yName), all(yName), BOX.bottom, BOX.top);
  const frame = { x: BOX.left, y: BOX.top, width: BOX.right - BOX.left, height: BOX.bottom - BOX.top, class: "frame" };
  const drawn = [node("rect", frame), range(feature(xName), feature(yName), x, y)];
  points.inputs.forEach((row, index) => {
    if (row[column(xName)] === null || row[column(yName)] === null) return;
    drawn.push(shape(points.labels[index], `translate(${x(row[column(xName)])} ${y(row[column(yName)])})`));
  });
  drawn.push(...axes(feature(xName), feature(yName), x, y));
  const [here, there] = [values[xName], values[yName]];
  if (Number.isFinite(here) && Number.isFinite(there)) {
    drawn.push(node("path", { d: CROSS, class: "here", transform: `translate(${x(here)} ${y(there)})` }));
  }
  svg.replaceChildren(...drawn);
  return describe({ model, points, values }, feature(xName), feature(yName));
}

function range(across, up, x, y) {
  if (across.min === null || up.min === null) return node("g", {});
  const [left, right, bottom, top] = [x(across.min), x(across.max), y(up.min), y(up.max)];
  return node("rect", { x: left, y: top, width: right - left, height: bottom - top, class: "range" });
}

function axes(across, up, x, y) {
  const [middle, centre] = [(BOX.left + BOX.right) / 2, (BOX.top + BOX.bottom) / 2];
  const turned = `translate(18 ${centre}) rotate(-90)`;
  const text = (attributes, anchor, words) => node("text", { ...attributes, "text-anchor": anchor }, words);
  const number = (feature, end) => (feature[end] === null ? "" : written(feature, feature[end]));
  return [
    ...["min", "max"].flatMap((end) => [
      text({ x: x(across[end]), y: BOX.bottom + 22 }, "middle", number(across, end)),
      text({ x: BOX.left - 8, y: y(up[end]) + 5 }, "end", number(up, end)),
    ]),
    text({ x: middle, y: BOX.bottom + 48 }, "middle", withUnit(label(across), across)),
    text({ transform: turned }, "middle", withUnit(label(up), up)),
  ];
}

// The picture in words, for those who don't see it.
function describe({ model, points, values }, across, up) {
  const by = `${label(across).toLowerCase()} and ${label(up).toLowerCase()}`;
  const [row, rows] = [model.row_name, `${model.row_name}s`];
  const text = `The cross is this ${row}, by ${by}; the dashed frame is the range seen in training.`;
  if (!points.inputs.length) return `${text} This version brought no ${rows} along to draw.`;
  const share = (each, { name, min, max }) =>
    (each[points.features.indexOf(name)] - values[name]) / (max - min || 1);
  const near = points.inputs
    .map((each, index) => [Math.hypot(share(each, across), share(each, up)), points.classes[points.labels[index]]])
    .sort(([one], [other]) => one - other)
    .slice(0, NEAREST)
    .map(([, name]) => name);
  return `${text} Of the ${points.inputs.length} ${rows} drawn, the nearest are: ${near.join(", ")}.`;
}

export function drawLegend(list, classes) {
  list.replaceChildren(...classes.map((name, index) => {
    const item = document.createElement("li");
    const picture = node("svg", { viewBox: "-8 -8 16 16" });
    picture.append(shape(index, ""));
    item.append(picture, name);
    return item;
  }));
}
