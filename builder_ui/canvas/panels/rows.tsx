// A list of rows: added, removed, folded, and put in order by dragging the handle or with the arrow keys on it.
import { ChevronDown, GripVertical, Plus, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { t } from "../core/i18n";
import { useEditor } from "../core/store";
import { IconButton } from "../screen/parts";
import { Field } from "./field";
import { Beside, useForm, useIsAskedInside, type WidgetProps } from "./form_context";
import { useRemote } from "./remote_field";
import { concerns, droppedTexts, freshRow, moved, rowName, rowSummary, valueOf, visible, type Settings } from "./form_logic";

const OPEN_AT_FIRST = 2;

export function Rows({ id, field, value, path, describedBy, onChange }: WidgetProps) {
  const { nodeId, disabled } = useForm();
  const rows: Settings[] = Array.isArray(value) ? value : [];
  const [open, setOpen] = useState<Record<string, boolean>>({});
  const [fresh, setFresh] = useState("");
  const [said, setSaid] = useState("");
  const box = useRef<HTMLOListElement>(null);
  const drag = useDrag(box, rows.length, (from, to) => move(from, to));
  const isFull = field.max_length !== null && rows.length >= field.max_length;
  const canFold = visible(field.fields, freshRow(field)).length > 1;
  const isOpen = (name: string) => open[name] ?? rows.length <= OPEN_AT_FIRST;
  useEffect(() => {
    if (!fresh) return;
    box.current?.querySelector<HTMLElement>(`[data-row="${fresh}"] .pp-widget :is(input, textarea, select, [contenteditable])`)?.focus();
    setFresh("");
  }, [fresh]);
  const move = (from: number, to: number) => {
    if (to < 0 || to >= rows.length || to === from) return;
    onChange(moved(rows, from, to));
    setSaid(t("fields.moved", { n: to + 1, of: rows.length }));
  };
  const add = () => {
    const row = freshRow(field);
    const name = rowName(row, rows.length);
    onChange([...rows, row]);
    setOpen({ ...Object.fromEntries(rows.map((r, i) => [rowName(r, i), isOpen(rowName(r, i)) && rows.length < OPEN_AT_FIRST])), [name]: true });
    setFresh(name);
  };
  const remove = (at: number) =>
    onChange(rows.filter((_, i) => i !== at), false, droppedTexts(useEditor.getState().doc.i18n, `${nodeId}.${path}.${rowName(rows[at], at)}`));
  return (
    <div className="pp-rows">
      {rows.length > 0 && (
        <ol ref={box}>
          {rows.map((row, i) => {
            const name = rowName(row, i);
            return (
              <Beside.Provider key={name} value={row}>
                <Row row={row} name={name} position={i} path={`${path}.${name}`} field={field} canFold={canFold} isOpen={isOpen(name)} offset={drag.offsets[i]} isDragged={drag.at === i}
                  onOpen={(on) => setOpen({ ...open, [name]: on })} onGrab={(e) => drag.begin(e, i)} onMove={(step) => move(i, i + step)} onRemove={() => remove(i)}
                  onPut={(part, typed, extra) => onChange(rows.map((r, j) => (j === i ? { ...r, ...part } : r)), typed, extra)} />
              </Beside.Provider>
            );
          })}
        </ol>
      )}
      {!disabled && (
        <button id={id} type="button" className="pp-add" disabled={isFull} aria-describedby={describedBy} onClick={add} data-testid={`add-${path}`}>
          <Plus size={14} aria-hidden="true" />{isFull ? t("fields.full", { n: field.max_length! }) : t("fields.add")}
        </button>
      )}
      <span className="pp-sr" role="status">{said}</span>
    </div>
  );
}

type RowProps = {
  row: Settings; name: string; position: number; path: string; field: WidgetProps["field"]; canFold: boolean; isOpen: boolean; offset: number; isDragged: boolean;
  onOpen(on: boolean): void; onGrab(e: React.PointerEvent): void; onMove(step: number): void; onRemove(): void;
  onPut(part: Settings, typed?: boolean, extra?: any[]): void;
};

function Row({ row, name, position, path, field, canFold, isOpen, offset, isDragged, onOpen, onGrab, onMove, onRemove, onPut }: RowProps) {
  const { disabled, problems } = useForm();
  const variables = useEditor((s) => s.doc.variables);
  const isAsked = useIsAskedInside(`${path}.`);
  useEffect(() => {
    if (isAsked && !isOpen) onOpen(true);
  }, [isAsked]);
  const shown = visible(field.fields, row);
  const remote = field.fields.find((f) => f.widget === "remote");
  const { offered } = useRemote(remote?.of ?? "");
  const summary = rowSummary(field.fields, row, (id, f) => (f.widget === "remote" ? offered?.find((o) => o.id === id)?.label : variables[id]?.label) || id);
  const own = problems.filter((p) => concerns(p.field, path));
  const title = summary || t("fields.row", { n: position + 1 });
  const body = shown.map((f) => (
    <Field key={f.key} field={f} value={valueOf(f, row)} path={`${path}.${f.key}`} onChange={(v, typed, extra) => onPut({ [f.key]: v }, typed, extra)} />
  ));
  const isShown = !canFold || isOpen;
  return (
    <li className="pp-row" data-row={name} data-open={isShown || undefined} data-dragged={isDragged || undefined} style={offset ? { transform: `translateY(${offset}px)` } : undefined}>
      <div className="pp-row-head">
        {!disabled && (
          <button type="button" className="pp-grip" aria-label={t("fields.reorder", { name: title })} title={t("fields.reorder_hint")} onPointerDown={onGrab}
            onKeyDown={(e) => {
              if (e.key !== "ArrowUp" && e.key !== "ArrowDown") return;
              e.preventDefault();
              onMove(e.key === "ArrowUp" ? -1 : 1);
            }}><GripVertical size={14} aria-hidden="true" /></button>
        )}
        {canFold ? (
          <button type="button" className="pp-fold" aria-expanded={isOpen} onClick={() => onOpen(!isOpen)}>
            <b>{title}</b>
            {!isOpen && own.length > 0 && <em data-level={own.some((p) => p.level === "error") ? "error" : "warning"}>{own.length}</em>}
            <ChevronDown size={14} aria-hidden="true" />
          </button>
        ) : <div className="pp-row-only">{body}</div>}
        {!disabled && <IconButton label={t("fields.remove_named", { name: title })} onClick={onRemove}><Trash2 size={14} /></IconButton>}
      </div>
      {canFold && isOpen && <div className="pp-row-body">{body}</div>}
    </li>
  );
}

/** Dragging a row by its handle: the others make room, the new order is written once, on release. */
function useDrag(box: React.RefObject<HTMLOListElement | null>, count: number, done: (from: number, to: number) => void) {
  const [state, setState] = useState<{ at: number; to: number; y: number; height: number } | null>(null);
  const begin = (e: React.PointerEvent, at: number) => {
    if (e.button !== 0 || !box.current) return;
    e.preventDefault();
    (e.currentTarget as HTMLElement).focus();
    const rects = [...box.current.children].map((row) => row.getBoundingClientRect());
    const start = e.clientY;
    const height = rects[at].height + 8;
    let to = at;
    const move = (event: PointerEvent) => {
      const middle = rects[at].top + rects[at].height / 2 + event.clientY - start;
      to = rects.findIndex((r) => middle < r.top + r.height / 2);
      if (to < 0) to = count - 1;
      else if (to > at) to -= 1;
      setState({ at, to, y: event.clientY - start, height });
    };
    const finish = (event: PointerEvent | KeyboardEvent) => {
      if (event instanceof KeyboardEvent && event.key !== "Escape") return;
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", finish);
      window.removeEventListener("pointercancel", finish);
      window.removeEventListener("keydown", finish, true);
      setState(null);
      if (event.type === "pointerup") done(at, to);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", finish);
    window.addEventListener("pointercancel", finish);
    window.addEventListener("keydown", finish, true);
  };
  const offsets = Array.from({ length: count }, (_, i) => {
    if (!state) return 0;
    if (i === state.at) return state.y;
    if (i > state.at && i <= state.to) return -state.height;
    if (i < state.at && i >= state.to) return state.height;
    return 0;
  });
  return { begin, offsets, at: state ? state.at : -1 };
}

export function Group({ field, value, path, onChange }: WidgetProps) {
  const settings: Settings = value ?? {};
  return (
    <div className="pp-group">
      {visible(field.fields, settings).map((f) => (
        <Field key={f.key} field={f} value={valueOf(f, settings)} path={`${path}.${f.key}`} onChange={(v, typed, extra) => onChange({ ...settings, [f.key]: v }, typed, extra)} />
      ))}
    </div>
  );
}
