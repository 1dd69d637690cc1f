"""How the page of a search's report looks on a screen and on paper, and how its table is sorted."""

STYLE = """
:root { --ink: #1a1a1a; --faint: #666; --line: #d8d8d8; --shade: #f5f5f3; --mark: #b34700; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff;
       font: 15px/1.5 "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 32px 60px; }
.kind { margin: 0; color: var(--mark); font-weight: 600; }
h1 { margin: 0 0 12px; font-size: 30px; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 40px 0 10px; padding-bottom: 4px; font-size: 20px;
     border-bottom: 2px solid var(--ink); }
h3 { margin: 0 0 6px; font-size: 16px; }
p { margin: 8px 0; max-width: 90ch; }
.problem { color: var(--mark); overflow-wrap: anywhere; }
.wide { overflow: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: 4px 10px; text-align: right; vertical-align: top; white-space: nowrap; }
thead th { position: sticky; top: 0; background: var(--shade); box-shadow: 0 1px var(--ink); }
tbody tr { border-bottom: 1px solid var(--line); }
.text { text-align: left; }
.paper { display: none; }
.total tbody tr:last-child { font-weight: 700; border-top: 1px solid var(--ink); }
.pairs th { font-weight: 600; color: var(--faint); padding-left: 0; text-align: left; }
.pairs td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.sortable thead th { cursor: pointer; }
.sortable thead th[aria-sort="ascending"]::after { content: " \\25b2"; }
.sortable thead th[aria-sort="descending"]::after { content: " \\25bc"; }
.sortable td:last-child { white-space: normal; min-width: 5ch; max-width: 70ch; }
.wide:has(.sortable) { max-height: 460px; border-bottom: 1px solid var(--ink); }
nav { margin: 14px 0 0; display: flex; flex-wrap: wrap; gap: 4px 18px; }
nav a { color: var(--mark); }
figure { margin: 22px 0 34px; break-inside: avoid; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption { margin-top: 4px; max-width: 90ch; color: var(--faint); }
pre { padding: 12px 16px; overflow-x: auto; background: var(--shade); font-size: 12.5px;
      line-height: 1.45; }
@media print {
  @page { size: A4; margin: 14mm; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  figure img { max-height: 225mm; }
  nav, .screen { display: none; }
  .paper { display: table-cell; }
  p.paper { display: block; }
  .sortable tbody tr:nth-child(n + 21) { display: none; }
  .wide, .wide:has(.sortable) { overflow: visible; max-height: none; border: 0; }
  thead th { position: static; }
  table { font-size: 7.5pt; }
  th, td { padding: 2px 5px; }
  tr { break-inside: avoid; }
  td.paper { width: 60%; }
  td.paper, .sortable td:last-child { white-space: normal; overflow-wrap: anywhere; }
  pre { white-space: pre-wrap; font-size: 8pt; }
}
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    const text = row => row.cells[column].textContent.replace(/^\\(/, "");
    const order = (a, b) => {
      const [x, y] = [text(a), text(b)], [m, n] = [parseFloat(x), parseFloat(y)];
      if (!x || !y) return !x - !y;
      return (down ? -1 : 1) * (isNaN(m) || isNaN(n) ? x.localeCompare(y) : m - n);
    };
    body.append(...[...body.rows].sort(order));
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  }));
}
"""
