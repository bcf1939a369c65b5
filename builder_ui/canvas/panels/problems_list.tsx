// The check: what blocks publishing first, then the rest; a click leads to the field, Fix is an ordinary edit.
import "../styles/panels.css";
import { CircleAlert, CircleCheck, Info, TriangleAlert, X } from "lucide-react";
import { useEffect, useMemo, useRef } from "react";
import { stepName } from "../core/hooks";
import { t, words } from "../core/i18n";
import { dispatch, reveal, show, useEditor } from "../core/store";
import type { Problem } from "../core/types";
import { IconButton } from "../screen/parts";
import { goToField, openFlowPanel } from "./panel_state";

const LEVELS = ["error", "warning", "info"] as const;
const SIGNS = { error: CircleAlert, warning: TriangleAlert, info: Info };

export function ProblemsList() {
  const isOpen = useEditor((s) => !!s.panels.problems);
  return isOpen ? <Open /> : null;
}

/** Lead to where a problem is: its field, its exit, its step, or the flow's settings. */
export function showProblem(p: Problem): void {
  if (!p.node_id) openFlowPanel();
  else if (p.field) goToField(p.node_id, p.field);
  else reveal(p.node_id);
}

function Open() {
  const problems = useEditor((s) => s.problems);
  useEditor((s) => s.doc.nodes);
  const box = useRef<HTMLElement>(null);
  const before = useRef(document.activeElement as HTMLElement | null);
  const groups = useMemo(() => LEVELS.map((level) => ({ level, items: problems.filter((p) => p.level === level) })).filter((g) => g.items.length), [problems]);
  const close = () => {
    show("problems", false);
    before.current?.focus?.({ preventScroll: true });
  };
  useEffect(() => {
    (box.current?.querySelector<HTMLElement>(".pp-problem") ?? box.current)?.focus();
  }, []);
  const walk = (e: React.KeyboardEvent) => {
    if (e.key === "Escape") { e.stopPropagation(); return close(); }
    const step = e.key === "ArrowDown" || e.key === "j" ? 1 : e.key === "ArrowUp" || e.key === "k" ? -1 : 0;
    if (!step) return;
    e.preventDefault();
    e.stopPropagation();
    const rows = [...(box.current?.querySelectorAll<HTMLElement>(".pp-problem") ?? [])];
    const at = rows.findIndex((row) => row === document.activeElement || row.parentElement?.contains(document.activeElement));
    rows[(at + step + rows.length) % rows.length]?.focus();
  };
  return (
    <aside ref={box} className="pp-popover" role="dialog" aria-label={t("problems.title")} tabIndex={-1} data-testid="problems" onKeyDown={walk}>
      <header className="pp-head"><h2>{t("problems.title")}</h2><IconButton label={t("close")} onClick={close}><X size={16} /></IconButton></header>
      <div className="pp-scroll">
        {groups.map(({ level, items }) => (
          <section key={level} aria-label={t(`problems.${level}`)}>
            <h3>{t(`problems.${level}`)} <span>{items.length}</span></h3>
            <ul>{items.map((p, i) => <Row key={`${p.code}${p.node_id}${p.field}${p.port}${i}`} problem={p} />)}</ul>
          </section>
        ))}
        {!groups.length && <p className="pp-all-well"><CircleCheck size={18} aria-hidden="true" />{t("problems.none")}</p>}
      </div>
    </aside>
  );
}

export function Row({ problem, onGo }: { problem: Problem; onGo?(): void }) {
  const Sign = SIGNS[problem.level];
  const viewOnly = useEditor((s) => s.viewOnly);
  const s = useEditor.getState();
  const name = problem.node_id ? stepName(s, problem.node_id) : t("flow.whole");
  return (
    <li data-level={problem.level}>
      <button type="button" className="pp-problem" onClick={() => { onGo?.(); showProblem(problem); }}>
        <Sign size={15} aria-label={t(`problems.${problem.level}`)} />
        <span><b>{name}</b><span>{words(problem.message)}</span></span>
      </button>
      {problem.fix && !viewOnly && (
        <button type="button" className="pp-fix" onClick={() => dispatch(problem.fix!.edits, { label: words(problem.fix!.label) })}>{words(problem.fix.label)}</button>
      )}
    </li>
  );
}
