// The settings of one step: name, fields, what is wrong, exits, note. Everything is saved as it is typed.
import { CircleHelp, MessageSquareText, X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { StepIcon } from "../board/step_icon";
import { useNode, useProblems, useStepType } from "../core/hooks";
import { t } from "../core/i18n";
import { dispatch, patchState, useEditor } from "../core/store";
import type { Edit, FormField } from "../core/types";
import { IconButton } from "../screen/parts";
import { Beginnings } from "./beginnings";
import { CrmLook } from "./crm_look";
import { Field, ProblemNotes } from "./field";
import { FormContext, useFollowing, useIsAskedInside } from "./form_context";
import { concerns, isEmpty, textPlaces, valueOf, visible } from "./form_logic";
import { HelpText } from "./help_text";
import { HttpTrial } from "./http_trial";
import { usePanels } from "./panel_state";
import { Actions, Exits, NameField } from "./step_parts";
import { LanguageTabs, Translations, useLanguages } from "./translations";

const NO_FIELDS: FormField[] = [];

export function StepPanel({ id }: { id: string }) {
  const node = useNode(id);
  const type = useStepType(id);
  const tint = useEditor((s) => s.tints[type?.category ?? ""] ?? "gray");
  const problems = useProblems(id);
  const disabled = useEditor((s) => s.viewOnly);
  const isTesting = useEditor((s) => !!s.panels.test);
  const language = usePanels((s) => s.language);
  const languages = useLanguages();
  const [isHelpOpen, setHelpOpen] = useState(false);
  const form = type?.form ?? NO_FIELDS;
  const context = useMemo(() => ({ nodeId: id, disabled, problems, siblings: form }), [id, disabled, problems, form]);
  if (!node) return null;
  const shown = visible(form, node.settings);
  const paths = shown.map((f) => f.key);
  const elsewhere = problems.filter((p) => !paths.some((path) => concerns(p.field, path)));
  const hasTexts = textPlaces(form, node.settings).length > 0;
  const isTranslating = !!language && hasTexts && languages.some((l) => l.id === language && !l.isMain);
  return (
    <FormContext.Provider value={context}>
      <aside className="pp-panel pc-inspector" data-tint={tint} aria-label={t("inspector.title")} data-testid="inspector" data-node={id}
        onKeyDown={(e) => {
          if (e.key === "Escape") (document.querySelector<HTMLElement>(`.react-flow__node[data-id="${id}"]`) ?? document.querySelector<HTMLElement>(".pc-board"))?.focus({ preventScroll: true });
        }}>
        <header className="pp-head">
          <StepIcon svg={type?.icon} size={18} />
          <div className="pp-title">
            <NameField id={id} name={node.name} fallback={type?.label ?? node.type} disabled={disabled} />
            <small>{!type ? t("card.missing", { type: node.type }) : node.name && node.name !== type.label ? type.label : ""}{!node.enabled && <em>{t("card.off")}</em>}</small>
          </div>
          {isTesting && <IconButton label={t("test.back")} tone="accent" onClick={() => usePanels.setState({ front: "test" })}><MessageSquareText size={16} /></IconButton>}
          {type?.help && <IconButton label={t("inspector.help")} pressed={isHelpOpen} onClick={() => setHelpOpen(!isHelpOpen)} testId="step-help"><CircleHelp size={16} /></IconButton>}
          {!disabled && <Actions id={id} enabled={node.enabled} isEntry={!!type?.entry} />}
          <IconButton label={t("close")} onClick={() => patchState({ selection: [] })}><X size={16} /></IconButton>
        </header>
        {hasTexts && <LanguageTabs nodeId={id} form={form} settings={node.settings} />}
        <div className="pp-scroll">
          {isHelpOpen && type?.help && <section className="pp-help-box" aria-label={t("inspector.help")}><HelpText text={type.help} skipTitle /></section>}
          {!type && <p className="pp-empty">{t("inspector.missing")}</p>}
          <ProblemNotes problems={elsewhere} />
          {isTranslating ? <Translations nodeId={id} language={language} form={form} settings={node.settings} /> : <Fields id={id} shown={shown} settings={node.settings} />}
          {node.type === "http_request" && !disabled && <HttpTrial id={id} settings={node.settings} />}
          {form.some((f) => f.key === "entity") && form.some((f) => f.of === "crm") && !disabled && !isTranslating && <CrmLook key={id} id={id} settings={node.settings} />}
          <Exits id={id} disabled={disabled} />
          {type?.entry && <Beginnings />}
          <Note id={id} note={node.note} disabled={disabled} />
        </div>
      </aside>
    </FormContext.Provider>
  );
}

function Fields({ id, shown, settings }: { id: string; shown: FormField[]; settings: Record<string, any> }) {
  const flows = useEditor((s) => s.flows);
  const form = useStepType(id)?.form ?? NO_FIELDS;
  const essential = shown.filter((f) => !f.advanced);
  const more = shown.filter((f) => f.advanced);
  const write = (f: FormField, value: any, typed = false, extra: Edit[] = []) => {
    const set: Record<string, any> = { [f.key]: value };
    // The exits of the chosen sub-flow are known here already; saving brings the same ones.
    if (f.widget === "flow" && form.some((x) => x.key === "exits" && x.widget === "id")) set.exits = flows.find((x) => x.id === value)?.exits ?? [];
    dispatch([...extra, { kind: "change_settings", id, set }], { label: f.label, field: typed ? `${id}.${f.key}` : undefined });
  };
  const field = (f: FormField) => <Field key={f.key} field={f} value={valueOf(f, settings)} path={f.key} onChange={(value, typed, extra) => write(f, value, typed, extra)} />;
  return (
    <>
      {essential.map(field)}
      {more.length > 0 && <More fields={more} settings={settings}>{more.map(field)}</More>}
    </>
  );
}

/** Folded until wanted; says how many of its settings are not as they came. */
function More({ fields, settings, children }: { fields: FormField[]; settings: Record<string, any>; children: React.ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  const focus = usePanels((s) => s.focus);
  const isAsked = useIsAskedInside("") && !!focus && fields.some((f) => concerns(focus.path, f.key));
  useEffect(() => {
    if (isAsked) setOpen(true);
  }, [isAsked]);
  const changed = fields.filter((f) => !isEmpty(settings[f.key]) && JSON.stringify(settings[f.key]) !== JSON.stringify(f.default)).length;
  return (
    <section className="pp-more" data-open={isOpen || undefined}>
      <button type="button" className="pp-more-head" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)} data-testid="more-options">
        {t("inspector.more")}{changed > 0 && <span>{t("inspector.more_changed", { n: changed })}</span>}
      </button>
      {isOpen && <div>{children}</div>}
    </section>
  );
}

function Note({ id, note, disabled }: { id: string; note: string; disabled: boolean }) {
  const { ref, follow } = useFollowing<HTMLTextAreaElement>(note);
  const [isOpen, setOpen] = useState(!!note);
  if (!isOpen && !note) {
    if (disabled) return null;
    return <button type="button" className="pp-add pp-add-note" onClick={() => setOpen(true)}>{t("inspector.add_note")}</button>;
  }
  return (
    <section className="pp-section">
      <h3><label htmlFor={`${id}-note`}>{t("inspector.note")}</label></h3>
      <textarea id={`${id}-note`} ref={ref} className="pp-input pp-note-text" rows={3} defaultValue={note} maxLength={5000} disabled={disabled} autoFocus={!note} onBlur={follow}
        onChange={(e) => dispatch([{ kind: "change_node", id, note: e.target.value }], { label: t("inspector.note"), field: `${id}.note` })} />
    </section>
  );
}
