"use strict";

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
      table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
    });
  }
}

function value(cell) {
  if (cell.classList.contains("missing")) return null;
  return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
}

// A figure's link opens the runs behind it.
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", openTarget);
for (const link of document.querySelectorAll('a[href^="#"]')) link.addEventListener("click", () => setTimeout(openTarget));
openTarget();
