"""Rules of the review page beside those that every page has."""

STYLE = """
main { max-width: 860px; padding-top: 0; }
button, select { font: inherit; font-size: .92rem; color: var(--ink); background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; padding: 6px 12px; cursor: pointer; }
button:hover:not(:disabled) { border-color: var(--main); } button:disabled { opacity: .45; }
button.main { background: var(--main); border-color: var(--main); color: var(--card);
  font-weight: 600; }
:focus-visible { outline: 2px solid var(--main); outline-offset: 2px; }
.top { position: sticky; top: 0; z-index: 1; margin: 0 -16px 20px; padding: 10px 16px;
  background: var(--page); border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap;
  align-items: center; gap: 6px 16px; }
.counts { display: flex; flex-wrap: wrap; gap: 2px 14px; color: var(--soft); font-size: .9rem; }
.count b { color: var(--ink); font-variant-numeric: tabular-nums; }
progress { flex: 1 1 80px; min-width: 60px; height: 8px; accent-color: var(--main); }
#status { flex: 1 0 100%; margin: 0; font-size: .9rem; } #status:empty { display: none; }
#status.bad { color: var(--bad); font-weight: 600; }
.how details { margin: 0; } .how p { margin: 10px 0 0; }
.keys { margin-top: 12px; font-size: .92rem; }
kbd { font: 600 .85em ui-monospace, Menlo, Consolas, monospace; border: 1px solid var(--line);
  border-bottom-width: 2px; border-radius: 5px; padding: 0 5px; margin-right: 4px;
  background: var(--page); color: var(--ink); white-space: nowrap; }
.line { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 8px 16px;
  align-items: center; } .line:last-of-type { justify-content: flex-end; }
.pager { display: flex; align-items: center; gap: 8px; font-variant-numeric: tabular-nums;
  font-size: .92rem; }
#list { display: grid; gap: 14px; margin: 14px 0; }
.item { border: 1px solid var(--line); border-left: 5px solid var(--line); border-radius: 10px;
  padding: 12px; min-width: 0; scroll-margin: 140px 0 60px; }
.item:focus-within { box-shadow: 0 0 0 2px var(--main); }
.item.accepted { border-left-color: var(--good); } .item.corrected {
  border-left-color: var(--main); } .item.unreadable { border-left-color: var(--bad); }
.item p { margin: 8px 0 0; } .state { color: var(--ink); } .state:not(:empty)::after {
  content: " · "; }
.address { overflow-wrap: anywhere; }
.frame { background: #8884; border-radius: 8px; padding: 10px; overflow-x: auto; }
.frame img { display: block; height: auto; width: min(100%, calc(var(--high) * var(--aspect)));
  min-width: min(calc(30px * var(--aspect)), 1200px); }
.was, .other { font-size: 1.05rem; } .was .text, .other .text { font-size: 1.1rem; }
.edit { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 8px; }
.edit input { flex: 1 1 260px; min-width: 0; font-size: 1.1rem; padding: 6px 10px;
  color: var(--ink); background: var(--page); border: 1px solid var(--line); border-radius: 8px; }
.item.unreadable input, .item.unreadable img { opacity: .5; }
.hint { font-size: .9rem; color: var(--soft); } .hint.bad { color: var(--bad); }
@media (max-width: 520px) { .top { margin: 0 -10px 12px; padding: 8px 10px; }
  .edit input { flex-basis: 100%; } .edit button { flex: 1; padding: 9px; }
  .counts { font-size: .82rem; gap: 2px 10px; } progress { flex-basis: 40px; } }
"""
