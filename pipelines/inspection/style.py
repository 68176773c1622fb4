"""What the page of an inspection adds to the shared style sheet."""

STYLE = """
:root { --warn: #9a5b00; --warn-soft: #e0930022; --info: var(--main); }
@media (prefers-color-scheme: dark) { :root { --warn: #f0b04c; --warn-soft: #f0b04c2a; } }
.tile.error b { color: var(--bad); } .tile.warning b { color: var(--warn); }
.tile.good b { color: var(--good); }
.chip { display: inline-block; border-radius: 6px; padding: 0 8px; font-size: .78rem;
  font-weight: 600; line-height: 1.7; white-space: nowrap; }
.chip.error { background: var(--bad-soft); color: var(--bad); }
.chip.warning { background: var(--warn-soft); color: var(--warn); }
.chip.info { background: var(--main-soft); color: var(--main); }
section.finding h2 { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: baseline; }
section.finding h2 .count { color: var(--soft); font-weight: 400; font-size: .95rem; }
section:target { outline: 2px solid var(--main); outline-offset: 2px; }
section { scroll-margin-top: 12px; }
a { color: var(--main); text-underline-offset: 3px; }
.remedy { margin: 0 0 14px; } .remedy b { font-weight: 600; }
.samples { display: grid; gap: 1px; background: var(--line); }
.samples .sample { background: var(--card); }
.cards { align-items: start; }
.card .none { color: var(--soft); font-size: .85rem; }
.card .message { padding: 8px 12px; margin: 0; font-size: .88rem; line-height: 1.4; }
.message .text { font: inherit; }
.card .sample p { padding: 8px 12px 10px; line-height: 1.35; }
.sample .soft { font-size: .78rem; }
.unseen { background: var(--bad-soft); color: var(--bad); border-radius: 3px; padding: 0 3px;
  font-size: .8em; font-weight: 600; white-space: nowrap; }
.letters { display: grid; gap: 8px; grid-template-columns:
  repeat(auto-fill, minmax(86px, 1fr)); padding: 0; margin: 0; list-style: none; }
.letters li { border: 1px solid var(--line); border-radius: 8px; padding: 6px 8px;
  text-align: center; min-width: 0; overflow-wrap: anywhere; }
.letters b { display: block; font: 600 1.15rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
.letters span { display: block; color: var(--soft); font-size: .75rem; line-height: 1.35; }
.letters .warning { border-color: var(--warn); } .letters .error { border-color: var(--bad); }
.now { fill: none; stroke: var(--bad); stroke-width: 2; }
@media (max-width: 520px) {
  .finding .cards { grid-template-columns: repeat(auto-fill, minmax(136px, 1fr)); gap: 8px; }
  .overview th:last-child, .overview td:last-child { display: none; } }
.proposal { display: block; padding: 10px 12px; background: var(--page); border-radius: 8px;
  margin: 0 0 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
"""
