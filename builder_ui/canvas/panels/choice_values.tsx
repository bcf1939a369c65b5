// Values of a variable that a Choice fills: people pick the options by their words, whatever is stored.
import { useMemo } from "react";
import { t } from "../core/i18n";
import { useEditor } from "../core/store";
import { useForm } from "./form_context";
import { Select, type Option } from "./inputs";

/** What the options of all choices that save to this variable leave in it; empty when anything may be in it. */
export function useChoiceValues(operand: any): Option[] {
  const nodes = useEditor((s) => s.doc.nodes);
  const ref = typeof operand?.ref === "string" ? operand.ref : "";
  return useMemo(() => {
    if (!ref.startsWith("var.")) return [];
    const variable = ref.slice(4);
    const found = new Map<string, string>();
    for (const { settings } of Object.values(nodes)) {
      if (settings.save_to !== variable) continue;
      if (!Array.isArray(settings.options)) return [];
      for (const o of settings.options) if (o?.id && o.label) found.set(settings.save_as === "id" ? o.id : o.label, o.label);
    }
    return [...found].map(([value, label]) => [value, label] as const);
  }, [nodes, ref]);
}

type Props = { value: any; choices: Option[]; label: string; isList?: boolean; onChange(operand: any): void };

/** One option, or several where the operator takes a list. A value that is no option any more stays until it is taken away. */
export function ChoiceValues({ value, choices, label, isList, onChange }: Props) {
  const { disabled } = useForm();
  const chosen: any[] = Array.isArray(value) ? value : value === "" || value === null || value === undefined ? [] : [value];
  const all: Option[] = [...choices, ...chosen.filter((v) => !choices.some(([c]) => c === v)).map((v) => [v, String(v)] as const)];
  if (!isList)
    return <Select value={chosen[0] ?? ""} label={label} options={chosen.length ? all : [["", t("fields.choose")], ...all]} onChange={(v) => onChange({ value: v })} />;
  return (
    <div className="pp-picks" role="group" aria-label={label}>
      {all.map(([v, words]) => (
        <button key={String(v)} type="button" aria-pressed={chosen.includes(v)} disabled={disabled}
          onClick={() => onChange({ value: chosen.includes(v) ? chosen.filter((c) => c !== v) : all.map(([c]) => c).filter((c) => c === v || chosen.includes(c)) })}>
          {words}
        </button>
      ))}
    </div>
  );
}
