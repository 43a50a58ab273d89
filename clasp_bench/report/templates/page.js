"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
data.runs.forEach((run, place) => { run.key = data.keys[place]; });

// Colours: as the system has them, light, dark.
const theme = document.getElementById("theme");
const schemes = ["as the system has them", "light", "dark"];
theme.addEventListener("click", () => {
  const now = document.documentElement.dataset.theme || schemes[0];
  const next = schemes[(schemes.indexOf(now) + 1) % schemes.length];
  document.documentElement.dataset.theme = next;
  theme.title = `colours: ${next}`;
  theme.setAttribute("aria-label", theme.title);
});

// Sorting: a column's own direction first, then the other; missing cells stay last, equal ones keep their order.
for (const table of document.querySelectorAll("table.results")) {
  const body = table.tBodies[0];
  for (const button of table.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const first = button.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const direction = head.getAttribute("aria-sort") === first ? other : first;
      const sign = direction === "ascending" ? 1 : -1;
      const column = Number(button.dataset.column);
      const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (typeof a === "number" ? a - b : a.localeCompare(b));
      });
      body.append(...rows.map(([, row]) => row));
      table.classList.add("sorted");
      table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
    });
  }
}

function value(cell) {
  if (cell.classList.contains("missing")) return null;
  return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
}

// Filters: rows by words (all must occur) and by origin, columns by task, and only each task's first metric.
for (const tools of document.querySelectorAll(".tools")) {
  const table = document.getElementById(tools.dataset.for);
  const search = tools.querySelector("input[type=search]");
  const boxes = [...tools.querySelectorAll("input[type=checkbox]")];
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const off = boxes.filter((box) => !box.checked);
    const origins = off.filter((box) => box.dataset.what === "origin").map((box) => box.value);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = [...row.querySelectorAll(".method, .text")].map((cell) => cell.textContent.toLowerCase()).join(" ");
      row.hidden = origins.includes(row.dataset.origin) || !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    const tasks = off.filter((box) => !box.dataset.what).map((box) => box.value);
    const brief = off.some((box) => box.dataset.what === "metrics");
    for (const cell of table.querySelectorAll("[data-task]")) {
      cell.hidden = tasks.includes(cell.dataset.task) || (brief && cell.classList.contains("further"));
      if (cell.dataset.span) cell.colSpan = brief ? 1 : cell.dataset.span;
    }
    const all = table.tBodies[0].rows.length;
    tools.querySelector("output").textContent = shown === all ? "" : `${shown} of ${all} rows`;
  };
  tools.addEventListener("input", apply);
  apply();
}

// Drill-down: from a figure to its runs. Texts enter as text, never as markup.
const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll("button.open")) {
  button.addEventListener("click", () => show(button.dataset.runs.split(" ").map((place) => data.runs[place]), button.dataset.metric));
}
document.getElementById("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function show(runs, metric) {
  const [first] = runs;
  document.getElementById("runs-title").textContent = `${first.method} · ${first.task}`;
  const articles = runs.map((run) => article(run, metric));
  articles[0].open = true;
  document.getElementById("runs").replaceChildren(...articles);
  dialog.showModal();
  dialog.scrollTop = 0;
}

function article(run, metric) {
  const made = element("details");
  made.className = "run";
  const chosen = run.metrics[metric];
  const summary = element("summary", "", element("b", `seed ${run.seed}`), ` ${metric} ${figure(chosen)} `, element("code", run.key.slice(0, 8)));
  const facts = element("dl");
  for (const [term, content] of described(run)) {
    const description = element("dd");
    description.append(...[content].flat());
    facts.append(element("div", "", element("dt", term), description));
  }
  made.append(summary, facts);
  return made;
}

function figure(metric) {
  return metric.unit === "%" ? metric.value.toFixed(2) : `${Number(metric.value.toPrecision(5))} ${metric.unit}`.trim();
}

function described(run) {
  const code = (text) => element("code", text);
  const { cost, hardware, weights, labels } = run;
  const config = data.configs[run.config.digest];
  const folded = (title, text) => element("details", "", element("summary", title), element("pre", text));
  const metrics = Object.entries(run.metrics).map(([name, metric]) => element("span", `${name} `, element("b", figure(metric))));
  metrics.forEach((span) => (span.className = "figure"));
  const machine = `${hardware.cpu}, ${hardware.threads} threads, ${hardware.device}; ${run.created.slice(0, 16).replace("T", " ")} UTC`;
  const dirty = element("strong", " uncommitted changes");
  dirty.className = "caution";
  return [
    ["Metrics", metrics],
    ["Data", [`${run.dataset.name} `, code(run.dataset.digest.slice(0, 8)), `${run.dataset.rendering ? ` (${run.dataset.rendering})` : ""}, ${run.task} version ${run.task_version}, protocol: ${run.protocol}`]],
    ["Config", [`${run.config.name} `, code(run.config.digest.slice(0, 8)), ...(config ? [folded("text", config)] : [])]],
    ["Weights", weights ? [code(weights.digest.slice(0, 16)), folded("header", JSON.stringify(data.weights[weights.digest], null, 2))] : "random initialisation"],
    ["Pseudo-labels", labels ? [`${labels.teacher} `, code(labels.fingerprint.slice(0, 8)), ...(labels.digest ? [", labels ", code(labels.digest.slice(0, 8))] : [])] : "none"],
    ["Pre-training", weights ? spent(cost.pretrain_wall_seconds, cost.pretrain_cpu_hours, cost.pretrain_gpu_hours, count(cost.photos_seen, " photos seen")) : "none"],
    ["Transfer", spent(cost.wall_seconds, cost.cpu_hours, cost.gpu_hours, `${count(Math.round(cost.peak_memory_mb), " MiB at most")}`)],
    ["Size", [count(cost.parameters, " parameters"), count(cost.activated_parameters, " activated"), count(cost.forward_flops, " FLOPs an image")].filter(Boolean).join(", ")],
    ["Code", [`clasp-bench ${run.code.version} `, ...(run.code.commit ? [code(run.code.commit.slice(0, 12))] : []), ...(run.code.dirty ? [dirty] : [])]],
    ["Machine", machine],
    ["Packages", Object.entries(run.packages).map((pair) => pair.join(" ")).join(", ")],
  ];
}

function spent(seconds, cpu, gpu, rest) {
  const hours = (number, what) => number && `${Number(number.toPrecision(3))} ${what} hours`;
  return [duration(seconds), hours(cpu, "CPU"), hours(gpu, "GPU"), rest].filter(Boolean).join(", ") || "not recorded";
}

function count(number, unit) {
  return number === null ? "" : number.toLocaleString("en") + unit;
}

function duration(seconds) {
  if (seconds === null) return "";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  const pad = (number) => String(number).padStart(2, "0");
  return minutes < 60 ? `${minutes} min ${pad(Math.round(seconds) % 60)} s` : `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}
