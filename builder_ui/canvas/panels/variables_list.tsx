// The variables of the flow: names, kinds, first values; where each one is used; deleting says what it would break.
import { ChevronDown, Trash2 } from "lucide-react";
import { useState } from "react";
import { stepName } from "../core/hooks";
import { t } from "../core/i18n";
import { dispatch, useEditor, type EditorState } from "../core/store";
import type { Edit, FormField, Variable } from "../core/types";
import { IconButton } from "../screen/parts";
import { useFollowing } from "./form_context";
import { visible } from "./form_logic";
import { readNumber, Select, Switch } from "./inputs";
import { goToField } from "./panel_state";
import { AddVariable, LastValue, newVariable, typeOptions, variableId } from "./variable_field";

export type Use = { node: string; path: string; name: string; label: string };

/** Where a variable is read or written: in texts, conditions, calculations and fields that name it. */
export function usesOf(s: EditorState, id: string): Use[] {
  const inText = new RegExp(`\\{[{%][^{}]*\\bvar\\.${id}\\b`);
  const found: Use[] = [];
  const holds = (value: any): boolean => {
    if (typeof value === "string") return inText.test(value);
    if (value && typeof value === "object") return Object.entries(value).some(([k, v]) => (k === "ref" ? v === `var.${id}` || String(v).startsWith(`var.${id}.`) : holds(v)));
    return false;
  };
  const look = (node: string, form: FormField[], settings: Record<string, any>, prefix: string) => {
    for (const f of visible(form, settings)) {
      const value = settings[f.key];
      if (value === undefined || value === null) continue;
      const path = prefix + f.key;
      const names = (f.widget === "variable" || f.widget === "save_to") && value === id;
      if (f.fields.length && Array.isArray(value)) value.forEach((row, i) => look(node, f.fields, row ?? {}, `${path}.${row?.id || i}.`));
      else if (names || holds(value)) found.push({ node, path, name: stepName(s, node), label: f.label });
    }
  };
  for (const [node, { type, settings }] of Object.entries(s.doc.nodes)) look(node, s.types[type]?.form ?? [], settings, "");
  return found;
}

export function Variables({ disabled }: { disabled: boolean }) {
  const variables = useEditor((s) => s.doc.variables);
  const rows = Object.entries(variables);
  return (
    <section className="pp-section" data-testid="variables">
      <h3>{t("variables.title")}</h3>
      {!rows.length && <p className="pp-empty">{t("variables.none")}</p>}
      <ul className="pp-variables">{rows.map(([id, v]) => <VariableRow key={id} id={id} variable={v} disabled={disabled} />)}</ul>
      {!disabled && <AddVariable onMake={(label, type) => dispatch([newVariable(variableId(label, useEditor.getState().doc), label, type)], { label: t("variables.new") })} />}
    </section>
  );
}

function VariableRow({ id, variable, disabled }: { id: string; variable: Variable; disabled: boolean }) {
  const [isOpen, setOpen] = useState(false);
  const [uses, setUses] = useState<Use[] | null>(null);
  const { ref, follow } = useFollowing<HTMLInputElement>(variable.label);
  const put = (part: Partial<Variable>, field = "") =>
    dispatch([{ kind: "set_variable", id, variable: { ...useEditor.getState().doc.variables[id], ...part } } as Edit], { label: t("variables.title"), field: field || undefined });
  const remove = () => {
    const used = usesOf(useEditor.getState(), id);
    if (used.length && !uses) {
      setUses(used);
      setOpen(true);
    } else dispatch([{ kind: "set_variable", id, variable: null }], { label: t("variables.delete", { name: variable.label || id }) });
  };
  return (
    <li data-open={isOpen || undefined} data-testid={`variable-${id}`}>
      <div className="pp-variable-head">
        <input ref={ref} className="pp-name" data-small defaultValue={variable.label} placeholder={id} maxLength={100} disabled={disabled} aria-label={t("variables.name")} onBlur={follow} onChange={(e) => put({ label: e.target.value }, `var.${id}.label`)} />
        <small>{t(`type.${variable.type}` as "type.text")}</small>
        <button type="button" className="pp-fold" aria-expanded={isOpen} aria-label={t("variables.details", { name: variable.label || id })} onClick={() => setOpen(!isOpen)}><ChevronDown size={14} aria-hidden="true" /></button>
        {!disabled && <IconButton label={t("variables.delete", { name: variable.label || id })} onClick={remove}><Trash2 size={14} /></IconButton>}
      </div>
      {isOpen && (
        <div className="pp-variable-body">
          <label>{t("variables.type")}<Select value={variable.type} options={typeOptions()} label={t("variables.type")} onChange={(type) => put({ type, default: null })} /></label>
          <DefaultValue variable={variable} disabled={disabled} onPut={(value) => put({ default: value }, `var.${id}.default`)} />
          <div className="pp-switch-row"><span id={`${id}-scope`}>{t("variables.of_contact")}</span><Switch value={variable.scope === "contact"} label={t("variables.of_contact")} onChange={(on) => put({ scope: on ? "contact" : "conversation" })} /></div>
          <p className="pp-id"><code>{`{{ var.${id} }}`}</code></p>
          <LastValue id={id} />
          <Uses uses={uses ?? usesOf(useEditor.getState(), id)} />
          {uses && (
            <div className="pp-note" data-level="warning" role="alert">
              <span>{t("variables.used_warning", { n: uses.length })}</span>
              <button type="button" className="pp-fix" onClick={remove}>{t("variables.delete_anyway")}</button>
              <button type="button" className="pp-fix" onClick={() => setUses(null)}>{t("variables.keep")}</button>
            </div>
          )}
        </div>
      )}
    </li>
  );
}

function Uses({ uses }: { uses: Use[] }) {
  if (!uses.length) return <small className="pp-unused">{t("variables.unused")}</small>;
  return (
    <div className="pp-uses">
      <small>{t("variables.used_in")}</small>
      <ul>{uses.slice(0, 20).map((u) => <li key={u.node + u.path}><button type="button" className="pp-link" onClick={() => goToField(u.node, u.path)}>{u.name}</button> <small>{u.label}</small></li>)}</ul>
    </div>
  );
}

function DefaultValue({ variable, disabled, onPut }: { variable: Variable; disabled: boolean; onPut(value: any): void }) {
  const text = variable.default === null || variable.default === undefined ? "" : Array.isArray(variable.default) ? variable.default.join(", ") : String(variable.default);
  const { ref, follow } = useFollowing<HTMLInputElement>(text);
  const { type } = variable;
  if (type === "object" || type === "file") return null;
  if (type === "boolean")
    return <label>{t("variables.default")}<Select value={text} label={t("variables.default")} options={[["", t("variables.default_none")], ["true", t("fields.yes")], ["false", t("fields.no")]]} onChange={(v) => onPut(v === "" ? null : v === "true")} /></label>;
  const read = (words: string): any => {
    if (words === "") return null;
    if (type === "number") return readNumber(words);
    return type === "list" ? words.split(",").map((x) => x.trim()).filter(Boolean) : words;
  };
  return (
    <label>{t("variables.default")}
      <input ref={ref} className="pp-input" type={type === "date" ? "date" : "text"} inputMode={type === "number" ? "decimal" : undefined} defaultValue={text} disabled={disabled} placeholder={t("variables.default_none")} onBlur={follow}
        onChange={(e) => { const value = read(e.target.value); if (value !== undefined) onPut(value); }} />
    </label>
  );
}
