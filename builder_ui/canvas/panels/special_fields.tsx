// Durations as a number and a unit; a JSON Schema as text that says where it is wrong.
import { useState } from "react";
import { t } from "../core/i18n";
import { asText, useFollowing, useForm, type WidgetProps } from "./form_context";
import { readDuration, writeDuration, type DurationUnit } from "./form_logic";
import { readNumber, Select } from "./inputs";

const UNITS: DurationUnit[] = ["S", "M", "H", "D", "W"];

export function DurationField({ id, field, value, describedBy, onChange }: WidgetProps) {
  const { disabled } = useForm();
  const known = readDuration(asText(value));
  const [unit, setUnit] = useState<DurationUnit>(known?.unit ?? "H");
  const shownUnit = known?.unit ?? unit;
  const { ref, follow } = useFollowing<HTMLInputElement>(known ? String(known.amount) : "");
  const [isWrong, setWrong] = useState(false);
  const n = known?.amount ?? 5;
  const write = (text: string, by: DurationUnit, typed: boolean) => {
    const n = readNumber(text);
    setWrong(n === undefined || (n !== null && n < 0));
    if (n !== undefined && (n === null || n >= 0)) onChange(n === null ? "" : writeDuration(n, by), typed);
  };
  return (
    <>
      <div className="pp-duration">
        <input id={id} ref={ref} className="pp-input" inputMode="numeric" defaultValue={known ? String(known.amount) : ""} placeholder={field.placeholder || t("duration.none")} disabled={disabled} autoComplete="off"
          aria-describedby={describedBy} aria-invalid={isWrong || undefined} onBlur={() => !isWrong && follow()} onChange={(e) => write(e.target.value, shownUnit, true)} />
        <Select value={shownUnit} label={t("duration.unit")} options={UNITS.map((u) => [u, t(`duration.${u}`, { n })] as const)}
          onChange={(u: DurationUnit) => { setUnit(u); if (ref.current?.value) write(ref.current.value, u, false); }} />
      </div>
      {isWrong && <small className="pp-note" data-level="error" role="alert">{t("fields.number_needed")}</small>}
    </>
  );
}

/** What is wrong with the text of a schema; "" when nothing is. */
export function schemaProblem(text: string): string {
  if (!text.trim()) return "";
  try {
    const schema = JSON.parse(text);
    if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return t("schema.object");
    const types = ["object", "array", "string", "number", "integer", "boolean", "null"];
    const given = schema.type === undefined ? [] : [schema.type].flat();
    const wrong = given.find((x: unknown) => !types.includes(String(x)));
    if (wrong !== undefined) return t("schema.type", { name: String(wrong) });
    if (schema.properties !== undefined && (typeof schema.properties !== "object" || Array.isArray(schema.properties))) return t("schema.properties");
    const lost = (Array.isArray(schema.required) ? schema.required : []).find((name: string) => schema.properties && !(name in schema.properties));
    return lost ? t("schema.required", { name: String(lost) }) : "";
  } catch (error) {
    const place = /position (\d+)/.exec(String(error));
    const line = place ? text.slice(0, Number(place[1])).split("\n").length : text.split("\n").length;
    return t("schema.json", { line });
  }
}

/** The setting is text for some steps and an object for others; it stays what it was. */
export function SchemaField({ id, field, value, describedBy, onChange }: WidgetProps) {
  const { disabled } = useForm();
  const isText = typeof value === "string" || typeof field.default === "string";
  const text = typeof value === "string" ? value : value === null || value === undefined ? "" : JSON.stringify(value, null, 2);
  const { ref, follow } = useFollowing<HTMLTextAreaElement>(text);
  const [note, setNote] = useState(() => schemaProblem(text));
  const type = (next: string) => {
    setNote(schemaProblem(next));
    if (isText) return onChange(next, true);
    try {
      onChange(next.trim() ? JSON.parse(next) : null, true);
    } catch {
      // Half-typed JSON stays in the field until it can be read.
    }
  };
  return (
    <>
      <textarea id={id} ref={ref} className="pp-input pp-mono" rows={7} defaultValue={text} spellCheck={false} disabled={disabled} aria-describedby={describedBy} aria-invalid={note ? true : undefined}
        placeholder={field.placeholder || '{"type": "object", "properties": {}}'} maxLength={field.max_length ?? undefined} onChange={(e) => type(e.target.value)}
        onBlur={() => {
          if (note || isText) return;
          follow();
        }} />
      {note && <small className="pp-note" data-level="error" role="status">{note}</small>}
    </>
  );
}
