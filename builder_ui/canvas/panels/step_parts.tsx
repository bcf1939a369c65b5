// Parts of the step panel: the name that is changed in place, the actions, and connecting exits by keyboard.
import { Copy, CornerDownRight, Ellipsis, Flag, Power, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { duplicateSelection } from "../board/clipboard";
import { connect, disconnect, removeSelection, setEnabled } from "../board/steps";
import { stepName, usePorts } from "../core/hooks";
import { t } from "../core/i18n";
import { dispatch, reveal, useEditor } from "../core/store";
import { IconButton } from "../screen/parts";
import { readingOrder } from "../screen/outline";
import { useFollowing, useForm } from "./form_context";

export function NameField({ id, name, fallback, disabled }: { id: string; name: string; fallback: string; disabled: boolean }) {
  const { ref, follow } = useFollowing<HTMLInputElement>(name);
  return (
    <input ref={ref} className="pp-name" defaultValue={name} placeholder={fallback} maxLength={200} disabled={disabled} aria-label={t("inspector.name")} data-testid="step-name" autoComplete="off" data-1p-ignore
      onBlur={follow} onKeyDown={(e) => e.key === "Enter" && e.currentTarget.blur()}
      onChange={(e) => dispatch([{ kind: "change_node", id, name: e.target.value.trim() }], { label: t("inspector.name"), field: `${id}.name` })} />
  );
}

/** A menu under a button: arrows walk, Esc closes and gives the focus back. */
export function Menu({ label, children }: { label: string; children(close: () => void): React.ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    box.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const away = (e: Event) => !box.current?.contains(e.target as Node) && setOpen(false);
    window.addEventListener("pointerdown", away, true);
    return () => window.removeEventListener("pointerdown", away, true);
  }, [isOpen]);
  const walk = (e: React.KeyboardEvent) => {
    const items = [...(box.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    if (e.key === "Escape") {
      e.stopPropagation();
      setOpen(false);
      box.current?.querySelector("button")?.focus();
    } else if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      items[(at + (e.key === "ArrowDown" ? 1 : items.length - 1)) % items.length]?.focus();
    }
  };
  return (
    <div className="pp-menu-box" ref={box} onKeyDown={isOpen ? walk : undefined}>
      <IconButton label={label} pressed={isOpen} onClick={() => setOpen(!isOpen)} testId="step-actions"><Ellipsis size={16} /></IconButton>
      {isOpen && <div className="pp-menu" role="menu">{children(() => setOpen(false))}</div>}
    </div>
  );
}

export function Actions({ id, enabled, isEntry }: { id: string; enabled: boolean; isEntry: boolean }) {
  const isStart = useEditor((s) => s.doc.entry.message === id);
  return (
    <Menu label={t("inspector.actions")}>
      {(close) => {
        const act = (run: () => void) => () => { close(); run(); };
        return (
          <>
            <button type="button" role="menuitem" onClick={act(duplicateSelection)}><Copy size={15} aria-hidden="true" />{t("inspector.duplicate")}<kbd>Ctrl D</kbd></button>
            <button type="button" role="menuitem" onClick={act(() => setEnabled([id], !enabled))}><Power size={15} aria-hidden="true" />{enabled ? t("inspector.switch_off") : t("inspector.switch_on")}<kbd>Shift E</kbd></button>
            {isEntry && !isStart && <button type="button" role="menuitem" onClick={act(() => dispatch([{ kind: "set_start", trigger: "message", node: id }]))}><Flag size={15} aria-hidden="true" />{t("inspector.make_start")}</button>}
            <hr />
            <button type="button" role="menuitem" data-tone="danger" onClick={act(removeSelection)}><Trash2 size={15} aria-hidden="true" />{t("inspector.delete")}<kbd>Del</kbd></button>
          </>
        );
      }}
    </Menu>
  );
}

/** Each exit and the step it leads to: the way to connect without a mouse. */
export function Exits({ id, disabled }: { id: string; disabled: boolean }) {
  const ports = usePorts(id);
  const doc = useEditor((s) => s.doc);
  const types = useEditor((s) => s.types);
  const { problems } = useForm();
  if (!ports.length) return null;
  const s = useEditor.getState();
  const order = readingOrder(doc.nodes, doc.edges, Object.values(doc.entry)).filter((other) => !types[doc.nodes[other].type]?.entry);
  return (
    <section className="pp-section pp-exits">
      <h3>{t("inspector.exits")}</h3>
      {ports.map((port) => {
        const ref = `${id}.${port.id}`;
        const target = doc.edges[ref] ?? "";
        const label = port.label || t("inspector.exit_unnamed");
        return (
          <div key={port.id} className="pp-exit" data-kind={port.kind} data-broken={port.broken || undefined} data-level={problems.find((p) => p.port === port.id && !p.field)?.level}>
            <label>
              <span title={label}>{label}</span>
              <select className="pp-input" data-small value={target} disabled={disabled} aria-label={t("inspector.connect", { name: label })} data-testid={`exit-${port.id}`}
                onChange={(e) => (e.target.value ? connect(ref, e.target.value) : disconnectKeeping(ref))}>
                <option value="">{port.optional ? t("inspector.not_used") : t("inspector.nowhere")}</option>
                {order.map((other, i) => <option key={other} value={other}>{`${stepName(s, other)}${other === id ? ` (${t("inspector.itself")})` : sameName(order, other, i)}`}</option>)}
              </select>
            </label>
            <IconButton label={t("inspector.go_to", { name: target ? stepName(s, target) : "" })} disabled={!target} onClick={() => reveal(target)}><CornerDownRight size={15} /></IconButton>
          </div>
        );
      })}
    </section>
  );

  function sameName(order: string[], other: string, at: number): string {
    const name = stepName(s, other);
    const twins = order.filter((x) => stepName(s, x) === name);
    return twins.length > 1 ? ` · ${twins.indexOf(order[at]) + 1}` : "";
  }
}

/** Taking a wire away here must not deselect the step. */
function disconnectKeeping(ref: string): void {
  const { selection } = useEditor.getState();
  disconnect(ref);
  useEditor.setState({ selection });
}
