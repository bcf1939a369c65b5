// What the side panel shows for several selected steps, and for a wire.
import { Copy, Power, Sparkles, Trash2, X } from "lucide-react";
import { useMemo } from "react";
import { duplicateSelection } from "../board/clipboard";
import { StepIcon } from "../board/step_icon";
import { disconnect, removeSelection, setEnabled } from "../board/steps";
import { tidy } from "../board/tidy";
import { splitPort } from "../core/edits";
import { stepName, usePorts } from "../core/hooks";
import { t } from "../core/i18n";
import { patchState, reveal, useEditor } from "../core/store";
import { IconButton } from "../screen/parts";

export function ManyPanel() {
  const selection = useEditor((s) => s.selection);
  const doc = useEditor((s) => s.doc);
  const viewOnly = useEditor((s) => s.viewOnly);
  const types = useEditor((s) => s.types);
  const tints = useEditor((s) => s.tints);
  const kinds = useMemo(() => {
    const counts: Record<string, number> = {};
    for (const id of selection) if (doc.nodes[id]) counts[doc.nodes[id].type] = (counts[doc.nodes[id].type] ?? 0) + 1;
    return Object.entries(counts).sort((a, b) => b[1] - a[1]);
  }, [selection, doc.nodes]);
  const isOn = selection.some((id) => doc.nodes[id]?.enabled);
  return (
    <aside className="pp-panel pc-inspector" aria-label={t("inspector.title")} data-testid="many-panel">
      <header className="pp-head">
        <h2>{t("many.title", { n: selection.length })}</h2>
        <IconButton label={t("many.clear")} onClick={() => patchState({ selection: [] })}><X size={16} /></IconButton>
      </header>
      <div className="pp-scroll">
        <ul className="pp-kinds">
          {kinds.map(([type, n]) => (
            <li key={type} data-tint={tints[types[type]?.category] ?? "gray"}><StepIcon svg={types[type]?.icon} size={15} /><span>{types[type]?.label ?? type}</span><b>{n}</b></li>
          ))}
        </ul>
        {!viewOnly && (
          <div className="pp-actions">
            <button type="button" onClick={duplicateSelection}><Copy size={15} aria-hidden="true" />{t("inspector.duplicate")}<kbd>Ctrl D</kbd></button>
            <button type="button" onClick={() => void tidy()}><Sparkles size={15} aria-hidden="true" />{t("many.tidy")}<kbd>Shift T</kbd></button>
            <button type="button" onClick={() => setEnabled(selection, !isOn)}><Power size={15} aria-hidden="true" />{isOn ? t("inspector.switch_off") : t("inspector.switch_on")}<kbd>Shift E</kbd></button>
            <button type="button" data-tone="danger" onClick={removeSelection}><Trash2 size={15} aria-hidden="true" />{t("inspector.delete")}<kbd>Del</kbd></button>
          </div>
        )}
      </div>
    </aside>
  );
}

export function WirePanel({ port }: { port: string }) {
  const target = useEditor((s) => s.doc.edges[port]);
  const viewOnly = useEditor((s) => s.viewOnly);
  const [source, name] = splitPort(port);
  const label = usePorts(source).find((p) => p.id === name)?.label ?? name;
  useEditor((s) => s.doc.nodes);
  const s = useEditor.getState();
  if (!target) return null;
  return (
    <aside className="pp-panel pc-inspector" aria-label={t("inspector.wire")} data-testid="wire-panel">
      <header className="pp-head">
        <h2>{t("inspector.wire")}</h2>
        <IconButton label={t("close")} onClick={() => patchState({ wire: null })}><X size={16} /></IconButton>
      </header>
      <div className="pp-scroll">
        <dl className="pp-wire">
          <dt>{t("wire.from")}</dt><dd><button type="button" className="pp-link" onClick={() => reveal(source)}>{stepName(s, source)}</button> · {label}</dd>
          <dt>{t("wire.to")}</dt><dd><button type="button" className="pp-link" onClick={() => reveal(target)}>{stepName(s, target)}</button></dd>
        </dl>
        {!viewOnly && <div className="pp-actions"><button type="button" data-tone="danger" onClick={() => disconnect(port)}><Trash2 size={15} aria-hidden="true" />{t("inspector.delete_wire")}<kbd>Del</kbd></button></div>}
      </div>
    </aside>
  );
}
