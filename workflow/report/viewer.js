// Galleries: one pair at a time, wiped between moving and registered, with the fixed image and the field over it.

const RANKS = ["best", "median", "worst"];
const FLICKER_MS = 500;

/** A group of radio buttons. choices: [value, label]. */
function radios(legend, name, choices, chosen, change) {
  const buttons = choices.map(([value, label]) => {
    const button = make("input", { type: "radio", name, value, checked: value === chosen ? "" : null });
    button.addEventListener("change", () => change(value));
    return make("label", {}, button, label);
  });
  return make("fieldset", {}, make("legend", {}, legend), ...buttons);
}

function drawGrid(svg, item) {
  // The centre of the first pixel is 0 in the coordinates of the lines, its edge -0.5.
  svg.setAttribute("viewBox", `-0.5 -0.5 ${item.width} ${item.height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren(...item.grid.map((line) => {
    const polyline = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    polyline.setAttribute("points", line.map((point) => point.join(",")).join(" "));
    return polyline;
  }));
}

function numbersOf(item) {
  const missing = (value) => value === null || value === undefined;
  const shown = (value) => (missing(value) ? "undefined" : Number(value.toPrecision(4)).toString());
  const rows = [
    ["Pair", `${item.moving_id} to ${item.fixed_id}, group ${item.group}`],
    ["NCC", `${shown(item.ncc_before)} before, ${shown(item.ncc_after)} after`],
    ["Folded", missing(item.fold_share) ? "undefined" : `${shown(100 * item.fold_share)} % of pixels`],
    ["Field error", missing(item.field_error) ? "not known" : `${shown(item.field_error)} ${item.unit || "px"}, mean`],
  ];
  return rows.flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]);
}

function makeViewer(place) {
  const name = place.dataset.name;
  const { stamp, items } = JSON.parse(place.querySelector("script").textContent);
  if (!items.length) return;
  const methods = [...new Map(items.map((item) => [item.method, item.label]))];
  const ranks = RANKS.filter((rank) => items.some((item) => item.rank === rank));
  const state = { method: methods[0][0], rank: ranks.includes("median") ? "median" : ranks[0], wipe: 50, flicker: false, fixed: false };
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  let timer = null;

  const [moving, warped, fixed] = ["moving", "warped", "fixed"].map((role) => make("img", { class: role, alt: "" }));
  const grid = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  grid.setAttribute("aria-hidden", "true");
  grid.classList.add("grid");
  const line = make("span", { class: "line" });
  const stage = make("div", { class: "stage" }, moving, warped, fixed, grid, line);
  const left = make("span");
  const right = make("span");
  const slider = make("input", { type: "range", min: 0, max: 100, step: 1, value: state.wipe, id: `${name}-wipe` });
  const flicker = make("button", { type: "button", class: "tool", "aria-pressed": "false" });
  const lay = make("input", { type: "checkbox", id: `${name}-grid` });
  const numbers = make("dl", { class: "pairs", "aria-live": "polite" });

  function showStage() {
    const covered = state.flicker;
    const wipe = covered ? 100 : state.wipe;
    warped.style.clipPath = `inset(0 ${100 - wipe}% 0 0)`;
    line.style.left = `${wipe}%`;
    line.hidden = covered || wipe === 0 || wipe === 100;
    fixed.hidden = !(covered && state.fixed);
    grid.style.display = lay.checked ? "" : "none";
    left.textContent = covered ? (state.fixed ? "fixed" : "registered") : wipe > 0 ? "registered" : "";
    right.textContent = !covered && wipe < 100 ? "moving" : "";
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
    for (const [image, role, what] of [
      [moving, "moving", `Moving image ${item.moving_id}`],
      [warped, "warped", `Moving image ${item.moving_id} registered by ${item.label} to ${item.fixed_id}`],
      [fixed, "fixed", `Fixed image ${item.fixed_id}`],
    ]) {
      image.src = item[role];
      image.alt = what;
    }
    stage.style.aspectRatio = `${item.width} / ${item.height}`;
    // Small images are shown pixel by pixel; those that come enlarged have text in their pixels.
    moving.decode().then(() => stage.classList.toggle("pixels", moving.naturalWidth <= 128), () => {});
    drawGrid(grid, item);
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
      radios("Pair by NCC after registration", `${name}-rank`, ranks.map((rank) => [rank, rank]), state.rank, choose("rank")),
      make("p", {}, flicker, make("label", {}, lay, "Deformation grid")), numbers),
  );
  slider.addEventListener("input", () => {
    state.wipe = Number(slider.value);
    if (state.flicker) setFlicker(false);
    showStage();
  });
  flicker.addEventListener("click", () => setFlicker(!state.flicker));
  lay.addEventListener("change", showStage);
  still.addEventListener("change", () => setFlicker(false));
  showItem();
  place.classList.add("ready");
  // The sheet stays for paper and for whoever wants all pairs at once.
  place.parentElement.querySelector("details.sheet").removeAttribute("open");
}

document.querySelectorAll(".viewer").forEach(makeViewer);
