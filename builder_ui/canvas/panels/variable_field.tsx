// Choosing a variable to read, or one to write, which can be created here with its type.
import { Check, Plus, X } from "lucide-react";
import { useState } from "react";
import { t } from "../core/i18n";
import { useEditor } from "../core/store";
import type { Edit, Flow } from "../core/types";
import { IconButton } from "../screen/parts";
import { shownValue } from "./data_list";
import { asText, useForm, type WidgetProps } from "./form_context";
import { Select, type Option } from "./inputs";
import { useTalk } from "./talk";

export const VARIABLE_TYPES = ["text", "number", "boolean", "date", "list", "object", "file"] as const;
export const typeOptions = (): Option[] => VARIABLE_TYPES.map((type) => [type, t(`type.${type}`)]);

const LATIN: Record<string, string> = {
  а: "a", б: "b", в: "v", г: "g", ґ: "g", д: "d", е: "e", ё: "e", є: "ie", ж: "zh", з: "z", и: "i", і: "i", ї: "i", й: "i", к: "k", л: "l", м: "m", н: "n", о: "o",
  п: "p", р: "r", с: "s", т: "t", у: "u", ф: "f", х: "h", ц: "ts", ч: "ch", ш: "sh", щ: "sch", ъ: "", ы: "y", ь: "", э: "e", ю: "iu", я: "ia",
};

/** A readable id from a name, such as "бюджет" → "biudzhet"; made once, kept when the name changes. */
export function variableId(label: string, doc: Flow): string {
  const latin = [...label.toLowerCase()].map((c) => LATIN[c] ?? c).join("").normalize("NFKD").replace(/[^a-z0-9]+/g, "_").replace(/^[^a-z]+|_+$/g, "");
  const stem = latin.slice(0, 34) || "value";
  let id = stem;
  for (let n = 2; doc.variables[id]; n++) id = `${stem}_${n}`;
  return id;
}

export const newVariable = (id: string, label: string, type: string): Edit =>
  ({ kind: "set_variable", id, variable: { type, label, scope: "conversation", default: null, secret: false } as any });

function useOptions(empty: string): Option[] {
  const variables = useEditor((s) => s.doc.variables);
  return [["", empty], ...Object.entries(variables).map(([id, v]): Option => [id, v.label || id])];
}

export function LastValue({ id }: { id: string }) {
  const value = useTalk((s) => s.values[id]);
  if (!id || value === undefined) return null;
  return <small className="pp-last" title={shownValue(value)}>{t("data.last_value", { value: shownValue(value) })}</small>;
}

export function VariableField({ id, field, value, describedBy, onChange }: WidgetProps) {
  const options = useOptions(field.required ? t("fields.choose") : t("fields.nothing"));
  return (
    <>
      <Select id={id} value={asText(value)} options={options} describedBy={describedBy} onChange={(v) => onChange(v)} />
      <LastValue id={asText(value)} />
    </>
  );
}

const NEW = "__new__";

export function SaveToField({ id, field, value, describedBy, onChange }: WidgetProps) {
  const [isMaking, setMaking] = useState(false);
  const { disabled } = useForm();
  const options: Option[] = [...useOptions(field.required ? t("fields.choose") : t("fields.not_saved")), ...(disabled ? [] : [[NEW, t("variables.new_option")] as const])];
  if (isMaking)
    return <NewVariable onCancel={() => setMaking(false)} onMake={(label, type) => {
      const name = variableId(label, useEditor.getState().doc);
      setMaking(false);
      onChange(name, false, [newVariable(name, label, type)]);
    }} />;
  return (
    <>
      <Select id={id} value={asText(value)} options={options} describedBy={describedBy} onChange={(v) => (v === NEW ? setMaking(true) : onChange(v))} />
      <LastValue id={asText(value)} />
    </>
  );
}

type NewProps = { suggested?: string; type?: string; onMake(label: string, type: string): void; onCancel(): void };

export function NewVariable({ suggested = "", type: likely = "text", onMake, onCancel }: NewProps) {
  const [label, setLabel] = useState(suggested);
  const [type, setType] = useState(likely);
  const make = () => label.trim() && onMake(label.trim(), type);
  return (
    <div className="pp-new-variable" role="group" aria-label={t("variables.new")} onKeyDown={(e) => {
      if (e.key === "Escape") { e.stopPropagation(); onCancel(); }
      if (e.key === "Enter") { e.preventDefault(); make(); }
    }}>
      <input className="pp-input" autoFocus value={label} maxLength={100} placeholder={t("variables.name_hint")} aria-label={t("variables.name")} onChange={(e) => setLabel(e.target.value)} data-testid="new-variable-name" />
      <Select value={type} options={typeOptions()} label={t("variables.type")} onChange={setType} />
      <IconButton label={t("variables.create")} tone="accent" disabled={!label.trim()} onClick={make} testId="new-variable-make"><Check size={15} /></IconButton>
      <IconButton label={t("cancel")} onClick={onCancel}><X size={15} /></IconButton>
    </div>
  );
}

export function AddVariable({ onMake }: { onMake(label: string, type: string): void }) {
  const [isMaking, setMaking] = useState(false);
  if (isMaking) return <NewVariable onCancel={() => setMaking(false)} onMake={(label, type) => { setMaking(false); onMake(label, type); }} />;
  return <button type="button" className="pp-add" onClick={() => setMaking(true)} data-testid="add-variable"><Plus size={14} aria-hidden="true" />{t("variables.new")}</button>;
}
