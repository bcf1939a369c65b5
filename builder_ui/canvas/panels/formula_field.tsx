// A calculation as blocks: a function with its arguments, which may be calculations themselves. Mirror of formulas.py.
import { Plus, X } from "lucide-react";
import { t, type TextKey } from "../core/i18n";
import { IconButton } from "../screen/parts";
import { useForm, type WidgetProps } from "./form_context";
import { kindOf, OperandField } from "./operand_field";
import { useFormulaText } from "./formula_text";

/** Least and most arguments of each function. */
export const FUNCTIONS: Record<string, [least: number, most: number]> = {
  add: [2, 20], sub: [2, 20], mul: [2, 20], div: [2, 20], round: [1, 2], floor: [1, 1], ceil: [1, 1], abs: [1, 1],
  min: [2, 20], max: [2, 20], concat: [2, 20], length: [1, 1], now: [0, 0], today: [0, 0], add_days: [2, 2], days_between: [2, 2],
};
const DATES = new Set(["add_days", "days_between"]);
const MAX_DEPTH = 5;
type Put = (formula: any, typed?: boolean) => void;

const isCalculation = (f: any): f is { fn: string; args: any[] } => !!f && typeof f === "object" && "fn" in f;
const fresh = () => ({ value: "" });

export function FormulaField({ id, value, onChange }: WidgetProps) {
  const words = useFormulaText(value);
  return (
    <div className="pp-formula" id={id} tabIndex={-1}>
      <Block value={value ?? { value: null }} depth={0} label={t("formula.result")} type="any" onChange={(f, typed) => onChange(f, typed)} />
      {isCalculation(value) && <output className="pp-reading">= {words}</output>}
    </div>
  );
}

/** Another function keeps the arguments that fit. */
function calculation(fn: string, old: any): any {
  const [least, most] = FUNCTIONS[fn] ?? [0, 20];
  const args = (isCalculation(old) ? old.args : kindOf(old) === "value" && (old?.value ?? "") === "" ? [] : [old]).slice(0, most);
  while (args.length < least) args.push(fresh());
  return { fn, args };
}

type BlockProps = { value: any; depth: number; label: string; type: string; onChange: Put };

function Block({ value, depth, label, type, onChange }: BlockProps) {
  const { disabled } = useForm();
  const kind = isCalculation(value) ? value.fn : kindOf(value);
  const turn = (next: string) => {
    if (next in FUNCTIONS) onChange(calculation(next, value));
    else onChange(next === "ref" ? { ref: "" } : next === "text" ? { text: "" } : fresh());
  };
  return (
    <div className="pp-block" data-depth={depth}>
      <select className="pp-input" value={kind} aria-label={t("formula.kind", { name: label })} disabled={disabled} onChange={(e) => turn(e.target.value)}>
        <optgroup label={t("formula.simple")}>
          <option value="value">{t("operand.value")}</option><option value="ref">{t("operand.ref")}</option><option value="text">{t("operand.text")}</option>
        </optgroup>
        {depth < MAX_DEPTH && <optgroup label={t("formula.calculation")}>{Object.keys(FUNCTIONS).map((fn) => <option key={fn} value={fn}>{t(`fn.${fn}` as TextKey)}</option>)}</optgroup>}
      </select>
      {isCalculation(value) ? <Arguments value={value} depth={depth} onChange={onChange} /> : <OperandField isBare operand={value} type={type} label={label} onChange={onChange} />}
    </div>
  );
}

function Arguments({ value, depth, onChange }: { value: { fn: string; args: any[] }; depth: number; onChange: Put }) {
  const { disabled } = useForm();
  const [least, most] = FUNCTIONS[value.fn] ?? [0, 20];
  const put = (args: any[], typed?: boolean) => onChange({ fn: value.fn, args }, typed);
  if (!most) return null;
  return (
    <ol className="pp-arguments">
      {value.args.map((arg, i) => (
        <li key={i}>
          <Block value={arg} depth={depth + 1} label={t("formula.argument", { n: i + 1 })} type={DATES.has(value.fn) && (i === 0 || value.fn === "days_between") ? "date" : value.fn === "concat" || value.fn === "length" ? "text" : "number"}
            onChange={(f, typed) => put(value.args.map((a, j) => (j === i ? f : a)), typed)} />
          {!disabled && value.args.length > least && <IconButton label={t("formula.remove", { n: i + 1 })} onClick={() => put(value.args.filter((_, j) => j !== i))}><X size={14} /></IconButton>}
        </li>
      ))}
      {!disabled && value.args.length < most && <li><button type="button" className="pp-add" onClick={() => put([...value.args, fresh()])}><Plus size={14} aria-hidden="true" />{t("formula.add")}</button></li>}
    </ol>
  );
}
