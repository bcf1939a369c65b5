// The flow as a list, in the order people meet its steps: for screen readers and for reading.
import { X } from "lucide-react";
import { useMemo } from "react";
import { StepIcon } from "../board/step_icon";
import { portsOf, readable, stepName, story } from "../core/hooks";
import { t } from "../core/i18n";
import { reveal, show, useEditor } from "../core/store";
import { IconButton } from "./parts";

/** Every step once: breadth first from the start, then those that nobody reaches. */
export function readingOrder(nodes: Record<string, unknown>, edges: Record<string, string>, starts: string[]): string[] {
  const next: Record<string, string[]> = {};
  for (const [port, target] of Object.entries(edges)) (next[port.slice(0, port.indexOf("."))] ??= []).push(target);
  const seen = new Set<string>();
  const queue = [...starts, ...Object.keys(nodes)];
  const fresh: string[] = starts.filter((id) => id in nodes);
  while (fresh.length || queue.length) {
    const id = fresh.shift() ?? queue.shift()!;
    if (seen.has(id) || !(id in nodes)) continue;
    seen.add(id);
    fresh.push(...(next[id] ?? []));
  }
  return [...seen];
}

export function Outline() {
  const isOpen = useEditor((s) => !!s.panels.outline);
  return isOpen ? <Open /> : null;
}

function Open() {
  const doc = useEditor((s) => s.doc);
  const selection = useEditor((s) => s.selection);
  const order = useMemo(() => readingOrder(doc.nodes, doc.edges, Object.values(doc.entry)), [doc.nodes, doc.edges, doc.entry]);
  const s = useEditor.getState();
  const number = useMemo(() => Object.fromEntries(order.map((id, i) => [id, i + 1])), [order]);
  return (
    <aside className="pc-drawer pc-outline" aria-label={t("view.outline")} data-testid="outline" onKeyDown={(e) => e.key === "Escape" && show("outline", false)}>
      <header><h2>{t("view.outline")}</h2><IconButton label={t("close")} onClick={() => show("outline", false)}><X size={16} /></IconButton></header>
      <ol className="pc-scroll">
        {order.map((id) => {
          const type = s.types[doc.nodes[id].type];
          const ports = portsOf(s, id);
          return (
            <li key={id} data-tint={s.tints[type?.category]} data-selected={selection.includes(id) || undefined}>
              <button type="button" onClick={() => reveal(id)}>
                <StepIcon svg={type?.icon} size={15} />
                <span><b>{number[id]}. {stepName(s, id)}</b><small>{readable(story(type, doc.nodes[id]))}</small></span>
              </button>
              <ul>
                {ports.map((port) => {
                  const target = doc.edges[`${id}.${port.id}`];
                  if (!target && port.optional) return null;
                  return (
                    <li key={port.id} data-kind={port.kind}>
                      {port.label} → {target ? <button type="button" onClick={() => reveal(target)}>{number[target]}. {stepName(s, target)}</button> : <em>{t("outline.open")}</em>}
                    </li>
                  );
                })}
              </ul>
            </li>
          );
        })}
      </ol>
    </aside>
  );
}
