// The plain widgets: texts, numbers, switches, selections, lists of short texts.
import { Plus, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { t } from "../core/i18n";
import { useEditor } from "../core/store";
import { IconButton } from "../screen/parts";
import { asText, useFollowing, useForm, type WidgetProps } from "./form_context";
import { moved, movedTexts } from "./form_logic";

export function ShortText({ id, field, value, describedBy, onChange }: WidgetProps) {
  const { ref, follow } = useFollowing<HTMLInputElement>(asText(value));
  const { disabled } = useForm();
  return (
    <input id={id} ref={ref} className="pp-input" defaultValue={asText(value)} placeholder={field.placeholder} disabled={disabled}
      maxLength={field.max_length ?? undefined} aria-describedby={describedBy} aria-required={field.required || undefined}
      onBlur={follow} onChange={(e) => onChange(e.target.value, true)} />
  );
}

export function LongText({ id, field, value, describedBy, onChange }: WidgetProps) {
  const { ref, follow } = useFollowing<HTMLTextAreaElement>(asText(value));
  const { disabled } = useForm();
  return (
    <textarea id={id} ref={ref} className="pp-input" rows={3} defaultValue={asText(value)} placeholder={field.placeholder} disabled={disabled}
      maxLength={field.max_length ?? undefined} aria-describedby={describedBy} aria-required={field.required || undefined}
      onBlur={follow} onChange={(e) => onChange(e.target.value, true)} />
  );
}

/** "1,5", "1 000" and "1.5" are all numbers; undefined when it is none. */
export function readNumber(text: string): number | null | undefined {
  const plain = text.replace(/[\s\u00a0\u202f]/g, "").replace(",", ".");
  if (plain === "") return null;
  const n = Number(plain);
  return Number.isFinite(n) ? n : undefined;
}

export function NumberInput({ id, field, value, describedBy, onChange }: WidgetProps) {
  const { ref, follow } = useFollowing<HTMLInputElement>(asText(value));
  const { disabled } = useForm();
  const [note, setNote] = useState("");
  const { minimum, maximum } = field;
  const check = (text: string) => {
    const n = readNumber(text);
    if (n === undefined) setNote(t("fields.number_needed"));
    else if (n !== null && minimum !== null && n < minimum) setNote(t("fields.at_least", { n: minimum }));
    else if (n !== null && maximum !== null && n > maximum) setNote(t("fields.at_most", { n: maximum }));
    else setNote("");
    return n;
  };
  return (
    <>
      <input id={id} ref={ref} className="pp-input pp-number" inputMode="decimal" defaultValue={asText(value)} placeholder={field.placeholder || asText(field.default)}
        disabled={disabled} aria-invalid={note ? true : undefined} aria-describedby={describedBy} autoComplete="off"
        onBlur={() => { if (readNumber(ref.current?.value ?? "") !== undefined) follow(); }}
        onKeyDown={(e) => {
          const step = e.key === "ArrowUp" ? 1 : e.key === "ArrowDown" ? -1 : 0;
          const n = readNumber(e.currentTarget.value);
          if (!step || typeof n !== "number") return;
          e.preventDefault();
          const next = Math.min(maximum ?? Infinity, Math.max(minimum ?? -Infinity, Number((n + step).toFixed(6))));
          e.currentTarget.value = String(next);
          check(String(next));
          onChange(next, true);
        }}
        onChange={(e) => {
          const n = check(e.target.value);
          if (n !== undefined) onChange(n, true);
        }} />
      {note && <small className="pp-note" data-level="error" role="alert">{note}</small>}
    </>
  );
}

export function Switch({ id, value, describedBy, label, labelledBy, onChange }: { id?: string; value: boolean; describedBy?: string; label?: string; labelledBy?: string; onChange(v: boolean): void }) {
  const { disabled } = useForm();
  return (
    <button id={id} type="button" role="switch" className="pp-switch" aria-checked={value} aria-label={label} aria-labelledby={labelledBy} aria-describedby={describedBy} disabled={disabled}
      onClick={() => onChange(!value)}><i /></button>
  );
}

export type Option = readonly [value: any, label: string];
type SelectProps = { id?: string; value: any; options: readonly Option[]; onChange(v: any): void; label?: string; describedBy?: string; small?: boolean; disabled?: boolean };

/** A native selection: readable by everything; a value that is no longer offered stays visible. */
export function Select({ id, value, options, onChange, label, describedBy, small, disabled }: SelectProps) {
  const form = useForm();
  const text = asText(value);
  const isLost = !options.some(([v]) => asText(v) === text);
  return (
    <select id={id} className="pp-input" data-small={small || undefined} value={text} aria-label={label} aria-describedby={describedBy} disabled={disabled ?? form.disabled}
      onChange={(e) => onChange(options.find(([v]) => asText(v) === e.target.value)?.[0] ?? e.target.value)}>
      {isLost && <option value={text}>{text || "–"}</option>}
      {options.map(([v, words]) => <option key={asText(v)} value={asText(v)}>{words}</option>)}
    </select>
  );
}

/** Two or three short choices are buttons beside each other: one click instead of two. */
export function Choices({ id, value, options, onChange, label }: SelectProps) {
  const { disabled } = useForm();
  return (
    <div className="pp-choices" role="radiogroup" aria-label={label} id={id}>
      {options.map(([v, words]) => (
        <button key={asText(v)} type="button" role="radio" aria-checked={asText(v) === asText(value)} disabled={disabled} onClick={() => onChange(v)}
          tabIndex={asText(v) === asText(value) ? 0 : -1}
          onKeyDown={(e) => {
            const step = e.key === "ArrowRight" || e.key === "ArrowDown" ? 1 : e.key === "ArrowLeft" || e.key === "ArrowUp" ? -1 : 0;
            if (!step) return;
            e.preventDefault();
            const at = options.findIndex(([x]) => asText(x) === asText(value));
            const next = (at + step + options.length) % options.length;
            onChange(options[next][0]);
            (e.currentTarget.parentElement?.children[next] as HTMLElement)?.focus();
          }}>{words}</button>
      ))}
    </div>
  );
}

export function Strings({ id, field, value, path, describedBy, onChange }: WidgetProps) {
  const { nodeId, disabled } = useForm();
  const rows: string[] = Array.isArray(value) ? value : [];
  const box = useRef<HTMLDivElement>(null);
  const [focusRow, setFocusRow] = useState(-1);
  useEffect(() => {
    if (focusRow < 0) return;
    box.current?.querySelectorAll("input")[focusRow]?.focus();
    setFocusRow(-1);
  }, [focusRow, rows.length]);
  const isFull = field.max_length !== null && rows.length >= field.max_length;
  /** `order` says where each row of the new list stood; translations move along. */
  const put = (next: string[], order: number[]) =>
    onChange(next, false, field.outside ? movedTexts(useEditor.getState().doc.i18n, `${nodeId}.${path}`, order, rows.length) : []);
  const add = (at: number, texts: string[]) => {
    const room = texts.slice(0, Math.max(0, (field.max_length ?? 1000) - rows.length));
    put([...rows.slice(0, at), ...room, ...rows.slice(at)], [...rows.keys()].flatMap((i) => (i === at ? [...room.map(() => -1), i] : [i])).concat(at >= rows.length ? room.map(() => -1) : []));
    setFocusRow(at + room.length - 1);
  };
  const remove = (at: number) => {
    put(rows.filter((_, i) => i !== at), [...rows.keys()].filter((i) => i !== at));
    setFocusRow(Math.max(0, at - 1));
  };
  const shift = (at: number, to: number) => {
    if (to < 0 || to >= rows.length) return;
    put(moved(rows, at, to), moved([...rows.keys()], at, to));
    setFocusRow(to);
  };
  return (
    <div className="pp-strings" ref={box}>
      {rows.map((row, i) => (
        <div key={i} className="pp-string">
          <OneString text={row} disabled={disabled} label={`${field.label} ${i + 1}`} placeholder={field.placeholder}
            onType={(text) => onChange(rows.map((r, j) => (j === i ? text : r)), true)}
            onKey={(e) => {
              if (e.key === "Enter") { e.preventDefault(); if (!isFull) add(i + 1, [""]); }
              else if (e.key === "Backspace" && !row) { e.preventDefault(); remove(i); }
              else if (e.altKey && (e.key === "ArrowUp" || e.key === "ArrowDown")) { e.preventDefault(); shift(i, i + (e.key === "ArrowUp" ? -1 : 1)); }
            }}
            onLines={(lines) => add(i + 1, lines)} />
          {!disabled && <IconButton label={t("fields.remove_named", { name: row || String(i + 1) })} onClick={() => remove(i)}><X size={14} /></IconButton>}
        </div>
      ))}
      {!disabled && (
        <button id={id} type="button" className="pp-add" disabled={isFull} aria-describedby={describedBy} onClick={() => add(rows.length, [""])}>
          <Plus size={14} aria-hidden="true" />{isFull ? t("fields.full", { n: field.max_length! }) : t("fields.add")}
        </button>
      )}
    </div>
  );
}

type OneProps = { text: string; disabled: boolean; label: string; placeholder: string; onType(text: string): void; onKey(e: React.KeyboardEvent): void; onLines(lines: string[]): void };

function OneString({ text, disabled, label, placeholder, onType, onKey, onLines }: OneProps) {
  const { ref, follow } = useFollowing<HTMLInputElement>(text);
  return (
    <input ref={ref} className="pp-input" defaultValue={text} disabled={disabled} aria-label={label} placeholder={placeholder}
      onBlur={follow} onChange={(e) => onType(e.target.value)} onKeyDown={onKey}
      onPaste={(e) => {
        const lines = e.clipboardData.getData("text/plain").split(/\r?\n/).map((x) => x.trim()).filter(Boolean);
        if (lines.length < 2) return;
        e.preventDefault();
        onLines(lines);
      }} />
  );
}
