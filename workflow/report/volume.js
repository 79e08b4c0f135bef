// Volumes: a pair in three planes that meet in one voxel, with its labels, the deformed grid and what lies at that voxel.
// Their axes lead down, back and left, so that every plane is a slice as it stands: the head up, its right on the left.

const ENDS = [["S", "I"], ["A", "P"], ["R", "L"]];
const END_WORDS = ["superior", "anterior", "right"];
// across: the axis that is scrolled; down and right: those of the page.
const PLANES = [
  { name: "Axial", across: 0, down: 1, right: 2 },
  { name: "Coronal", across: 1, down: 0, right: 2 },
  { name: "Sagittal", across: 2, down: 0, right: 1 },
];
const VIEWS = [
  ["moving", "moving"], ["warped", "registered"], ["fixed", "fixed"], ["checker", "checkerboard with fixed"],
  ["before", "difference before"], ["after", "difference after"],
];
const VOLUME_ROLES = ["moving", "warped", "fixed"];
const ROLE_WORDS = { moving: "Moving", warped: "Registered", fixed: "Fixed" };
const PARTS_OF_VOXEL = 100;
const TILES = 8;
// Cells of the grid along the longer side of a slice, as on the galleries' images.
const GRID_CELLS = 14;
const FILLED = 0.45;
// A difference of a quarter of the range is as bright as can be: so in every pair, that they may be compared.
const FULL = 64;
// Distance in CSS pixels after which a wheel or a finger on a touch pad has gone one slice further.
const ROLL = 30;

/** Bytes of base64 text that was deflated. */
async function inflate(text) {
  const packed = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Numbers of a field from their differences, modulo 2 ** 16, of which the array keeps what an int16 can hold. */
function summed(bytes) {
  const field = new Int16Array(bytes.buffer);
  for (let at = 1; at < field.length; at += 1) field[at] += field[at - 1];
  return field;
}

const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
const ticks = (length, step) => [...Array(length).keys()].filter((at) => at % step === 0 || at === length - 1);

function makeVolumes(place, panels) {
  const { items, labels, arrays, stamp } = panels;
  if (!items.length || typeof DecompressionStream === "undefined") return;
  const name = place.dataset.name;
  const methods = [...new Map(items.map((item) => [item.method, item.label]))];
  const ranks = [...RANKS].reverse().filter((rank) => items.some((item) => item.rank === rank));
  const state = { method: methods[0][0], rank: ranks[0], view: "warped", labels: "outlines", only: 0 };
  const colours = labels.map((label) => rgb(label.colour));
  const inflated = new Map();
  let [item, data, cursor] = [null, null, null];

  const [grid, cross, smooth] = [["grid"], ["cross", ""], ["smooth"]].map(([key, checked = null]) => make("input", { type: "checkbox", id: `${name}-${key}`, checked }));
  const only = make("select", { id: `${name}-only` }, make("option", { value: 0 }, "all"),
    ...labels.map((label, at) => make("option", { value: at + 1 }, label.name)));
  const legend = make("ul", { class: "swatches" });
  const scale = make("p", { class: "quiet" });
  const found = make("dl", { class: "found", "aria-live": "polite" });
  const numbers = make("dl", { class: "pairs" });

  const planes = PLANES.map((plane) => {
    const id = `${name}-${plane.name.toLowerCase()}`;
    const canvas = make("canvas", {
      tabindex: 0, role: "application", "aria-roledescription": "slice", "aria-describedby": `${name}-keys`,
      "aria-label": `${plane.name} slice`,
    });
    const [slider, where] = [make("input", { type: "range", min: 1, step: 1, id }), make("span", { class: "quiet" })];
    return {
      ...plane, canvas, slider, where, flat: document.createElement("canvas"),
      figure: make("div", { class: `plane ${plane.name.toLowerCase()}` }, canvas,
        make("div", { class: "sides" }, make("label", { for: id }, plane.name), where), slider),
    };
  });
  const planesOf = make("div", { class: "planes" }, ...planes.map(({ figure }) => figure), found);

  const length = (axis) => item.size[axis];
  const strides = () => [length(1) * length(2), length(2), 1];
  const index = (at) => strides().reduce((sum, stride, axis) => sum + stride * at[axis], 0);
  const chosen = (label) => label > 0 && (state.only === 0 || label === state.only);
  const masked = () => ({ moving: "moving", before: "moving", fixed: "fixed" }[state.view] ?? "warped");

  /** Colour of a voxel as the view shows it. */
  function shade(voxel, row, column, tile, out) {
    const { moving, warped, fixed } = data;
    if (state.view === "before" || state.view === "after") {
      const off = ((state.view === "before" ? moving : warped)[voxel] - fixed[voxel]) / FULL;
      // Nothing is black; orange is brighter than the fixed image, blue darker: to all readers two colours.
      const ends = off > 0 ? [255, 160, 40] : [60, 150, 255];
      for (let part = 0; part < 3; part += 1) out[part] = ends[part] * Math.min(Math.abs(off), 1);
      return;
    }
    const checker = (Math.floor(row / tile) + Math.floor(column / tile)) % 2 ? fixed : warped;
    out.fill((state.view === "checker" ? checker : data[state.view])[voxel]);
  }

  /** The voxels of a slice, one pixel each, on the canvas `plane.flat`. */
  function paintVoxels(plane, rows, columns, voxelAt) {
    Object.assign(plane.flat, { width: columns, height: rows });
    const context = plane.flat.getContext("2d");
    const picture = context.createImageData(columns, rows);
    const mask = data[`mask_${masked()}`];
    const tile = Math.ceil(Math.max(rows, columns) / TILES);
    const out = [0, 0, 0];
    for (let row = 0, at = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1, at += 4) {
        const voxel = voxelAt(row, column);
        shade(voxel, row, column, tile, out);
        const fill = state.labels === "filled" && chosen(mask[voxel]) ? colours[mask[voxel] - 1] : null;
        for (let part = 0; part < 3; part += 1) {
          picture.data[at + part] = fill ? (1 - FILLED) * out[part] + FILLED * fill[part] : out[part];
        }
        picture.data[at + 3] = 255;
      }
    }
    context.putImageData(picture, 0, 0);
  }

  /** Edges of the labels of a slice, each on its own side of the border, in the label's colour. */
  function paintOutlines(context, mask, size, voxelAt, dashed) {
    const { rows, columns, wide, high, unit } = size;
    const paths = new Map();
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const label = mask[voxelAt(row, column)];
        if (!chosen(label)) continue;
        const same = (r, c) => r >= 0 && c >= 0 && r < rows && c < columns && mask[voxelAt(r, c)] === label;
        const [left, top] = [column * wide, row * high];
        const [x0, y0, x1, y1] = [left + unit / 2, top + unit / 2, left + wide - unit / 2, top + high - unit / 2];
        const edges = [
          [same(row - 1, column), left, y0, left + wide, y0], [same(row + 1, column), left, y1, left + wide, y1],
          [same(row, column - 1), x0, top, x0, top + high], [same(row, column + 1), x1, top, x1, top + high],
        ];
        if (!paths.has(label)) paths.set(label, new Path2D());
        for (const [inside, ...ends] of edges) {
          if (inside) continue;
          paths.get(label).moveTo(ends[0], ends[1]);
          paths.get(label).lineTo(ends[2], ends[3]);
        }
      }
    }
    context.lineWidth = 1.5 * unit;
    context.setLineDash(dashed ? [wide / 2, wide / 2] : []);
    paths.forEach((path, label) => {
      context.strokeStyle = labels[label - 1].colour;
      context.stroke(path);
    });
    context.setLineDash([]);
  }

  /** Lines of the fixed image's grid where the moving image is sampled: what lies in the slice of x + ddf(x). */
  function paintGrid(context, plane, size, voxelAt) {
    const { rows, columns, wide, high, unit } = size;
    const part = data.fixed.length;
    const step = Math.max(Math.round(Math.max(rows, columns) / GRID_CELLS), 1);
    const point = (row, column) => {
      const [down, right] = [plane.down, plane.right].map((axis) => data.ddf[axis * part + voxelAt(row, column)] / PARTS_OF_VOXEL);
      return [(column + 0.5 + right) * wide, (row + 0.5 + down) * high];
    };
    const lines = [
      ...ticks(rows, step).map((row) => [...Array(columns).keys()].map((column) => point(row, column))),
      ...ticks(columns, step).map((column) => [...Array(rows).keys()].map((row) => point(row, column))),
    ];
    context.beginPath();
    lines.forEach((line) => line.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y))));
    Object.assign(context, { strokeStyle: "#ffb000", lineWidth: unit });
    context.stroke();
  }

  function paintCross(context, plane, { wide, high, unit }) {
    const { width, height } = plane.canvas;
    const [x, y] = [(cursor[plane.right] + 0.5) * wide, (cursor[plane.down] + 0.5) * high];
    // A gap, so that the voxel itself stays in sight.
    const gap = Math.max(wide, high, 6 * unit);
    context.beginPath();
    for (const [x0, y0, x1, y1] of [[0, y, x - gap, y], [x + gap, y, width, y], [x, 0, x, y - gap], [x, y + gap, x, height]]) {
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
    }
    Object.assign(context, { strokeStyle: "rgba(120, 255, 255, .75)", lineWidth: unit });
    context.stroke();
  }

  /** Where the sides of the slice lie in the body, and a length to measure by. */
  function paintWords(context, plane, { wide, unit }) {
    const { width, height } = plane.canvas;
    Object.assign(context, { strokeStyle: "#000", lineWidth: 3 * unit, lineJoin: "round", textBaseline: "middle" });
    const write = (text, x, y, textAlign) => {
      Object.assign(context, { textAlign, fillStyle: "#fff" });
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    };
    context.font = `600 ${13 * unit}px system-ui, sans-serif`;
    const [[top, bottom], [left, right]] = [ENDS[plane.down], ENDS[plane.right]];
    write(left, 5 * unit, height / 2, "left");
    write(right, width - 5 * unit, height / 2, "right");
    write(top, width / 2, 11 * unit, "center");
    write(bottom, width / 2, height - 10 * unit, "center");
    const perUnit = wide / item.spacing[plane.right];
    const long = [1, 2, 5, 10, 20, 50, 100].filter((number) => number * perUnit <= width / 3).pop() ?? 1;
    const [x, y] = [6 * unit, height - 7 * unit];
    context.font = `${11 * unit}px system-ui, sans-serif`;
    write(`${long} ${item.unit}`, x, y - 10 * unit, "left");
    context.fillStyle = "#000";
    context.fillRect(x - unit, y - unit, long * perUnit + 2 * unit, 4 * unit);
    context.fillStyle = "#fff";
    context.fillRect(x, y, long * perUnit, 2 * unit);
  }

  function paint(plane) {
    const { canvas, across, down, right } = plane;
    const [rows, columns] = [length(down), length(right)];
    const unit = window.devicePixelRatio || 1;
    const width = Math.round((canvas.clientWidth || 300) * unit);
    const height = Math.round((width * rows * item.spacing[down]) / (columns * item.spacing[right]));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const stride = strides();
    const voxelAt = (row, column) => cursor[across] * stride[across] + row * stride[down] + column * stride[right];
    const size = { rows, columns, unit, wide: width / columns, high: height / rows };
    paintVoxels(plane, rows, columns, voxelAt);
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = smooth.checked;
    context.drawImage(plane.flat, 0, 0, width, height);
    if (state.labels === "outlines") {
      if (masked() !== "fixed") paintOutlines(context, data[`mask_${masked()}`], size, voxelAt, true);
      paintOutlines(context, data.mask_fixed, size, voxelAt, false);
    }
    if (grid.checked) paintGrid(context, plane, size, voxelAt);
    if (cross.checked) paintCross(context, plane, size);
    paintWords(context, plane, size);
  }

  /** The voxel's numbers in the stored array: its axes may lead the other way, in another order. */
  const stored = () => [...item.axes].map((letter) => {
    const axis = ENDS.findIndex((ends) => ends.includes(letter));
    return ENDS[axis][1] === letter ? cursor[axis] : length(axis) - 1 - cursor[axis];
  });

  function tell() {
    const voxel = index(cursor);
    const part = data.fixed.length;
    const label = (role) => labels[data[`mask_${role}`][voxel] - 1]?.name ?? "no label";
    const moved = [0, 1, 2].map((axis) => (data.ddf[axis * part + voxel] / PARTS_OF_VOXEL) * item.spacing[axis]);
    const parts = moved.map((far, axis) => `${Math.abs(far).toFixed(1)} ${ENDS[axis][far < 0 ? 0 : 1]}`).reverse();
    found.replaceChildren(...[
      ["Voxel", `${stored().join(", ")} of the stored array (${item.axes})`],
      ...VOLUME_ROLES.map((role) => [ROLE_WORDS[role], `${(data[role][voxel] / 255).toFixed(2)}, ${label(role)}`]),
      ["Sampled", `${Math.hypot(...moved).toFixed(1)} ${item.unit} away: ${parts.join(", ")}`],
    ].map((row) => make("div", {}, ...terms([row]))));
  }

  function show() {
    planes.forEach((plane) => {
      const { slider, where, across } = plane;
      paint(plane);
      slider.max = length(across);
      slider.value = cursor[across] + 1;
      const far = `${(cursor[across] * item.spacing[across]).toFixed(1)} ${item.unit} from the ${END_WORDS[across]} end`;
      slider.setAttribute("aria-valuetext", `slice ${cursor[across] + 1} of ${length(across)}, ${far}`);
      where.textContent = `${cursor[across] + 1} of ${length(across)}`;
    });
    tell();
  }

  function move(axis, to) {
    const next = Math.min(Math.max(to, 0), length(axis) - 1);
    if (next !== cursor[axis]) {
      cursor[axis] = next;
      show();
    }
  }

  /** What stands beside the planes and changes with the pair or the choices, not with the voxel. */
  function describe() {
    scale.textContent = ["before", "after"].includes(state.view)
      ? `Orange is brighter, blue darker than the fixed image, black equal; full from ${(FULL / 255).toFixed(2)} on.` : "";
    const there = new Set([...data.mask_fixed, ...data[`mask_${masked()}`]]);
    legend.replaceChildren(...(state.labels === "none" ? [] : labels.flatMap((label, at) => {
      if (!there.has(at + 1) || !chosen(at + 1)) return [];
      const swatch = make("span", { class: "swatch" });
      swatch.style.background = label.colour;
      return [make("li", {}, swatch, label.name)];
    })));
    numbers.replaceChildren(...numbersOf(item));
  }

  async function load() {
    const of = (rank) => items.find((one) => one.method === state.method && one.rank === rank);
    if (!of(state.rank)) state.rank = ranks.find(of);
    place.querySelectorAll(`input[name="${name}-rank"]`).forEach((button) => {
      button.disabled = !of(button.value);
      button.checked = button.value === state.rank;
    });
    const next = of(state.rank);
    const keys = [...VOLUME_ROLES, ...VOLUME_ROLES.map((role) => `mask_${role}`), "ddf"];
    const read = await Promise.all(keys.map((key) => {
      const at = next[key];
      if (!inflated.has(at)) inflated.set(at, inflate(arrays[at]).then((bytes) => (key === "ddf" ? summed(bytes) : bytes)));
      return inflated.get(at);
    }));
    // Somebody may have chosen another one in the meantime.
    if (next !== of(state.rank)) return;
    item = next;
    data = Object.fromEntries(keys.map((key, at) => [key, read[at]]));
    cursor = cursor?.map((at, axis) => Math.min(at, item.size[axis] - 1)) ?? item.size.map((count) => Math.floor(count / 2));
    // One scale for all planes: each is as wide as it is in the body.
    [["--left", 2], ["--back", 1]].forEach(([key, axis]) => planesOf.style.setProperty(key, `${length(axis) * item.spacing[axis]}fr`));
    place.classList.add("ready");
    place.removeAttribute("aria-busy");
    describe();
    show();
  }

  function listen(plane) {
    const { canvas, slider, across, down, right } = plane;
    let aimed = false;
    let rolled = 0;
    const point = ({ clientX, clientY }) => {
      const frame = canvas.getBoundingClientRect();
      move(right, Math.floor(((clientX - frame.left) / frame.width) * length(right)));
      move(down, Math.floor(((clientY - frame.top) / frame.height) * length(down)));
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      point(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      aimed = aimed || Boolean(event.movementX || event.movementY);
      if (event.buttons & 1) point(event);
    });
    // Whoever scrolls the page past the planes does not mean them: the pointer must have moved on them since.
    window.addEventListener("scroll", () => { aimed = false; }, { passive: true });
    canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey || !(aimed || document.activeElement === canvas)) return;
      const forward = event.deltaY > 0;
      // At the last slice the page goes on.
      if (cursor[across] === (forward ? length(across) - 1 : 0)) return;
      event.preventDefault();
      rolled += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : ROLL * Math.sign(event.deltaY);
      if (Math.abs(rolled) < ROLL) return;
      rolled = 0;
      move(across, cursor[across] + (forward ? 1 : -1));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const steps = {
        ArrowLeft: [right, -1], ArrowRight: [right, 1], ArrowUp: [down, -1], ArrowDown: [down, 1],
        PageUp: [across, -1], PageDown: [across, 1], Home: [across, -length(across)], End: [across, length(across)],
      };
      const [axis, by] = steps[event.key] ?? [];
      if (axis === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      move(axis, cursor[axis] + by);
    });
    slider.addEventListener("input", () => move(across, Number(slider.value) - 1));
    slider.addEventListener("keydown", (event) => {
      const by = { PageUp: -1, PageDown: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      move(across, cursor[across] + by);
    });
  }

  const redraw = () => {
    describe();
    show();
  };
  const choose = (key, then) => (value) => {
    state[key] = value;
    then();
  };
  place.classList.add("volumes");
  place.setAttribute("aria-busy", "true");
  place.append(
    planesOf,
    ...(stamp ? [make("p", { class: "stamp" }, stamp)] : []),
    make("p", { class: "quiet", id: `${name}-keys` },
      "Click or drag in a plane, or use its arrow keys, to move the voxel; wheel, PageUp and PageDown go through the slices."),
    make("div", { class: "choices" },
      make("div", {}, radios("Method", `${name}-method`, methods, state.method, choose("method", load)),
        radios(`Pair by ${missing(items[0].dice_after) ? "NCC" : "Dice"} after registration`, `${name}-rank`,
          ranks.map((rank) => [rank, RANK_WORDS[rank] ?? rank]), state.rank, choose("rank", load)), numbers),
      make("div", {}, radios("Image", `${name}-view`, VIEWS, state.view, choose("view", redraw)), scale,
        make("p", {}, ...[[grid, "Deformation grid"], [cross, "Cross-hair"], [smooth, "Smooth pixels"]].map((two) => make("label", {}, ...two)))),
      make("div", {}, ...(labels.length ? [
        radios("Labels (of the fixed image: solid)", `${name}-labels`, ["outlines", "filled", "none"].map((way) => [way, way]),
          state.labels, choose("labels", redraw)),
        make("p", {}, make("label", { for: only.id }, "Show"), only),
        make("details", { open: labels.length <= 8 ? "" : null }, make("summary", {}, "Colours of the labels"), legend),
      ] : []))),
  );
  planes.forEach(listen);
  [grid, cross, smooth].forEach((one) => one.addEventListener("change", show));
  only.addEventListener("change", () => choose("only", redraw)(Number(only.value)));
  new ResizeObserver(() => { if (item) planes.forEach(paint); }).observe(planesOf);
  load().then(() => place.parentElement.querySelector("details.sheet").removeAttribute("open"));
}
