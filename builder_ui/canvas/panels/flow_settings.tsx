// With nothing selected: the flow's own settings, its languages, variables and models.
import { Trash2, X } from "lucide-react";
import { useMemo } from "react";
import { t } from "../core/i18n";
import { dispatch, show, useEditor } from "../core/store";
import type { Edit, Pace } from "../core/types";
import { IconButton } from "../screen/parts";
import { Answers } from "./connection_field";
import { FormContext, useFollowing } from "./form_context";
import { Choices, Select } from "./inputs";
import { showFlowSettings } from "./panel_state";
import { ProblemNotes } from "./field";
import { AddLanguage, forgetLanguage, useLanguages } from "./translations";
import { Variables } from "./variables_list";

export function FlowSettings() {
  const disabled = useEditor((s) => s.viewOnly);
  const problems = useEditor((s) => s.problemsOf[""] ?? NO_PROBLEMS);
  const context = useMemo(() => ({ nodeId: "", disabled, problems, siblings: [] }), [disabled, problems]);
  const close = () => {
    showFlowSettings(false);
    show("flowSettings", false);
  };
  return (
    <FormContext.Provider value={context}>
      <aside className="pp-panel pc-inspector" aria-label={t("flow.settings")} data-testid="flow-settings">
        <header className="pp-head"><h2>{t("flow.settings")}</h2><IconButton label={t("close")} onClick={close}><X size={16} /></IconButton></header>
        <div className="pp-scroll">
          <ProblemNotes problems={problems} />
          <FlowName disabled={disabled} />
          <Languages disabled={disabled} />
          <PaceOfAnswers />
          <Variables disabled={disabled} />
          <Connections disabled={disabled} />
        </div>
      </aside>
    </FormContext.Provider>
  );
}
const NO_PROBLEMS: never[] = [];

function FlowName({ disabled }: { disabled: boolean }) {
  const name = useEditor((s) => s.doc.name);
  const { ref, follow } = useFollowing<HTMLInputElement>(name);
  return (
    <div className="pp-field">
      <div className="pp-label"><label htmlFor="pp-flow-name">{t("flow.name")}</label></div>
      <input id="pp-flow-name" ref={ref} className="pp-input" defaultValue={name} maxLength={200} disabled={disabled} placeholder={t("flow.unnamed")} onBlur={follow}
        onChange={(e) => e.target.value.trim() && dispatch([{ kind: "rename_flow", name: e.target.value.trim() }], { label: t("flow.name"), field: "flow.name" })} />
    </div>
  );
}

function Languages({ disabled }: { disabled: boolean }) {
  const languages = useLanguages();
  const locale = useEditor((s) => s.doc.locale);
  const known = useEditor((s) => s.catalog.languages) as { id: string; label: string }[];
  const others = languages.filter((l) => !l.isMain);
  return (
    <>
      <div className="pp-field">
        <div className="pp-label"><label htmlFor="pp-flow-locale">{t("languages.main")}</label></div>
        <Select id="pp-flow-locale" value={locale} options={known.map((l) => [l.id, l.label] as const)} onChange={(id) => dispatch([{ kind: "rename_flow", locale: id }], { label: t("languages.main") })} />
      </div>
      <div className="pp-field">
        <div className="pp-label"><span>{t("languages.also")}</span></div>
        <ul className="pp-list">
          {others.map((l) => (
            <li key={l.id}>
              <span>{l.label}</span><small>{l.texts ? t("languages.texts", { n: l.texts }) : t("languages.no_texts")}</small>
              {!disabled && <IconButton label={t("languages.remove", { name: l.label })} onClick={() => forgetLanguage(l.id)}><Trash2 size={14} /></IconButton>}
            </li>
          ))}
        </ul>
        {!disabled && <AddLanguage />}
      </div>
    </>
  );
}

const GATHER = [0, 800, 1500, 3000] as const;

/** Sub-flows keep the pace of the flow that calls them. */
function PaceOfAnswers() {
  const isMain = useEditor((s) => s.flows.find((f) => f.id === s.flowId)?.kind !== "sub");
  const pace = useEditor((s) => s.doc.pace);
  if (!isMain) return null;
  const put = (part: Partial<Pace>) => dispatch([{ kind: "set_pace", pace: { ...pace, ...part } }], { label: t("pace.title"), field: "flow.pace" });
  return (
    <section className="pp-section" data-testid="pace">
      <h3>{t("pace.title")}</h3>
      <div className="pp-field">
        <div className="pp-label"><label htmlFor="pp-gather">{t("pace.gather")}</label></div>
        <Select id="pp-gather" value={pace.gather_ms} onChange={(v) => put({ gather_ms: Number(v) })}
          options={GATHER.map((ms) => [ms, ms ? t("pace.seconds", { n: ms / 1000 }) : t("pace.at_once")] as const)} />
        <small className="pp-note">{t("pace.gather_help")}</small>
      </div>
      <div className="pp-field">
        <div className="pp-label"><span>{t("pace.busy")}</span></div>
        <Choices value={pace.while_busy} label={t("pace.busy")} onChange={(v) => put({ while_busy: v })}
          options={[["queue", t("pace.queue")], ["interrupt", t("pace.interrupt")]]} />
        <small className="pp-note">{t(pace.while_busy === "queue" ? "pace.queue_help" : "pace.interrupt_help")}</small>
      </div>
    </section>
  );
}

function Connections({ disabled }: { disabled: boolean }) {
  const declared = useEditor((s) => s.doc.connections);
  const slots = Object.fromEntries(Object.entries(declared).filter(([, slot]) => slot.kind === "chat_model"));
  const nodes = useEditor((s) => s.doc.nodes);
  const types = useEditor((s) => s.types);
  const usedBy = (slot: string) =>
    Object.keys(nodes).filter((id) => types[nodes[id].type]?.form.some((f) => f.widget === "connection" && (nodes[id].settings[f.key] ?? f.default) === slot)).length;
  if (!Object.keys(slots).length) return null;
  return (
    <section className="pp-section">
      <h3>{t("connection.title")}</h3>
      <ul className="pp-slots">
        {Object.entries(slots).map(([slot, about]) => {
          const used = usedBy(slot);
          return (
            <li key={slot}>
              <div className="pp-slot-head">
                <SlotName slot={slot} label={about.label} disabled={disabled} />
                <small>{t("connection.used", { n: used })}</small>
                {!disabled && !used && <IconButton label={t("fields.remove_named", { name: about.label || slot })} onClick={() => dispatch([{ kind: "set_connection", id: slot, connection: null }], { label: t("connection.title") })}><Trash2 size={14} /></IconButton>}
              </div>
              <Answers slot={slot} />
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function SlotName({ slot, label, disabled }: { slot: string; label: string; disabled: boolean }) {
  const { ref, follow } = useFollowing<HTMLInputElement>(label);
  const about = useEditor((s) => s.doc.connections[slot]);
  return (
    <input ref={ref} className="pp-name" data-small defaultValue={label} placeholder={slot} disabled={disabled} aria-label={t("connection.name")} onBlur={follow}
      onChange={(e) => dispatch([{ kind: "set_connection", id: slot, connection: { ...about, label: e.target.value } } as Edit], { label: t("connection.name"), field: `slot.${slot}` })} />
  );
}
