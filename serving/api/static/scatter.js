// Where this penguin falls among others of known species. A shape for each species, so that nobody needs the colours.

const SVG = "http://www.w3.org/2000/svg";
const BOX = { left: 64, right: 624, top: 12, bottom: 340 };
const SHAPES = ["M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0", "M0 -6L6 5L-6 5Z", "M-4.5 -4.5h9v9h-9Z"];
const CROSS = "M-14 0H14M0 -14V14M-9 0a9 9 0 1 0 18 0a9 9 0 1 0 -18 0";
const NEAREST = 5;

function node(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function shape(label, transform) {
  return node("path", { d: SHAPES[label % SHAPES.length], class: `species-${label}`, "fill-opacity": 0.75, transform });
}

// Maps values to pixels such that the range seen in training, the points and this penguin are inside.
function scale(feature, values, from, to) {
  const least = Math.min(feature.min, ...values), most = Math.max(feature.max, ...values);
  const room = (most - least || 1) * 0.06;
  return (value) => from + ((value - least + room) / (most - least + 2 * room)) * (to - from);
}

export function drawScatter(svg, { model, points, values }, xName, yName, label) {
  const column = (name) => points.features.indexOf(name);
  const feature = (name) => model.features.find((each) => each.name === name);
  const all = (name) => [...points.inputs.map((row) => row[column(name)]), values[name]].filter(Number.isFinite);
  const x = scale(feature(xName), all(xName), BOX.left, BOX.right);
  const y = scale(feature(yName), all(yName), BOX.bottom, BOX.top);
  const frame = { x: BOX.left, y: BOX.top, width: BOX.right - BOX.left, height: BOX.bottom - BOX.top, class: "frame" };
  const drawn = [node("rect", frame), range(feature(xName), feature(yName), x, y)];
  points.inputs.forEach((row, index) => {
    drawn.push(shape(points.labels[index], `translate(${x(row[column(xName)])} ${y(row[column(yName)])})`));
  });
  drawn.push(...axes(feature(xName), feature(yName), x, y, label));
  const [here, there] = [values[xName], values[yName]];
  if (Number.isFinite(here) && Number.isFinite(there)) {
    drawn.push(node("path", { d: CROSS, class: "here", transform: `translate(${x(here)} ${y(there)})` }));
  }
  svg.replaceChildren(...drawn);
  return describe({ model, points, values }, xName, yName, label);
}

function range(across, up, x, y) {
  const [left, right, bottom, top] = [x(across.min), x(across.max), y(up.min), y(up.max)];
  return node("rect", { x: left, y: top, width: right - left, height: bottom - top, class: "range" });
}

function axes(across, up, x, y, label) {
  const [middle, centre] = [(BOX.left + BOX.right) / 2, (BOX.top + BOX.bottom) / 2];
  const turned = `translate(18 ${centre}) rotate(-90)`;
  const text = (attributes, anchor, words) => node("text", { ...attributes, "text-anchor": anchor }, words);
  const number = (feature, end) => feature[end].toFixed(feature.unit === "g" ? 0 : 1);
  return [
    ...["min", "max"].flatMap((end) => [
      text({ x: x(across[end]), y: BOX.bottom + 22 }, "middle", number(across, end)),
      text({ x: BOX.left - 8, y: y(up[end]) + 5 }, "end", number(up, end)),
    ]),
    text({ x: middle, y: BOX.bottom + 48 }, "middle", `${label(across.name)}, ${across.unit}`),
    text({ transform: turned }, "middle", `${label(up.name)}, ${up.unit}`),
  ];
}

// The picture in words, for those who don't see it.
function describe({ model, points, values }, xName, yName, label) {
  const by = `${label(xName).toLowerCase()} and ${label(yName).toLowerCase()}`;
  const text = `The cross is this penguin, by ${by}; the dashed frame is the range seen in training.`;
  if (!points.inputs.length) return `${text} This version brought no penguins along to draw.`;
  const share = (row, name) => {
    const { min, max } = model.features.find((each) => each.name === name);
    return (row[points.features.indexOf(name)] - values[name]) / (max - min || 1);
  };
  const near = points.inputs
    .map((row, index) => [Math.hypot(share(row, xName), share(row, yName)), points.species[points.labels[index]]])
    .sort(([one], [other]) => one - other)
    .slice(0, NEAREST)
    .map(([, name]) => name);
  return `${text} Of the ${points.inputs.length} penguins drawn, the nearest are: ${near.join(", ")}.`;
}

export function drawLegend(list, species) {
  list.replaceChildren(...species.map((name, label) => {
    const item = document.createElement("li");
    const picture = node("svg", { viewBox: "-8 -8 16 16" });
    picture.append(shape(label, ""));
    item.append(picture, name);
    return item;
  }));
}
