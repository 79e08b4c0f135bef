"use strict";
// Everything here adds to pages that are whole without it.

/** An element with attributes and children; attributes that are null are left out. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Value that a cell is sorted by: its full number, or its text. */
function sortKey(cell) {
  if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
  return cell.textContent.trim();
}

function compareKeys(first, second, down) {
  const direction = down ? -1 : 1;
  const numbers = [first, second].filter((key) => typeof key === "number").length;
  if (numbers === 2) return (first - second) * direction;
  // A number that is undefined comes last, whichever way the others go.
  if (numbers === 1) return typeof first === "number" ? -1 : 1;
  return first.localeCompare(second, "en", { numeric: true }) * direction;
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const label = head.querySelector(".label") || head;
    const button = make("button", { type: "button" }, ...label.childNodes);
    label.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const key = (row) => sortKey(row.cells[column]);
      body.append(...[...body.rows].sort((a, b) => compareKeys(key(a), key(b), down)));
    });
  });
}

/** The old way to copy, for browsers that refuse the clipboard to pages opened from a file. */
function copyBySelection(text) {
  const area = make("textarea", { readonly: "", class: "by-hand" });
  area.value = text;
  document.body.append(area);
  area.select();
  let done = false;
  try {
    done = document.execCommand("copy");
  } catch {
    done = false;
  }
  area.remove();
  return done;
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** A button that copies `text`, or what that function gives, and says so; where nothing can be copied it shows the text, selected. */
function copyButton(label, text) {
  const button = make("button", { type: "button", class: "tool copy" }, label);
  const said = make("span", { class: "said", role: "status" });
  const place = make("div", { class: "copying" }, button, said);
  button.addEventListener("click", async () => {
    const words = typeof text === "function" ? text() : text;
    const done = await copyText(words);
    button.focus();
    said.textContent = done ? "Copied." : "The browser does not let this page copy; the text is below, selected.";
    if (!done && !place.querySelector("textarea")) {
      const area = make("textarea", { readonly: "", class: "by-hand", "aria-label": label });
      area.value = words;
      place.append(area);
      area.select();
    }
  });
  return place;
}

/** The CSV text of a table that brings none: full numbers where cells have them. */
function csvOf(table) {
  const field = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const value = (cell) => cell.dataset.sort ?? cell.textContent.replace(/\s+/g, " ").trim();
  return [...table.rows].map((row) => [...row.cells].map((cell) => field(value(cell))).join(",") + "\n").join("");
}

/** Rows of a table as they are read, the number with its interval in one cell. */
function rowsOf(table) {
  return [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.replace(/\s+/g, " ").trim()));
}

function markdownOf(table, said) {
  const [head, ...rows] = rowsOf(table).map((row) => row.map((text) => text.replaceAll("|", "\\|")));
  const sides = [...table.rows[0].cells].map((cell) => (cell.classList.contains("number") ? "---:" : "---"));
  const lines = [head, sides, ...rows].map((row) => `| ${row.join(" | ")} |\n`).join("");
  return said ? `${lines}\n${said}\n` : lines;
}

function latexOf(table, said) {
  const signs = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "−": "$-$", "λ": "$\\lambda$", "×": "$\\times$" };
  const escaped = (text) => text.replace(/[\\~^−λ×]|[&%$#_{}]/g, (sign) => signs[sign] || `\\${sign}`);
  const [head, ...rows] = rowsOf(table).map((row) => `${row.map(escaped).join(" & ")} \\\\\n`);
  const sides = [...table.rows[0].cells].map((cell) => (cell.classList.contains("number") ? "r" : "l")).join("");
  const note = said ? `% ${said}\n` : "";
  return `${note}\\begin{tabular}{${sides}}\n\\hline\n${head}\\hline\n${rows.join("")}\\hline\n\\end{tabular}\n`;
}

/** Buttons that copy a table: the file with all digits, and as it is read, with what it was made from. */
function copiesOf(table, what, csv, said) {
  const ways = [["CSV", csv], ["Markdown", () => markdownOf(table, said)], ["LaTeX", () => latexOf(table, said)]];
  const places = ways.map(([form, text]) => {
    const place = copyButton(`Copy as ${form}`, text);
    place.firstChild.setAttribute("aria-label", `Copy as ${form}: ${what}`);
    return place;
  });
  return make("div", { class: "copies" }, ...places);
}

document.querySelectorAll("table.data").forEach((table) => {
  const region = table.parentElement;
  if (!region.nextElementSibling?.matches("script.csv")) {
    const what = region.getAttribute("aria-label").replace("Table: ", "");
    region.after(make("script", { type: "application/json", class: "csv", "data-what": what }, JSON.stringify(csvOf(table))));
  }
  if (table.tHead) makeSortable(table);
});
document.querySelectorAll("script.csv").forEach((data) => {
  const table = data.previousElementSibling?.querySelector("table.data");
  if (table) {
    data.after(copiesOf(table, data.dataset.what, JSON.parse(data.textContent), table.closest(".exhibit")?.dataset.said));
    return;
  }
  const what = "Copy the numbers as CSV";
  const place = copyButton(what, JSON.parse(data.textContent));
  place.firstChild.setAttribute("aria-label", `${what}: ${data.dataset.what}`);
  data.after(place);
});
document.querySelectorAll(".command pre").forEach((command) => {
  const place = copyButton("Copy the command", command.textContent);
  place.firstChild.setAttribute("aria-label", `Copy the command: ${command.dataset.what}`);
  command.after(place);
});

/** Click to copy a hash: the whole of it, of which its first digits are shown. */
document.querySelectorAll("code.hash").forEach((code) => {
  const button = make("button", { type: "button", class: "hash", "aria-label": `Copy the hash ${code.textContent}`, title: code.dataset.hash }, code.textContent);
  button.addEventListener("click", async () => {
    button.classList.toggle("copied", await copyText(code.dataset.hash));
    button.focus();
  });
  code.replaceWith(button);
});

/** A click on a figure opens its record; for the keyboard there is the record's own heading. */
document.querySelectorAll(".exhibit .plate img").forEach((image) => {
  const record = image.closest(".exhibit").querySelector("details.record");
  image.classList.add("leads");
  image.addEventListener("click", () => {
    record.open = true;
    record.scrollIntoView();
  });
});

/** The text of a file of code below its name; without this script the name leads to the file that the run keeps. */
const snapshots = document.getElementById("code");
const texts = snapshots ? JSON.parse(snapshots.textContent) : {};
document.querySelectorAll("a[data-code]").forEach((link) => {
  if (!(link.dataset.code in texts)) return;
  link.setAttribute("role", "button");
  link.setAttribute("aria-expanded", "false");
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const open = link.getAttribute("aria-expanded") === "true";
    if (open) link.parentElement.querySelector("pre").remove();
    else link.parentElement.append(make("pre", { tabindex: "0", role: "region", "aria-label": link.textContent }, texts[link.dataset.code]));
    link.setAttribute("aria-expanded", String(!open));
  });
});

/** Lists above a table that choose its rows: by paper, by verdict and by how near the run is to the paper. */
document.querySelectorAll(".filters").forEach((place) => {
  const rows = [...document.getElementById(place.dataset.table).tBodies[0].rows];
  const said = make("p", { class: "said", role: "status" });
  const lists = [["paper", "Paper"], ["word", "Verdict"], ["scope", "How near"]].map(([key, label]) => {
    const values = [...new Set(rows.map((row) => row.dataset[key]))].sort();
    const options = ["all", ...values].map((value, index) => make("option", { value: index ? value : "" }, value));
    const list = make("select", { "data-key": key }, ...options);
    place.append(make("label", {}, `${label} `, list));
    return list;
  });
  const show = () => {
    const kept = rows.filter((row) => lists.every((list) => !list.value || row.dataset[list.dataset.key] === list.value));
    rows.forEach((row) => { row.hidden = !kept.includes(row); });
    said.textContent = `${kept.length} of ${rows.length} rows`;
  };
  lists.forEach((list) => list.addEventListener("change", show));
  place.append(said);
  show();
});

async function sha256Of(file) {
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

document.querySelectorAll(".drop").forEach((zone) => {
  const known = JSON.parse(zone.querySelector("script.known").textContent);
  const input = make("input", { type: "file", multiple: "", "aria-label": "Files to be named" });
  const said = make("ul", { class: "named" });
  const tell = async (files) => {
    const lines = await Promise.all([...files].map(async (file) => {
      const name = known[await sha256Of(file)];
      return make("li", { class: name ? "known" : "unknown" }, `${file.name}: ${name || "unknown or altered"}`);
    }));
    said.replaceChildren(...lines);
  };
  zone.append(input, make("div", { role: "status" }, said));
  input.addEventListener("change", () => tell(input.files));
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    tell(event.dataTransfer.files);
  });
});

// On paper nothing can be opened: records and sheets are printed open, but not each job and each file of code in them.
let closed = [];
window.addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")].filter((details) => !details.parentElement.closest(".record"));
  closed.forEach((details) => details.setAttribute("open", ""));
});
window.addEventListener("afterprint", () => closed.forEach((details) => details.removeAttribute("open")));
