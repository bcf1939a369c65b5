// One field with its label, its help on demand and what is wrong with it; the widget is chosen by its kind.
import { CircleHelp } from "lucide-react";
import { useId, useRef, useState } from "react";
import { t, words } from "../core/i18n";
import { dispatch } from "../core/store";
import type { Problem } from "../core/types";
import { ChainField } from "./chain_field";
import { ConditionField } from "./condition_field";
import { ConnectionField } from "./connection_field";
import { DurationField, SchemaField } from "./special_fields";
import { FlowField } from "./flow_field";
import { useAskedFocus, useForm, type FieldProps, type WidgetProps } from "./form_context";
import { FormulaField } from "./formula_field";
import { KnowledgeField } from "./knowledge_field";
import { HelpText } from "./help_text";
import { Choices, LongText, NumberInput, Select, ShortText, Strings, Switch } from "./inputs";
import { QueueField } from "./queue_field";
import { RemoteField } from "./remote_field";
import { RemoteValue } from "./remote_value";
import { Group, Rows } from "./rows";
import { TemplateField } from "./template_field";
import { SaveToField, VariableField } from "./variable_field";

/** Widgets made of several controls are groups; the others have one control for their label. */
const GROUPS = new Set(["strings", "list", "group", "condition", "formula", "knowledge", "template", "line_template"]);

export function Field(props: FieldProps) {
  const { field, path, value, onChange } = props;
  const { problems } = useForm();
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const [isHelpOpen, setHelpOpen] = useState(false);
  const own = problems.filter((p) => p.field === path);
  useAskedFocus(path, box);
  const isGroup = GROUPS.has(field.widget);
  const described = [isHelpOpen && `${id}-help`, own.length && `${id}-problems`].filter(Boolean).join(" ") || undefined;
  const label = <>{field.label}{field.required && <i className="pp-required" title={t("fields.required")} aria-hidden="true" />}</>;
  return (
    <div ref={box} className="pp-field" data-widget={field.widget} data-path={path} data-testid={`field-${path}`} data-level={own[0]?.level}
      role={isGroup ? "group" : undefined} aria-labelledby={isGroup ? `${id}-label` : undefined}>
      <div className="pp-label">
        {isGroup ? <span id={`${id}-label`}>{label}</span> : <label id={`${id}-label`} htmlFor={id}>{label}</label>}
        {field.help && (
          <button type="button" className="pp-help" aria-expanded={isHelpOpen} aria-label={t("fields.help", { name: field.label })} title={field.help} onClick={() => setHelpOpen(!isHelpOpen)}>
            <CircleHelp size={14} aria-hidden="true" />
          </button>
        )}
        {field.widget === "switch" && <span className="pp-widget"><Switch id={id} value={!!value} labelledBy={`${id}-label`} describedBy={described} onChange={(v) => onChange(v)} /></span>}
      </div>
      {field.help && isHelpOpen && <div id={`${id}-help`} className="pp-hint"><HelpText text={field.help} /></div>}
      {field.widget !== "switch" && <div className="pp-widget"><Widget {...props} id={id} describedBy={described} /></div>}
      {own.length > 0 && <div id={`${id}-problems`}><ProblemNotes problems={own} /></div>}
    </div>
  );
}

function Widget(props: WidgetProps) {
  const { field, id, value, describedBy, onChange } = props;
  switch (field.widget) {
    case "textarea": return <LongText {...props} />;
    case "template": return <TemplateField {...props} lines />;
    case "line_template": return field.of === "crm.choices" ? <RemoteValue {...props} /> : <TemplateField {...props} />;
    case "number": return <NumberInput {...props} />;
    case "select": {
      const isShort = field.options.length <= 3 && field.options.reduce((n, [, label]) => n + label.length, 0) <= 34;
      const Shown = isShort ? Choices : Select;
      return <Shown id={id} value={value} options={field.options} label={isShort ? field.label : undefined} describedBy={describedBy} onChange={(v) => onChange(v)} />;
    }
    case "strings": return <Strings {...props} />;
    case "list": return <Rows {...props} />;
    case "group": return <Group {...props} />;
    case "variable": return <VariableField {...props} />;
    case "save_to": return <SaveToField {...props} />;
    case "condition": return <ConditionField {...props} />;
    case "formula": return <FormulaField {...props} />;
    case "connection": return <ConnectionField {...props} />;
    case "knowledge": return <KnowledgeField {...props} />;
    case "chain": return <ChainField {...props} />;
    case "flow": return <FlowField {...props} />;
    case "queue": return <QueueField {...props} />;
    case "remote": return <RemoteField {...props} />;
    case "duration": return <DurationField {...props} />;
    case "schema": return <SchemaField {...props} />;
    default: return <ShortText {...props} />;
  }
}

/** What is wrong, in words, with the way to mend it. Fix is an ordinary edit and can be undone. */
export function ProblemNotes({ problems }: { problems: Problem[] }) {
  const { disabled } = useForm();
  return (
    <>
      {problems.map((p, i) => (
        <div key={`${p.code}${p.port}${i}`} className="pp-note" data-level={p.level} data-code={p.code}>
          <span>{words(p.message)}</span>
          {p.fix && !disabled && <button type="button" className="pp-fix" onClick={() => dispatch(p.fix!.edits, { label: words(p.fix!.label) })}>{words(p.fix.label)}</button>}
        </div>
      ))}
    </>
  );
}
