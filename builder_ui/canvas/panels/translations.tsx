// What is said to the contact, in every language the flow offers: tabs above the fields, missing texts marked.
import { Plus } from "lucide-react";
import { useMemo, useState } from "react";
import { t } from "../core/i18n";
import { dispatch, useEditor } from "../core/store";
import type { FormField } from "../core/types";
import { pathLabel, pieces } from "./data_list";
import { useForm } from "./form_context";
import { textPlaces, type Settings, type TextPlace } from "./form_logic";
import { usePanels } from "./panel_state";
import { ChipEditor } from "./template_field";

export type Language = { id: string; label: string; isMain: boolean; texts: number };

const PICKED = "patchcord.languages.";
const picked = (flowId: string): string[] => {
  try {
    return JSON.parse(localStorage.getItem(PICKED + flowId) ?? "[]");
  } catch {
    return [];
  }
};

/** The main language first, then those with texts, then those chosen here that have none yet. */
export function useLanguages(): Language[] {
  const locale = useEditor((s) => s.doc.locale);
  const i18n = useEditor((s) => s.doc.i18n);
  const known = useEditor((s) => s.catalog.languages) as { id: string; label: string }[];
  const flowId = useEditor((s) => s.flowId);
  const shown = usePanels((s) => s.language);
  return useMemo(() => {
    const ids = [...new Set([locale, ...Object.keys(i18n), ...picked(flowId), shown])].filter(Boolean);
    return ids.map((id) => ({ id, label: known.find((l) => l.id === id)?.label ?? id, isMain: id === locale, texts: Object.keys(i18n[id] ?? {}).length }));
  }, [locale, i18n, known, flowId, shown]);
}

export function offerLanguage(id: string): void {
  const { flowId } = useEditor.getState();
  try {
    localStorage.setItem(PICKED + flowId, JSON.stringify([...new Set([...picked(flowId), id])]));
  } catch {
    // It is offered until the tab closes, and for good with its first text.
  }
  usePanels.setState({ language: id });
}

export function forgetLanguage(id: string): void {
  const { flowId, doc } = useEditor.getState();
  try {
    localStorage.setItem(PICKED + flowId, JSON.stringify(picked(flowId).filter((x) => x !== id)));
  } catch {
    // Nothing was kept.
  }
  usePanels.setState({ language: "" });
  dispatch(Object.keys(doc.i18n[id] ?? {}).map((key) => ({ kind: "set_text", language: id, key, text: null })), { label: t("languages.remove", { name: id }) });
}

export function LanguageTabs({ nodeId, form, settings }: { nodeId: string; form: FormField[]; settings: Settings }) {
  const languages = useLanguages();
  const active = usePanels((s) => s.language);
  const i18n = useEditor((s) => s.doc.i18n);
  const { disabled } = useForm();
  const places = textPlaces(form, settings);
  const shown = languages.some((l) => l.id === active && !l.isMain) ? active : "";
  const choose = (l: Language) => usePanels.setState({ language: l.isMain ? "" : l.id });
  if (languages.length < 2) return null;
  return (
    <div className="pp-languages" role="tablist" aria-label={t("languages.title")}
      onKeyDown={(e) => {
        const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
        if (!step) return;
        const at = languages.findIndex((l) => (l.isMain ? "" : l.id) === shown);
        const next = (at + step + languages.length) % languages.length;
        choose(languages[next]);
        (e.currentTarget.querySelectorAll("[role=tab]")[next] as HTMLElement)?.focus();
      }}>
      {languages.map((l) => {
        const missing = l.isMain ? 0 : places.filter((p) => !i18n[l.id]?.[`${nodeId}.${p.path}`]).length;
        const isActive = (l.isMain ? "" : l.id) === shown;
        return (
          <button key={l.id} type="button" role="tab" aria-selected={isActive} tabIndex={isActive ? 0 : -1} onClick={() => choose(l)} data-testid={`language-${l.id}`}
            title={missing ? t("languages.missing", { n: missing }) : undefined}>
            {l.label}{missing > 0 && <i className="pp-missing"><span className="pp-sr">{t("languages.missing", { n: missing })}</span></i>}
          </button>
        );
      })}
      {!disabled && <AddLanguage small />}
    </div>
  );
}

export function AddLanguage({ small = false }: { small?: boolean }) {
  const languages = useLanguages();
  const known = useEditor((s) => s.catalog.languages) as { id: string; label: string }[];
  const [isOpen, setOpen] = useState(false);
  const left = known.filter((k) => !languages.some((l) => l.id === k.id));
  if (!left.length) return null;
  return (
    <div className="pp-menu-box" onBlur={(e) => !e.currentTarget.contains(e.relatedTarget) && setOpen(false)} onKeyDown={(e) => { if (e.key === "Escape" && isOpen) { e.stopPropagation(); setOpen(false); } }}>
      <button type="button" className="pp-add" aria-expanded={isOpen} aria-label={t("languages.add")} title={t("languages.add")} onClick={() => setOpen(!isOpen)} data-testid="add-language">
        <Plus size={14} aria-hidden="true" />{!small && t("languages.add")}
      </button>
      {isOpen && (
        <div className="pp-menu" role="menu" data-left>
          {left.map((l) => <button key={l.id} type="button" role="menuitem" onClick={() => { setOpen(false); offerLanguage(l.id); }}>{l.label}</button>)}
        </div>
      )}
    </div>
  );
}

/** Every text of the step: the main language above, the translation below. */
export function Translations({ nodeId, language, form, settings }: { nodeId: string; language: string; form: FormField[]; settings: Settings }) {
  const places = textPlaces(form, settings);
  const done = useEditor((s) => places.filter((p) => s.doc.i18n[language]?.[`${nodeId}.${p.path}`]).length);
  return (
    <section className="pp-translations" aria-label={t("languages.title")}>
      <p className="pp-progress">{t("languages.progress", { n: done, of: places.length })}</p>
      {places.map((place) => <Translation key={place.path} nodeId={nodeId} language={language} place={place} />)}
    </section>
  );
}

function Translation({ nodeId, language, place }: { nodeId: string; language: string; place: TextPlace }) {
  const key = `${nodeId}.${place.path}`;
  const text = useEditor((s) => s.doc.i18n[language]?.[key] ?? "");
  const { disabled } = useForm();
  return (
    <div className="pp-field" data-path={place.path} data-level={text ? undefined : "warning"}>
      <div className="pp-label"><span>{place.label}</span>{!text && <em className="pp-untranslated">{t("languages.not_yet")}</em>}</div>
      <blockquote>{pieces(place.source).map((p, i) => ("text" in p ? p.text : <span key={i} className="pp-chip" title={p.raw}>{pathLabel(useEditor.getState(), p.path)}</span>))}</blockquote>
      <ChipEditor key={language} text={text} lines={place.widget === "template" || place.widget === "textarea"} label={t("languages.of", { name: place.label })} disabled={disabled} placeholder={t("languages.placeholder")}
        maxLength={place.maxLength} testId={`translation-${place.path}`}
        onType={(next) => dispatch([{ kind: "set_text", language, key, text: next.trim() ? next : null }], { label: place.label, field: `${language}.${key}` })} />
    </div>
  );
}
