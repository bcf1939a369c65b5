// Ctrl+K: go to any step or flow, add any step, do any command.
import { CornerDownLeft, Search, Workflow, Zap } from "lucide-react";
import { Fragment, useMemo, useState } from "react";
import { searchTypes } from "../board/catalog_list";
import { StepIcon } from "../board/step_icon";
import { addStep, nextPlace } from "../board/steps";
import { tidy } from "../board/tidy";
import { readable, stepName, story } from "../core/hooks";
import { t } from "../core/i18n";
import { redo, reveal, show, undo, useEditor } from "../core/store";
import { Dialog } from "./parts";

type Row = { key: string; group: string; label: string; hint?: string; icon?: string; tint?: string; sign?: "flow" | "command"; run(): void };

export function GoTo() {
  const isOpen = useEditor((s) => !!s.panels.goto);
  return isOpen ? <Open /> : null;
}

function rowsFor(query: string): Row[] {
  const s = useEditor.getState();
  const wanted = query.trim().toLocaleLowerCase();
  const fits = (...texts: (string | undefined)[]) => texts.some((x) => x?.toLocaleLowerCase().includes(wanted));
  const rows: Row[] = [];
  for (const [id, node] of Object.entries(s.doc.nodes)) {
    const type = s.types[node.type];
    const text = readable(story(type, node));
    if (wanted && !fits(stepName(s, id), text, type?.label)) continue;
    rows.push({
      key: id, group: t("goto.steps"), label: stepName(s, id), hint: text, icon: type?.icon,
      tint: s.tints[type?.category ?? ""], run: () => reveal(id),
    });
    if (rows.length >= (wanted ? 12 : 6)) break;
  }
  for (const flow of s.flows)
    if (flow.id !== s.flowId && fits(flow.name))
      rows.push({ key: flow.id, group: t("goto.flows"), label: flow.name, sign: "flow", run: () => location.assign(`/agents/${s.agent.id}/flow/${flow.id}`) });
  const commands: [string, string, () => void][] = [
    [t("header.test"), "Ctrl+Enter", () => show("test", true)],
    [t("goto.publish"), "", () => show("publish", true)],
    [t("goto.check"), "", () => show("problems", true)],
    [t("view.tidy"), "Shift+T", () => void tidy()],
    [t("find.title"), "Ctrl+F", () => show("find", true)],
    [t("view.outline"), "", () => show("outline", true)],
    [t("undo.undo"), "Ctrl+Z", undo],
    [t("undo.redo"), "Ctrl+Shift+Z", redo],
    [t("keys.title"), "?", () => show("shortcuts", true)],
  ];
  for (const [label, hint, run] of commands)
    if (fits(label)) rows.push({ key: label, group: t("goto.commands"), label, hint, sign: "command", run });
  if (!s.viewOnly)
    for (const type of wanted ? searchTypes(s, query) : [])
      rows.push({
        key: `add.${type.type}`, group: t("goto.add"), label: type.label, hint: type.summary, icon: type.icon,
        tint: s.tints[type.category], run: () => {
          const place = nextPlace([0, 0]);
          reveal(addStep(type.type, place.at, place));
        },
      });
  return rows;
}

function Open() {
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const rows = useMemo(() => rowsFor(query), [query]);
  const close = () => show("goto", false);
  const choose = (row: Row | undefined) => {
    if (!row) return;
    close();
    window.setTimeout(row.run);
  };
  return (
    <Dialog title={t("goto.title")} onClose={close} bare testId="goto">
      <label className="pc-search" data-large>
        <Search size={17} aria-hidden="true" />
        <input autoFocus value={query} placeholder={t("goto.title")} aria-label={t("goto.title")} role="combobox" aria-expanded="true" aria-controls="pc-goto-list"
          aria-activedescendant={rows[active] ? `pc-goto-${active}` : undefined}
          onChange={(e) => { setQuery(e.target.value); setActive(0); }}
          onKeyDown={(e) => {
            if (e.key === "ArrowDown" || e.key === "ArrowUp") {
              e.preventDefault();
              const next = (active + (e.key === "ArrowDown" ? 1 : rows.length - 1)) % Math.max(1, rows.length);
              setActive(next);
              document.getElementById(`pc-goto-${next}`)?.scrollIntoView({ block: "nearest" });
            } else if (e.key === "Enter") choose(rows[active]);
          }} />
        <kbd>Esc</kbd>
      </label>
      <ul id="pc-goto-list" className="pc-goto" role="listbox" aria-label={t("goto.title")}>
        {rows.map((row, i) => (<Fragment key={row.key}>
          {rows[i - 1]?.group !== row.group && <li role="presentation" className="pc-goto-group">{row.group}</li>}
          <li id={`pc-goto-${i}`} role="option" aria-selected={i === active} data-tint={row.tint}
            onPointerMove={() => setActive(i)} onClick={() => choose(row)}>
            {row.sign === "flow" ? <Workflow size={16} /> : row.sign === "command" ? <Zap size={16} /> : <StepIcon svg={row.icon} size={16} />}
            <b>{row.label}</b><small>{row.hint}</small>
            {i === active && <CornerDownLeft size={14} aria-hidden="true" />}
          </li>
        </Fragment>))}
        {!rows.length && <li className="pc-none" role="presentation">{t("palette.nothing", { query })}</li>}
      </ul>
    </Dialog>
  );
}
