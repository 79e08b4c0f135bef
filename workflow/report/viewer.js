// Galleries: one pair at a time, wiped between moving and registered, with the fixed image and the field over it.
// Sequences: the frames of one slice, moving, registered and fixed side by side.

const RANKS = ["best", "median", "worst", "common"];
const RANK_WORDS = { common: "common to all methods" };
const FLICKER_MS = 500;
const FRAME_MS = 150;

/** A group of radio buttons. choices: [value, label]. */
function radios(legend, name, choices, chosen, change) {
  const buttons = choices.map(([value, label]) => {
    const button = make("input", { type: "radio", name, value, checked: value === chosen ? "" : null });
    button.addEventListener("change", () => change(value));
    return make("label", {}, button, label);
  });
  return make("fieldset", {}, make("legend", {}, legend), ...buttons);
}

/** An empty drawing over the pixels of an image. */
function overlay(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add(name);
  return svg;
}

/** Draw polylines. size: the image's width and height, in whose pixels they are given. */
function drawLines(svg, lines, size) {
  // The centre of the first pixel is 0 in the coordinates of the lines, its edge -0.5.
  svg.setAttribute("viewBox", `-0.5 -0.5 ${size.width} ${size.height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren(...lines.map((line) => {
    const polyline = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    polyline.setAttribute("points", line.map((point) => point.join(",")).join(" "));
    return polyline;
  }));
}

const missing = (value) => value === null || value === undefined;
const shown = (value) => (missing(value) ? "undefined" : Number(value.toPrecision(4)).toString());
const terms = (rows) => rows.flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]);

function numbersOf(item) {
  const rows = [
    ["Pair", `${item.moving_id} to ${item.fixed_id}, group ${item.group}`],
    ["NCC", `${shown(item.ncc_before)} before, ${shown(item.ncc_after)} after`],
    ...(missing(item.dice_after) ? [] : [["Dice", `${shown(item.dice_before)} before, ${shown(item.dice_after)} after`]]),
    ["Folded", missing(item.fold_share) ? "undefined" : `${shown(100 * item.fold_share)} % of ${item.size ? "voxels" : "pixels"}`],
    ["Field error", missing(item.field_error) ? "not known" : `${shown(item.field_error)} ${item.unit || "px"}, mean`],
  ];
  if (item.difference_after) rows.push(["Differences", `absolute, from 0 (dark) to ${shown(item.difference_highest)} (light)`]);
  return terms(rows);
}

function makeGallery(place, { stamp, items }) {
  const name = place.dataset.name;
  if (!items.length) return;
  const methods = [...new Map(items.map((item) => [item.method, item.label]))];
  const ranks = RANKS.filter((rank) => items.some((item) => item.rank === rank));
  const state = { method: methods[0][0], rank: ranks.includes("median") ? "median" : ranks[0], wipe: 50, flicker: false, fixed: false };
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  let timer = null;

  const [moving, warped, fixed] = ["moving", "warped", "fixed"].map((role) => make("img", { class: role, alt: "" }));
  const grid = overlay("grid");
  const edges = Object.fromEntries(["moving", "warped", "fixed"].map((role) => [role, overlay(`outline-${role}`)]));
  const line = make("span", { class: "line" });
  const stage = make("div", { class: "stage" }, moving, warped, fixed, grid, ...Object.values(edges), line);
  const left = make("span");
  const right = make("span");
  const slider = make("input", { type: "range", min: 0, max: 100, step: 1, value: state.wipe, id: `${name}-wipe` });
  const flicker = make("button", { type: "button", class: "tool", "aria-pressed": "false" });
  const lay = make("input", { type: "checkbox", id: `${name}-grid` });
  const trace = make("input", { type: "checkbox", id: `${name}-outlines`, checked: "" });
  const heat = make("input", { type: "checkbox", id: `${name}-heat` });
  const traced = items.some((item) => item.outlines);
  const heated = items.some((item) => item.difference_after);
  const numbers = make("dl", { class: "pairs", "aria-live": "polite" });

  function showStage() {
    const covered = state.flicker;
    const wipe = covered ? 100 : state.wipe;
    warped.style.clipPath = `inset(0 ${100 - wipe}% 0 0)`;
    line.style.left = `${wipe}%`;
    line.hidden = covered || wipe === 0 || wipe === 100;
    fixed.hidden = !(covered && state.fixed);
    grid.style.display = lay.checked ? "" : "none";
    edges.warped.style.clipPath = warped.style.clipPath;
    edges.moving.style.clipPath = `inset(0 0 0 ${wipe}%)`;
    const [before, after] = heat.checked ? ["difference before", "difference after"] : ["moving", "registered"];
    Object.entries(edges).forEach(([role, svg]) => {
      svg.style.display = trace.checked && !(covered && state.fixed && role !== "fixed") ? "" : "none";
    });
    left.textContent = covered ? (state.fixed ? "fixed" : after) : wipe > 0 ? after : "";
    right.textContent = !covered && wipe < 100 ? before : "";
    slider.setAttribute("aria-valuetext", `${state.wipe} % registered, ${100 - state.wipe} % moving`);
    flicker.textContent = still.matches ? "Show the fixed image" : "Flicker with the fixed image";
    flicker.setAttribute("aria-pressed", String(state.flicker));
  }

  function setFlicker(on) {
    clearInterval(timer);
    timer = null;
    state.flicker = on;
    state.fixed = on;
    if (on && !still.matches) {
      timer = setInterval(() => {
        state.fixed = !state.fixed;
        showStage();
      }, FLICKER_MS);
    }
    showStage();
  }

  function showItem() {
    const of = (rank) => items.find((item) => item.method === state.method && item.rank === rank);
    // A method need not have a pair of every rank.
    if (!of(state.rank)) state.rank = ranks.find(of);
    place.querySelectorAll(`input[name="${name}-rank"]`).forEach((button) => {
      button.disabled = !of(button.value);
      button.checked = button.value === state.rank;
    });
    const item = of(state.rank);
    const registered = `oving image ${item.moving_id} registered by ${item.label} to ${item.fixed_id}`;
    for (const [image, role, what] of [
      ...(heat.checked ? [
        [moving, "difference_before", `Difference of the moving image ${item.moving_id} from ${item.fixed_id}`],
        [warped, "difference_after", `Difference that is left of the m${registered}`],
      ] : [[moving, "moving", `Moving image ${item.moving_id}`], [warped, "warped", `M${registered}`]]),
      [fixed, "fixed", `Fixed image ${item.fixed_id}`],
    ]) {
      image.src = item[role];
      image.alt = what;
    }
    stage.style.aspectRatio = `${item.width} / ${item.height}`;
    // Small images are shown pixel by pixel; those that come enlarged have text in their pixels.
    moving.decode().then(() => stage.classList.toggle("pixels", moving.naturalWidth <= 128), () => {});
    drawLines(grid, item.grid, item);
    Object.entries(edges).forEach(([role, svg]) => drawLines(svg, item.outlines?.[role] ?? [], item));
    numbers.replaceChildren(...numbersOf(item));
    showStage();
  }

  const choose = (key) => (value) => {
    state[key] = value;
    showItem();
  };
  place.append(
    make("div", {}, stage, make("div", { class: "sides", "aria-hidden": "true" }, left, right),
      make("label", { for: slider.id }, "Wipe from moving to registered"), slider,
      ...(stamp ? [make("p", { class: "stamp" }, stamp)] : [])),
    make("div", {},
      radios("Method", `${name}-method`, methods, state.method, choose("method")),
      radios(ranks.some((rank) => rank !== "common") ? `Pair by ${missing(items[0].dice_after) ? "NCC" : "Dice"} after registration` : "Pair",
        `${name}-rank`, ranks.map((rank) => [rank, RANK_WORDS[rank] ?? rank]), state.rank, choose("rank")),
      make("p", {}, flicker, make("label", {}, lay, "Deformation grid"),
        ...(traced ? [make("label", {}, trace, "Outlines of the labels (fixed: solid)")] : []),
        ...(heated ? [make("label", {}, heat, "Differences from the fixed image")] : [])), numbers),
  );
  slider.addEventListener("input", () => {
    state.wipe = Number(slider.value);
    if (state.flicker) setFlicker(false);
    showStage();
  });
  flicker.addEventListener("click", () => setFlicker(!state.flicker));
  [lay, trace].forEach((box) => box.addEventListener("change", showStage));
  heat.addEventListener("change", showItem);
  still.addEventListener("change", () => setFlicker(false));
  showItem();
  place.classList.add("ready");
  // The sheet stays for paper and for whoever wants all pairs at once.
  place.parentElement.querySelector("details.sheet").removeAttribute("open");
}

/** A stage with one image for each frame, all decoded before they are needed; show(place) puts one of them on top. */
function reel(name, pictures) {
  const images = pictures.map(([src, alt]) => make("img", { src, alt, hidden: "" }));
  const layers = make("div", { class: "layers" }, ...images);
  const stage = make("div", { class: "stage" }, layers);
  return {
    figure: make("figure", { class: "reel" }, stage, make("figcaption", {}, name)),
    stage,
    layers,
    show: (place) => images.forEach((image, index) => { image.hidden = images.length > 1 && index !== place; }),
  };
}

function makeSequence(place, panels) {
  const name = place.dataset.name;
  const { stamp, frames, fixed, label, group } = panels;
  if (!frames.length) return;
  let at = 0;
  let timer = null;
  const moving = reel("moving", frames.map((frame) => [frame.moving, `Moving image ${frame.id}`]));
  const warped = reel("registered", frames.map((frame) => [frame.warped, `Moving image ${frame.id} registered by ${label}`]));
  const still = reel("fixed", [[fixed, `Fixed image of ${group}`]]);
  const stages = [moving, warped, still];
  const grid = overlay("grid");
  const edge = overlay("outline-moving");
  // Laid over the frames, the fixed image leaves the absolute difference from it.
  const masks = [moving, warped].map(({ layers }) => {
    const mask = make("img", { class: "subtract", src: fixed, alt: `Fixed image of ${group}, laid over for the difference` });
    layers.append(mask);
    return mask;
  });
  moving.stage.append(edge);
  warped.stage.append(grid);
  stages.forEach(({ stage }) => {
    stage.style.aspectRatio = `${panels.width} / ${panels.height}`;
    stage.classList.toggle("pixels", panels.width <= 64);
  });
  const play = make("button", { type: "button", class: "tool", "aria-pressed": "false" });
  const slider = make("input", { type: "range", min: 1, max: frames.length, step: 1, value: 1, id: `${name}-frame` });
  const lay = make("input", { type: "checkbox", id: `${name}-grid` });
  const subtract = make("input", { type: "checkbox", id: `${name}-difference` });
  const numbers = make("dl", { class: "pairs", "aria-live": "polite" });

  function showFrame() {
    const frame = frames[at];
    stages.forEach(({ show }) => show(at));
    drawLines(grid, frame.grid, panels);
    drawLines(edge, frame.outline, panels);
    grid.style.display = lay.checked ? "" : "none";
    edge.style.display = subtract.checked ? "none" : "";
    masks.forEach((mask) => {
      mask.hidden = !subtract.checked;
      mask.parentElement.classList.toggle("bright", subtract.checked);
    });
    slider.value = at + 1;
    slider.setAttribute("aria-valuetext", `phase ${frame.phase}, frame ${at + 1} of ${frames.length}`);
    numbers.replaceChildren(...terms([
      ["Phase", `${frame.phase}, frame ${at + 1} of ${frames.length} (${frame.id})`],
      ["NCC", `${shown(frame.ncc_before)} before, ${shown(frame.ncc_after)} after`],
    ]));
  }

  function step(by) {
    at = (at + by + frames.length) % frames.length;
    showFrame();
  }

  function setPlaying(on) {
    clearInterval(timer);
    timer = on ? setInterval(() => step(1), FRAME_MS) : null;
    play.textContent = on ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(on));
    // What changes six times a second is not read out.
    numbers.setAttribute("aria-live", on ? "off" : "polite");
  }

  place.classList.add("cine");
  place.append(
    make("div", { class: "reels" }, ...stages.map(({ figure }) => figure)),
    ...(stamp ? [make("p", { class: "stamp" }, stamp)] : []),
    make("div", { class: "controls" }, play, make("label", { for: slider.id }, "Frame"), slider),
    make("p", {}, make("label", {}, lay, "Deformation grid"), make("label", {}, subtract, "Differences from the fixed image, three times as bright")),
    numbers,
  );
  play.addEventListener("click", () => setPlaying(timer === null));
  slider.addEventListener("input", () => {
    setPlaying(false);
    at = Number(slider.value) - 1;
    showFrame();
  });
  [lay, subtract].forEach((box) => box.addEventListener("change", showFrame));
  // A button and a box answer to space by themselves, the slider to the arrows.
  place.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && event.target !== slider) {
      setPlaying(false);
      step(by);
    } else if (event.key === " " && event.target === slider) {
      setPlaying(timer === null);
    } else {
      return;
    }
    event.preventDefault();
  });
  // Nothing moves until somebody asks for it, and it stops for whoever comes to prefer less motion.
  window.matchMedia("(prefers-reduced-motion: reduce)").addEventListener("change", () => setPlaying(false));
  setPlaying(false);
  showFrame();
  place.classList.add("ready");
  place.parentElement.querySelector("details.sheet").removeAttribute("open");
}

document.querySelectorAll(".viewer").forEach((place) => {
  const panels = JSON.parse(place.querySelector("script").textContent);
  ({ sequence: makeSequence, volumes: makeVolumes }[panels.kind] ?? makeGallery)(place, panels);
});
