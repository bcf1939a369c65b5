// The condition builder: rows that read as sentences, joined by "all" or "any", groups inside groups, "not" before each.
import { Plus, X } from "lucide-react";
import { t } from "../core/i18n";
import { IconButton } from "../screen/parts";
import { asGroup, freshComparison, group, isGroup, isNot, LISTS, MAX_DEPTH, modeOf, operatorKey, operatorsFor, partsOf, UNARY, withOperator, type Comparison, type Condition } from "./condition_logic";
import { useChoiceValues } from "./choice_values";
import { useForm, type WidgetProps } from "./form_context";
import { Select } from "./inputs";
import { DataSelect, dataType, kindOf, OperandField } from "./operand_field";

type Put = (c: Condition, typed?: boolean) => void;

export function ConditionField({ id, value, onChange }: WidgetProps) {
  return <GroupBox id={id} value={asGroup(value)} depth={0} onChange={(c, typed) => onChange(c, typed)} />;
}

function GroupBox({ id, value, depth, onChange }: { id?: string; value: Condition; depth: number; onChange: Put }) {
  const { disabled } = useForm();
  const parts = partsOf(value);
  const mode = modeOf(value);
  const put = (next: Condition[], typed?: boolean) => onChange(group(mode, next), typed);
  return (
    <div className="pp-condition" data-depth={depth}>
      {(parts.length > 1 || depth > 0) && (
        <Select small value={mode} label={t("condition.mode")} options={[["all", t("condition.all")], ["any", t("condition.any")]]} onChange={(m) => onChange(group(m, parts))} />
      )}
      <ul>
        {parts.map((part, i) => (
          <li key={i}>
            {i > 0 && <span className="pp-join" aria-hidden="true">{t(mode === "all" ? "condition.and" : "condition.or")}</span>}
            <Part value={part} depth={depth} onChange={(c, typed) => put(parts.map((p, j) => (j === i ? c : p)), typed)} onRemove={() => put(parts.filter((_, j) => j !== i))} />
          </li>
        ))}
      </ul>
      {!disabled && (
        <div className="pp-buttons">
          <button id={id} type="button" className="pp-add" disabled={parts.length >= 50} onClick={() => put([...parts, freshComparison()])} data-testid="add-condition"><Plus size={14} aria-hidden="true" />{t("condition.add")}</button>
          {depth + 1 < MAX_DEPTH && parts.length > 0 && <button type="button" className="pp-add" onClick={() => put([...parts, group(mode === "all" ? "any" : "all", [freshComparison()])])}>{t("condition.add_group")}</button>}
        </div>
      )}
    </div>
  );
}

function Part({ value, depth, onChange, onRemove }: { value: Condition; depth: number; onChange: Put; onRemove(): void }) {
  const { disabled } = useForm();
  const negated = isNot(value);
  const inner: any = negated ? value.not : value;
  const put: Put = (c, typed) => onChange(negated ? { not: c } : c, typed);
  return (
    <div className="pp-part" data-group={isGroup(inner) || undefined}>
      {isGroup(inner) ? <GroupBox value={inner} depth={depth + 1} onChange={put} />
        : isNot(inner) ? <Part value={inner} depth={depth} onChange={put} onRemove={onRemove} />
        : <ComparisonRow value={inner as Comparison} onChange={put} />}
      {!disabled && (
        <div className="pp-part-tools">
          <button type="button" className="pp-toggle" aria-pressed={negated} title={t("condition.not_hint")} onClick={() => onChange(negated ? inner : { not: inner })}>{t("condition.not")}</button>
          <IconButton label={t("condition.remove")} onClick={onRemove}><X size={14} /></IconButton>
        </div>
      )}
    </div>
  );
}

function ComparisonRow({ value, onChange }: { value: Comparison; onChange: Put }) {
  const type = dataType(value.left);
  const choices = useChoiceValues(value.left);
  const isWhole = LISTS.has(value.op) || value.op === "eq" || value.op === "ne";
  const offered = operatorsFor(type);
  const operators = offered.includes(value.op) ? offered : [value.op, ...offered];
  const setLeft = (left: any, typed?: boolean) => {
    const fits = operatorsFor(dataType(left));
    onChange(fits.includes(value.op) ? { ...value, left } : withOperator({ ...value, left }, fits[0]), typed);
  };
  return (
    <div className="pp-comparison">
      {kindOf(value.left) === "ref"
        ? <DataSelect value={value.left?.ref ?? ""} label={t("condition.left")} onChange={(path) => setLeft({ ref: path })} />
        : <OperandField operand={value.left} type="any" label={t("condition.left")} onChange={setLeft} />}
      <Select value={value.op} label={t("condition.operator")} options={operators.map((op) => [op, t(operatorKey(op, type))] as const)} onChange={(op) => onChange(withOperator(value, op))} />
      {!UNARY.has(value.op) && (
        <OperandField operand={value.right ?? { value: "" }} type={type === "list" ? "any" : type} choices={isWhole ? choices : []} isList={LISTS.has(value.op)} label={t("condition.right")} onChange={(right, typed) => onChange({ ...value, right }, typed)} />
      )}
    </div>
  );
}
