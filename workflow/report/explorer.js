// Accuracy against folding against time: a scatter of one table's methods, with the numbers below it.
(() => {
  const svg = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const shown = (value) => (value === null ? "undefined" : String(Number(value.toPrecision(4))));
  const within = ([, low, high]) => (low === undefined || low === null || high === null ? "" : `${shown(low)} to ${shown(high)}`);

  /** Round steps of which about `count` fit from low to high. */
  function ticksOf(low, high, count) {
    const raw = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= raw);
    const first = Math.ceil(low / step - 1e-9);
    return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, place) => Number(((first + place) * step).toPrecision(12)));
  }

  /** Place of a value from 0 to 1 along an axis, and its ticks; on a logarithmic one 0 stands apart, at the start. */
  function scaleOf(values, logarithmic, count) {
    const all = values.flat().filter((value) => value !== null && value !== undefined);
    const positive = all.filter((value) => value > 0);
    if (logarithmic && positive.length) {
      const zero = positive.length < all.length ? 0.1 : 0;
      const low = Math.floor(Math.log10(Math.min(...positive)) + 1e-9), high = Math.max(Math.ceil(Math.log10(Math.max(...positive)) - 1e-9), low + 1);
      const place = (value) => (value > 0 ? zero + (1 - zero) * Math.max((Math.log10(value) - low) / (high - low), 0) : 0);
      const step = Math.max(Math.ceil((high - low) / count), 1);
      const decades = Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, at) => Number(`1e${low + at * step}`));
      return { place, ticks: zero ? [0, ...decades] : decades };
    }
    const least = Math.min(...all), most = Math.max(...all), margin = (most - least || Math.abs(most) || 1) * 0.08;
    const low = least - margin, high = most + margin;
    return { place: (value) => (value - low) / (high - low), ticks: ticksOf(low, high, count) };
  }

  /** A free place for a label of 20 x 16 near a point: around it, then further out. */
  function freePlace(x, y, taken, width, height) {
    for (const far of [15, 24, 36, 50, 66]) {
      for (const turn of [7, 1, 5, 3, 0, 6, 4, 2]) {
        const at = { x: x + far * Math.cos((turn * Math.PI) / 4), y: y + far * Math.sin((turn * Math.PI) / 4) };
        const inside = at.x > 10 && at.x < width - 10 && at.y > 8 && at.y < height - 8;
        if (inside && taken.every((other) => Math.abs(other.x - at.x) > 20 || Math.abs(other.y - at.y) > 16)) return at;
      }
    }
    return { x: x + 15, y };
  }

  document.querySelectorAll(".explorer").forEach((explorer) => {
    const sets = JSON.parse(explorer.querySelector("script.sets").textContent);
    const select = (label, options) => {
      const list = make("select", {}, ...options.map(([value, text]) => make("option", { value }, text)));
      return [list, make("label", {}, make("span", {}, label), list)];
    };
    const [data, dataPart] = select("Data", sets.map((set, place) => [place, set.name]));
    const [across, acrossPart] = select("Across", []);
    const [up, upPart] = select("Up", []);
    const box = (label) => {
      const input = make("input", { type: "checkbox" });
      return [input, make("label", {}, input, label)];
    };
    const [logAcross, logAcrossPart] = box("logarithmic across"), [logUp, logUpPart] = box("logarithmic up");
    const methods = make("fieldset", { class: "chosen" }), stage = make("div", { class: "scatter" }), below = make("div", { class: "below" });
    const said = make("p", { class: "caption" });
    explorer.querySelector(".fallback").replaceWith(
      make("div", { class: "choices" }, dataPart, upPart, acrossPart, logUpPart, logAcrossPart), methods, stage, said, below,
    );
    explorer.classList.add("ready");
    let set;

    const columnOf = (list) => set.columns.findIndex((column) => column.key === list.value);
    const titleOf = (column) => `${column.label} (${column.better} is better)`;

    /** Lists and boxes of another dataset; what was chosen stays where it has it. */
    function choose() {
      set = sets[Number(data.value)];
      const first = (...names) => names.map((name) => set.columns.find((column) => column.key.startsWith(name))).find(Boolean) || set.columns[0];
      for (const [list, fallback] of [[up, first("dice", "ncc")], [across, first("fold_share", "seconds")]]) {
        const before = list.value;
        list.replaceChildren(...set.columns.map((column) => make("option", { value: column.key }, column.label)));
        list.value = set.columns.some((column) => column.key === before) ? before : fallback.key;
      }
      const off = new Set([...methods.querySelectorAll("input:not(:checked)")].map((input) => input.value));
      methods.replaceChildren(make("legend", {}, "Methods"), ...set.rows.map((row, place) => {
        const input = make("input", { type: "checkbox", value: row.method });
        input.checked = !off.has(row.method);
        input.addEventListener("change", draw);
        return make("label", {}, input, `${place + 1} ${row.method}`);
      }));
      settle();
    }

    function settle() {
      [logAcross.checked, logUp.checked] = [set.columns[columnOf(across)].log, set.columns[columnOf(up)].log];
      draw();
    }

    function draw() {
      const [x, y] = [columnOf(across), columnOf(up)];
      const wanted = new Set([...methods.querySelectorAll("input:checked")].map((input) => input.value));
      const rows = set.rows.map((row, place) => ({ ...row, number: place + 1 })).filter((row) => wanted.has(row.method));
      const known = rows.filter((row) => row.values[x][0] !== null && row.values[y][0] !== null);
      stage.replaceChildren(known.length ? picture(known, x, y) : make("p", {}, "No method that was chosen has both numbers."));
      said.replaceChildren(`${set.said}. Each point is a method by its number in the table; lines are 95 % intervals where the measure has one. From `, make("a", { href: `#${set.id}` }, `${set.label}, with its record`), ".");
      numbers(rows, x, y);
    }

    function picture(rows, x, y) {
      const width = Math.max(stage.clientWidth, 280), height = Math.min(Math.max(width * 0.55, 260), 420);
      const edge = { left: 64, right: 14, top: 12, bottom: 46 };
      const inner = { width: width - edge.left - edge.right, height: height - edge.top - edge.bottom };
      const scales = [[x, logAcross.checked, inner.width / 70], [y, logUp.checked, inner.height / 45]];
      const [horizontal, vertical] = scales.map(([column, log, count]) => scaleOf(rows.map((row) => row.values[column]), log, Math.max(count, 2)));
      const toX = (value) => edge.left + horizontal.place(value) * inner.width;
      const toY = (value) => height - edge.bottom - vertical.place(value) * inner.height;
      const name = `${titleOf(set.columns[y])} against ${titleOf(set.columns[x])}: ${rows.map((row) => `${row.number} ${row.method}`).join(", ")}. The numbers are in the table below.`;
      const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": name });
      for (const tick of horizontal.ticks) {
        drawing.append(svg("line", { class: "grid", x1: toX(tick), x2: toX(tick), y1: edge.top, y2: height - edge.bottom }), svg("text", { x: toX(tick), y: height - edge.bottom + 16, "text-anchor": "middle" }, String(tick)));
      }
      for (const tick of vertical.ticks) {
        drawing.append(svg("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: toY(tick), y2: toY(tick) }), svg("text", { x: edge.left - 6, y: toY(tick) + 4, "text-anchor": "end" }, String(tick)));
      }
      drawing.append(svg("text", { class: "axis", x: edge.left + inner.width / 2, y: height - 8, "text-anchor": "middle" }, titleOf(set.columns[x])));
      drawing.append(svg("text", { class: "axis", transform: `translate(13 ${edge.top + inner.height / 2}) rotate(-90)`, "text-anchor": "middle" }, titleOf(set.columns[y])));
      const points = rows.map((row) => ({ row, x: toX(row.values[x][0]), y: toY(row.values[y][0]) }));
      const taken = points.map(({ x, y }) => ({ x, y }));
      for (const point of points) {
        const { row } = point, [, left, right] = row.values[x], [, low, high] = row.values[y];
        const whole = svg("g", { class: row.number === 1 ? "point before" : "point" }, svg("title", {}, `${row.method}: ${shown(row.values[y][0])} and ${shown(row.values[x][0])}`));
        if (left !== undefined && left !== null && right !== null) whole.append(svg("line", { x1: toX(left), x2: toX(right), y1: point.y, y2: point.y }));
        if (low !== undefined && low !== null && high !== null) whole.append(svg("line", { x1: point.x, x2: point.x, y1: toY(low), y2: toY(high) }));
        const at = freePlace(point.x, point.y, taken, width, height);
        taken.push(at);
        if (Math.hypot(at.x - point.x, at.y - point.y) > 16) whole.append(svg("line", { class: "lead", x1: point.x, y1: point.y, x2: at.x, y2: at.y }));
        whole.append(svg("circle", { cx: point.x, cy: point.y, r: 4.5 }), svg("text", { x: at.x, y: at.y + 4, "text-anchor": "middle" }, String(row.number)));
        drawing.append(whole);
      }
      return drawing;
    }

    /** The same numbers as a table that sorts and copies like every other. */
    function numbers(rows, x, y) {
      const columns = [y, ...(x === y ? [] : [x])];
      const head = (text, number, unit = "") => make("th", { scope: "col", class: number ? "number" : null }, make("span", { class: "label" }, text), ...(unit ? [" ", make("span", { class: "unit" }, `(${unit})`)] : []));
      const cell = (values) => {
        const interval = within(values);
        const text = make("td", { class: "number", "data-sort": values[0] }, shown(values[0]));
        if (interval) text.append(" ", make("span", { class: "interval" }, `(${interval})`));
        return text;
      };
      const body = rows.map((row) => make("tr", {}, make("th", { scope: "row" }, `${row.number} ${row.method}`), ...columns.map((column) => cell(row.values[column]))));
      const table = make("table", { class: "data" },
        make("thead", {}, make("tr", {}, head("method", false), ...columns.map((column) => head(set.columns[column].label, true, set.columns[column].interval)))), make("tbody", {}, ...body));
      const what = `the numbers chosen, ${set.name}`;
      const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
      const named = columns.flatMap((column) => ["", ...(set.columns[column].interval ? ["_low", "_high"] : [])].map((end) => set.columns[column].key + end));
      const lines = rows.map((row) => [quoted(row.method), ...columns.flatMap((column) => row.values[column].map((value) => value ?? ""))].join(","));
      const csv = [["method", ...named].join(","), ...lines, ""].join("\n");
      below.replaceChildren(make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `Table: ${what}` }, table), copiesOf(table, what, csv, set.said));
      makeSortable(table);
    }

    data.addEventListener("change", choose);
    [across, up].forEach((list) => list.addEventListener("change", settle));
    [logAcross, logUp].forEach((input) => input.addEventListener("change", draw));
    choose();
    let width = stage.clientWidth;
    new ResizeObserver(() => {
      if (Math.abs(stage.clientWidth - width) < 2) return;
      width = stage.clientWidth;
      draw();
    }).observe(stage);
  });
})();
