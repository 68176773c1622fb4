"""The page's style sheet: one column on a phone, light and dark."""

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #16191d; --soft: #59626e;
  --line: #dde1e7; --main: #2563c9; --main-soft: #2563c926; --good: #1b7f4b; --bad: #c2342b;
  --bad-soft: #c2342b22; --heat: 194 52 43; }
@media (prefers-color-scheme: dark) { :root { --page: #111418; --card: #1a1e24; --ink: #e8ebef;
  --soft: #9aa5b1; --line: #2d343d; --main: #78a9ff; --main-soft: #78a9ff2e; --good: #57c58a;
  --bad: #ff8379; --bad-soft: #ff83792e; --heat: 255 131 121; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 4px; }
h3 { font-size: .95rem; margin: 20px 0 8px; }
p { margin: 0 0 12px; } .soft { color: var(--soft); font-size: .9rem; }
section, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
section { padding: 20px; margin-top: 16px; }
.tiles { display: grid; gap: 12px; margin-top: 20px;
  grid-template-columns: repeat(6, 1fr); }
.tile { padding: 14px 16px; } .tile b { display: block; font-size: 1.6rem; line-height: 1.3;
  font-variant-numeric: tabular-nums; } .tile span { color: var(--soft); font-size: .82rem; }
.tile.lead b { color: var(--main); }
.two { display: grid; gap: 20px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); }
.wide { overflow-x: auto; margin: 0 -4px; padding: 0 4px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: .92rem; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: .82rem; }
th, td { padding: 6px 10px 6px 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
tr:last-child > td { border-bottom: 0; }
td.n, th.n { text-align: right; white-space: nowrap; } td.name { overflow-wrap: anywhere;
  min-width: 7em; }
.band { position: relative; height: 8px; min-width: 110px; border-radius: 4px;
  background: var(--main-soft); }
.band i, .band b { position: absolute; top: 0; bottom: 0; border-radius: 4px; }
.band i { background: var(--main); opacity: .45; } .band b { width: 3px; margin-left: -1px;
  background: var(--main); }
svg { display: block; width: 100%; max-width: 600px; height: auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 12px; font-family: inherit; }
.grid { stroke: var(--line); } .bar { fill: var(--main); opacity: .75; } .faint {
  fill: var(--main-soft); }
.mark { fill: var(--main); } .range { stroke: var(--main); stroke-width: 1.5; opacity: .6; }
.trend { fill: none; stroke: var(--main); stroke-width: 1.5; opacity: .5; }
.ideal { stroke: var(--soft); stroke-dasharray: 4 4; }
.heat { width: auto; font-size: .85rem; } .heat td, .heat th { width: 2.3em; min-width: 2.3em;
  height: 2.1em;
  padding: 0; text-align: center; border: 1px solid var(--line); color: var(--ink); }
.heat th { background: var(--page); font: 600 .9rem ui-monospace, Menlo, Consolas, monospace; }
.heat td.self { background: var(--page); }
.pairs { display: flex; flex-wrap: wrap; gap: 8px; padding: 0; margin: 0; list-style: none; }
.pairs + p { margin-top: 10px; }
.pairs li { border: 1px solid var(--line); border-radius: 8px; padding: 2px 10px;
  font-size: .9rem; white-space: nowrap; }
code, .text {
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
code { font-size: .86em; overflow-wrap: anywhere; }
.cards { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 230px), 1fr)); }
.card { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; min-width: 0; }
.card .picture { background: #8884; display: grid; place-items: center; height: 84px;
  padding: 8px; }
.card img { height: 60px; max-width: 100%; object-fit: contain; }
.card dl { margin: 0; padding: 10px 12px; } .card p { margin: 0; padding: 0 12px 10px;
  overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 14px; margin: 0; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; min-width: 0;
  overflow-wrap: anywhere; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .95rem; }
.reading span { background: rgb(var(--heat) / var(--tint, 0)); border-radius: 3px; }
.reading .space { color: var(--soft); }
mark { background: var(--bad-soft); color: var(--bad); border-radius: 3px; font-weight: 600; }
details { margin-top: 12px; } summary { cursor: pointer; color: var(--main); font-size: .9rem; }
@media (max-width: 1000px) { .tiles { grid-template-columns: repeat(3, 1fr); } }
@media (max-width: 520px) { main { padding: 16px 10px 40px; } section { padding: 16px 14px; }
  .tiles { grid-template-columns: 1fr 1fr; } .tile b { font-size: 1.35rem; } }
@media print { body { background: #fff; } section, .card { break-inside: avoid; } }
"""
