// What a form means, without any markup: which fields are shown, what a fresh row holds, where a text is translated.
import { newId } from "../core/ids";
import type { Edit, FormField } from "../core/types";

export type Settings = Record<string, any>;

export const valueOf = (field: FormField, settings: Settings): any =>
  settings[field.key] === undefined ? field.default : settings[field.key];

/** Whether `show_when` lets a field appear: the same few lines as contract/forms.py. */
export function isShown(field: FormField, settings: Settings, form: FormField[]): boolean {
  return Object.entries(field.show_when ?? {}).every(([key, values]) => {
    const other = form.find((f) => f.key === key);
    const value = other ? valueOf(other, settings) : settings[key];
    return values.length === 1 && values[0] === "*" ? String(value ?? "").trim() !== "" : values.includes(value);
  });
}

export const visible = (form: FormField[], settings: Settings): FormField[] =>
  form.filter((f) => f.widget !== "id" && isShown(f, settings, form));

export const isEmpty = (value: any): boolean =>
  value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);

/** A new row of a list: its id is made here, once, and is never shown. */
export function freshRow(field: FormField): Settings {
  const row: Settings = {};
  for (const f of field.fields) {
    if (f.widget === "id") row[f.key] = newId(field.key.slice(0, 1) || "r");
    else if (f.default !== null && f.default !== undefined) row[f.key] = structuredClone(f.default);
  }
  return row;
}

export const rowName = (row: Settings, position: number): string => String(row?.id || position);

export const moved = <T>(rows: T[], from: number, to: number): T[] => {
  const next = [...rows];
  next.splice(to, 0, ...next.splice(from, 1));
  return next;
};

/** The words by which a folded row is recognised. */
export function rowSummary(fields: FormField[], row: Settings, names: (id: string, field: FormField) => string): string {
  for (const f of fields) {
    const value = row[f.key];
    if (f.widget === "id" || isEmpty(value)) continue;
    if (f.widget === "save_to" || f.widget === "variable" || f.widget === "remote") return names(String(value), f);
    if (f.widget === "select") {
      const label = f.options.find(([v]) => v === value)?.[1];
      if (label) return label;
    }
    if (typeof value === "string") return value;
  }
  return "";
}

export type TextPlace = { path: string; label: string; widget: string; placeholder: string; source: string; maxLength: number | null };

/** Every text said to the contact, with the key under which its translations are kept (after the step's id). */
export function textPlaces(form: FormField[], settings: Settings, prefix = "", within = ""): TextPlace[] {
  const found: TextPlace[] = [];
  for (const f of form) {
    if (!isShown(f, settings, form)) continue;
    const value = valueOf(f, settings);
    const path = prefix + f.key;
    const label = within ? `${within} · ${f.label}` : f.label;
    if (f.outside && typeof value === "string" && value.trim())
      found.push({ path, label, widget: f.widget, placeholder: f.placeholder, source: value, maxLength: f.max_length });
    if (f.outside && Array.isArray(value) && !f.fields.length)
      value.forEach((text, i) => {
        if (typeof text === "string" && text.trim())
          found.push({ path: `${path}.${i}`, label: `${label} ${i + 1}`, widget: "line_template", placeholder: "", source: text, maxLength: null });
      });
    if (f.fields.length && Array.isArray(value))
      value.forEach((row, i) => found.push(...textPlaces(f.fields, row ?? {}, `${path}.${rowName(row, i)}.`, `${f.label} ${i + 1}`)));
    else if (f.widget === "group" && value) found.push(...textPlaces(f.fields, value, `${path}.`, f.label));
  }
  return found;
}

type Texts = Record<string, Record<string, string>>;

/** Translations of a list of short texts follow their rows: `order[i]` is where row i was, -1 for a new one. */
export function movedTexts(i18n: Texts, key: string, order: number[], before: number): Edit[] {
  const edits: Edit[] = [];
  for (const [language, texts] of Object.entries(i18n))
    for (let i = 0; i < Math.max(order.length, before); i++) {
      const from = i < order.length ? order[i] : -1;
      const now = texts[`${key}.${i}`];
      const next = from >= 0 ? texts[`${key}.${from}`] : undefined;
      if (now !== next) edits.push({ kind: "set_text", language, key: `${key}.${i}`, text: next ?? null });
    }
  return edits;
}

/** Translations of a removed row go with it. */
export function droppedTexts(i18n: Texts, key: string): Edit[] {
  return Object.entries(i18n).flatMap(([language, texts]) =>
    Object.keys(texts)
      .filter((k) => k.startsWith(`${key}.`))
      .map((k): Edit => ({ kind: "set_text", language, key: k, text: null })),
  );
}

/** Where a problem's path leads: the field itself or something inside it. */
export const concerns = (problemPath: string, path: string): boolean => problemPath === path || problemPath.startsWith(`${path}.`);

const DURATION = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/;
export type DurationUnit = "S" | "M" | "H" | "D" | "W";
const SECONDS: Record<DurationUnit, number> = { S: 1, M: 60, H: 3600, D: 86_400, W: 604_800 };

/** "PT90M" → 90 minutes; the largest unit that keeps the number whole. Null for what is empty or not a duration. */
export function readDuration(text: string): { amount: number; unit: DurationUnit } | null {
  const found = DURATION.exec(text ?? "");
  if (!found || !text || text === "P" || text === "PT") return null;
  const [w, d, h, m, s] = found.slice(1).map((x) => Number(x ?? 0));
  const given = [["W", w], ["D", d], ["H", h], ["M", m], ["S", s]].filter(([, n]) => n) as [DurationUnit, number][];
  if (given.length === 1) return { amount: given[0][1], unit: given[0][0] };
  const total = given.reduce((sum, [unit, n]) => sum + n * SECONDS[unit], 0);
  const unit = (["W", "D", "H", "M", "S"] as const).find((u) => total % SECONDS[u] === 0) ?? "S";
  return total ? { amount: total / SECONDS[unit], unit } : null;
}

export function writeDuration(amount: number, unit: DurationUnit): string {
  const n = Math.max(0, Math.round(amount));
  if (!n) return "";
  return unit === "W" || unit === "D" ? `P${n}${unit}` : `PT${n}${unit}`;
}
