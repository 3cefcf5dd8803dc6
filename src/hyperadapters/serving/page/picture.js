// Distributions as bars, and people as points of a map.

import { el, percent, svg } from "./dom.js";

const MARKS = 5;
const colour = (place) => `var(--c${place % MARKS})`;

/** One bar for each label. `rows` hold name, value, words, and perhaps low and high. */
export function bars(rows, title) {
  const cells = rows.map((row, place) => {
    const fill = el("span", { class: "fill" });
    fill.style.width = `${100 * row.value}%`;
    fill.style.background = colour(row.place ?? place);
    const track = el("span", { class: "track", "aria-hidden": "true" }, fill);
    if (row.low !== undefined) {
      const range = el("span", { class: "range" });
      range.style.left = `${100 * row.low}%`;
      range.style.width = `${100 * (row.high - row.low)}%`;
      track.append(range);
    }
    return [
      el("span", { class: "name" }, swatch(row.place ?? place), String(row.name)),
      el("span", { class: "number" }, row.words),
      track,
    ];
  });
  return el("div", { class: "bars", role: "group", "aria-label": title }, ...cells);
}

function swatch(place) {
  const mark = el("span", { class: "swatch", "aria-hidden": "true" });
  mark.style.background = colour(place);
  return mark;
}

/** A mark of its own shape for each label, so that colours are not needed to tell them apart. */
function mark(place, x, y, r, attributes) {
  const shapes = [
    () => svg("circle", { cx: x, cy: y, r, ...attributes }),
    () => svg("rect", { x: x - r * 0.88, y: y - r * 0.88, width: r * 1.76, height: r * 1.76, ...attributes }),
    () => svg("path", { d: `M${x} ${y - r * 1.2}L${x + r * 1.1} ${y + r * 0.8}H${x - r * 1.1}Z`, ...attributes }),
    () => svg("path", { d: `M${x} ${y - r * 1.25}L${x + r * 1.25} ${y}L${x} ${y + r * 1.25}L${x - r * 1.25} ${y}Z`, ...attributes }),
    () => svg("path", { d: `M${x - r} ${y - r * 0.8}H${x + r}L${x} ${y + r * 1.2}Z`, ...attributes }),
  ];
  const drawn = shapes[place % MARKS]();
  drawn.style.fill = colour(place);
  return drawn;
}

/**
 * The map of people: where two stand close together, the model knows them as alike.
 * `points` hold name, place, label (a number) and sure; `you` is a path of places.
 */
export function peopleMap(points, labels, share, { chosen = null, onchoose = null, you = [] } = {}) {
  const width = 480, height = 340, edge = 26;
  const all = [...points.map((point) => point.place), ...you];
  const [x, y] = [0, 1].map((axis) => {
    const values = all.map((place) => place[axis]);
    const low = Math.min(...values), span = Math.max(...values) - low || 1;
    const room = (axis ? height : width) - 2 * edge;
    return (value) => edge + (axis ? 1 - (value - low) / span : (value - low) / span) * room;
  });
  const picture = svg("svg", {
    class: "map", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": "Map of people; the table says the same in words.",
  });
  for (const point of points) {
    const drawn = mark(point.label, x(point.place[0]), y(point.place[1]), 6, {
      class: point.name === chosen ? "point chosen" : "point",
      "fill-opacity": 0.35 + 0.65 * point.sure,
      onclick: onchoose && (() => onchoose(point.name)),
    });
    drawn.append(svg("title", {}, `${point.name}: ${labels[point.label]}, ${percent(point.sure)}`));
    picture.append(drawn);
  }
  if (you.length) {
    const path = you.map((place) => `${x(place[0])} ${y(place[1])}`).join("L");
    const [lastX, lastY] = [x(you.at(-1)[0]), y(you.at(-1)[1])];
    picture.append(
      svg("path", { class: "path", d: `M${path}` }),
      svg("circle", { class: "you", cx: lastX, cy: lastY, r: 10 }),
      svg("text", { x: Math.min(lastX + 14, width - 36), y: Math.max(lastY - 8, 16) }, "you"),
    );
  }
  const legend = labels.map((label, place) =>
    el("span", {}, svg("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, mark(place, 7, 7, 5.5, {})), String(label)));
  return el("figure", { class: "figure" }, picture, el("figcaption", {},
    el("div", { class: "legend" }, legend),
    el("small", {}, `People with alike vectors stand close together; the plane holds ${percent(share)} of how the vectors differ. `
      + "The paler a point, the less sure the model is.")));
}
