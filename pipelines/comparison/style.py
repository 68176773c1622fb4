"""What the page of a comparison adds to the shared style sheet."""

STYLE = """
:root { --set0: #2563c9; --set1: #c2501b; --set2: #1b7f4b; --set3: #8a3fc0; --set4: #9a7a00;
  --set5: #c22b74; }
@media (prefers-color-scheme: dark) { :root { --set0: #78a9ff; --set1: #ff9a66; --set2: #57c58a;
  --set3: #c79bf2; --set4: #e3c04c; --set5: #ff86bb; } }
.outline { fill: none; stroke-width: 1.8; } .tip { fill: transparent; }
.tip:hover { fill: var(--main-soft); }
.set0 { stroke: var(--set0); } .set1 { stroke: var(--set1); } .set2 { stroke: var(--set2); }
.set3 { stroke: var(--set3); } .set4 { stroke: var(--set4); } .set5 { stroke: var(--set5); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; padding: 0; margin: 0 0 8px;
  list-style: none; font-size: .9rem; }
.legend li { display: flex; gap: 6px; align-items: center; overflow-wrap: anywhere; }
.legend svg { width: 22px; height: 10px; flex: none; }
.trait { min-width: 0; } .trait > p { font-size: .85rem; margin: 6px 0 0; }
a { color: var(--main); text-underline-offset: 3px; }
.far { color: var(--bad); font-weight: 600; }
"""
