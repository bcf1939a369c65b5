// One side of a comparison or one argument of a calculation: a value, a piece of data, or a text with data in it.
import { useMemo } from "react";
import { t } from "../core/i18n";
import { useEditor } from "../core/store";
import { ChoiceValues } from "./choice_values";
import { dataItems, pathLabel, type DataItem } from "./data_list";
import { useFollowing, useForm } from "./form_context";
import { readNumber, Select, type Option } from "./inputs";
import { ChipEditor } from "./template_field";

export type Operand = { ref: string } | { value: any } | { text: string };
type Put = (operand: any, typed?: boolean) => void;

export const kindOf = (operand: any): "ref" | "text" | "value" => (operand && "ref" in operand ? "ref" : operand && "text" in operand ? "text" : "value");

/** All data that may be read at this step. */
export function useDataItems(): DataItem[] {
  const { nodeId } = useForm();
  const variables = useEditor((s) => s.doc.variables);
  const incoming = useEditor((s) => s.index.incoming);
  const nodes = useEditor((s) => s.doc.nodes);
  return useMemo(() => dataItems(useEditor.getState(), nodeId), [nodeId, variables, incoming, nodes]);
}

/** The kind of a piece of data: "number", "date" …; text when it is not known. */
export function dataType(operand: any): string {
  if (kindOf(operand) !== "ref") return typeof operand?.value === "number" ? "number" : typeof operand?.value === "boolean" ? "boolean" : "text";
  const [root, name, more] = String(operand.ref).split(".");
  if (root === "var") return more ? "any" : useEditor.getState().doc.variables[name]?.type ?? "any";
  return root === "now" ? "date" : root === "step" ? "any" : "text";
}

export function DataSelect({ value, label, onChange }: { value: string; label: string; onChange(path: string): void }) {
  const items = useDataItems();
  const { disabled } = useForm();
  const groups = [...new Set(items.map((i) => i.group))];
  const isKnown = !value || items.some((i) => i.path === value);
  return (
    <select className="pp-input pp-data-select" value={value} aria-label={label} disabled={disabled} data-unset={!value || undefined} onChange={(e) => onChange(e.target.value)}>
      <option value="" disabled>{t("data.choose")}</option>
      {!isKnown && <option value={value}>{pathLabel(useEditor.getState(), value)}</option>}
      {groups.map((group) => (
        <optgroup key={group} label={group}>
          {items.filter((i) => i.group === group).map((i) => <option key={i.path} value={i.path}>{i.label}</option>)}
        </optgroup>
      ))}
    </select>
  );
}

/** A constant, typed by what it is compared with. */
export function ConstantInput({ value, type, label, isList, onChange }: { value: any; type: string; label: string; isList?: boolean; onChange: Put }) {
  const { disabled } = useForm();
  const text = Array.isArray(value) ? value.join(", ") : value === null || value === undefined ? "" : String(value);
  const { ref, follow } = useFollowing<HTMLInputElement>(text);
  if (type === "boolean" && !isList)
    return <Select value={value} label={label} options={[[true, t("fields.yes")], [false, t("fields.no")]]} onChange={(v) => onChange({ value: v })} />;
  const read = (words: string): any => {
    const one = (part: string) => {
      const n = type === "text" || type === "date" ? undefined : readNumber(part);
      return typeof n === "number" ? n : part;
    };
    if (isList) return words.split(",").map((x) => x.trim()).filter(Boolean).map(one);
    return one(words);
  };
  return (
    <input ref={ref} className="pp-input" type={type === "date" && !isList ? "date" : "text"} inputMode={type === "number" && !isList ? "decimal" : undefined} defaultValue={text} aria-label={label} disabled={disabled}
      placeholder={isList ? t("condition.list_hint") : type === "number" ? "500" : t("condition.value_hint")} onBlur={follow} onChange={(e) => onChange({ value: read(e.target.value) }, true)} />
  );
}

type OperandProps = { operand: any; type: string; label: string; choices?: Option[]; isList?: boolean; isBare?: boolean; onChange: Put };

/** `isBare`: the choice of what it is stands elsewhere. */
export function OperandField({ operand, type, label, choices = [], isList, isBare, onChange }: OperandProps) {
  const kind = kindOf(operand);
  const { disabled } = useForm();
  const kinds: Option[] = [["value", t("operand.value")], ["ref", t("operand.ref")], ["text", t("operand.text")]];
  const turn = (next: string) => onChange(next === "ref" ? { ref: "" } : next === "text" ? { text: kind === "value" ? String(operand?.value ?? "") : "" } : { value: kind === "text" ? operand.text : "" });
  return (
    <div className="pp-operand">
      {!isBare && <Select small value={kind} options={kinds} label={t("operand.kind", { name: label })} onChange={turn} />}
      {kind === "ref" ? <DataSelect value={operand.ref} label={label} onChange={(path) => onChange({ ref: path })} />
        : kind === "text" ? <ChipEditor text={operand.text} lines={false} label={label} disabled={disabled} placeholder={t("condition.value_hint")} maxLength={4000} onType={(text) => onChange({ text }, true)} />
        : choices.length > 0 ? <ChoiceValues value={operand?.value} choices={choices} label={label} isList={isList} onChange={onChange} />
        : <ConstantInput value={operand?.value} type={type} label={label} isList={isList} onChange={onChange} />}
    </div>
  );
}
