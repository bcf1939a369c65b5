// A record of the connected system as it is now, so that whoever writes the step sees what its fields hold; a click keeps a value.
import { ExternalLink, Eye } from "lucide-react";
import { useEffect, useState } from "react";
import { ApiError, call } from "../core/api";
import { t } from "../core/i18n";
import { dispatch, useEditor } from "../core/store";
import type { Edit, Json } from "../core/types";
import { Select, type Option } from "./inputs";
import { useAccount, useRemote } from "./remote_field";
import { newVariable, NewVariable, variableId } from "./variable_field";

type Found = { id: string; name: string; url: string; values: Record<string, Json> };
type Kept = { field: string; save_to: string };
type Settings = Record<string, any>;

const NEW = "__new__";
const WAYS = ["phone", "email", "id"] as const;
const shown = (value: Json): string => (Array.isArray(value) ? value.join(", ") : typeof value === "object" && value ? JSON.stringify(value) : String(value));
const typeOf = (value: Json): string => (Array.isArray(value) ? "list" : typeof value === "number" ? "number" : typeof value === "boolean" ? "boolean" : "text");

export function CrmLook({ id, settings }: { id: string; settings: Settings }) {
  const { slot, entity } = useAccount();
  const agentId = useEditor((s) => s.agent.id);
  const variables = useEditor((s) => s.doc.variables);
  const { offered } = useRemote("crm.fields");
  const [by, setBy] = useState<string>("phone");
  const [wanted, setWanted] = useState("");
  const [found, setFound] = useState<Found | null | undefined>(undefined);
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const [picked, setPicked] = useState("");
  // Only a step that keeps parts of a record has somewhere to put them.
  const canKeep = useEditor((s) => !!s.types[s.doc.nodes[id]?.type]?.form.some((f) => f.key === "parts"));
  useEffect(() => { setFound(undefined); setFailure(""); setPicked(""); }, [slot, entity]);
  if (!slot) return null;
  const look = async () => {
    setBusy(true);
    setFailure("");
    setPicked("");
    try {
      const asked = `entity=${entity}&by=${by}&value=${encodeURIComponent(wanted.trim())}`;
      setFound((await call<{ record: Found | null }>("GET", `/api/builder/agents/${agentId}/connections/${slot}/record?${asked}`)).record);
    } catch (error) {
      setFound(undefined);
      setFailure((error as ApiError).message || t("error.unreachable"));
    } finally {
      setBusy(false);
    }
  };
  const parts: Kept[] = settings.parts ?? [];
  const keep = (field: string, name: string, extra: Edit[] = []) => {
    dispatch([...extra, { kind: "change_settings", id, set: { parts: [...parts.filter((p) => p.field !== field), { field, save_to: name }] } }], { label: t("look.title") });
    setPicked("");
  };
  const rows = found ? fieldRows(found, offered ?? []) : [];
  return (
    <section className="pp-trial" aria-label={t("look.title")} data-testid="crm-look">
      <h3>{t("look.title")}</h3>
      <form className="pp-look" onSubmit={(e) => { e.preventDefault(); void look(); }}>
        <Select small value={by} label={t("look.title")} options={WAYS.map((w): Option => [w, t(`look.by_${w}`)])} onChange={setBy} />
        <input className="pp-input" value={wanted} maxLength={500} placeholder={t("look.newest")} aria-label={t(`look.by_${by}` as "look.by_id")} onChange={(e) => setWanted(e.target.value)} data-testid="look-value" />
        <button type="submit" className="pp-button" disabled={busy} data-testid="look-show"><Eye size={14} aria-hidden="true" />{busy ? t("look.showing") : t("look.show")}</button>
      </form>
      {failure && <p className="pp-note" data-level="error" role="alert">{failure}</p>}
      {found === null && <p className="pp-empty" role="status">{wanted.trim() ? t("look.none") : t("look.none_yet")}</p>}
      {found && (
        <div className="pp-record" role="status" data-testid="look-record">
          <p><b>{found.name || found.id}</b>{/^https?:/.test(found.url) && <a href={found.url} target="_blank" rel="noreferrer"><ExternalLink size={13} aria-hidden="true" />{t("look.open")}</a>}</p>
          {!rows.length && <p className="pp-empty">{t("look.no_values")}</p>}
          {rows.length > 0 && canKeep && <small className="pp-hint">{t("look.point")}</small>}
          <dl>
            {rows.map((row) => {
              const kept = parts.find((p) => p.field === row.field);
              return (
                <div key={row.field}>
                  <dt>{row.label}</dt>
                  <dd>
                    {canKeep ? <button type="button" className="pp-tree-value" data-picked={picked === row.field || undefined} data-field={row.field} onClick={() => setPicked(row.field)}>{row.words}</button> : row.words}
                    {kept && <em className="pp-tree-kept">{t("trial.kept", { name: variables[kept.save_to]?.label || kept.save_to })}</em>}
                  </dd>
                </div>
              );
            })}
          </dl>
          {picked && <Keep key={picked} row={rows.find((r) => r.field === picked)!} onKeep={keep} onCancel={() => setPicked("")} />}
        </div>
      )}
    </section>
  );
}

type FieldRow = { field: string; label: string; words: string; value: Json };

/** The record's fields by the names that people know them by; what only the program keeps there is left out. */
function fieldRows(found: Found, offered: { id: string; label: string; options: [string, string][] }[]): FieldRow[] {
  const known = new Map(offered.map((o) => [o.id, o]));
  return Object.entries(found.values).filter(([field]) => !offered.length || known.has(field)).map(([field, value]) => {
    const about = known.get(field);
    const words = about?.options.find(([v]) => v === String(value))?.[1] ?? shown(value);
    return { field, label: about?.label ?? field, words, value };
  });
}

function Keep({ row, onKeep, onCancel }: { row: FieldRow; onKeep(field: string, name: string, extra?: Edit[]): void; onCancel(): void }) {
  const variables = useEditor((s) => s.doc.variables);
  const [isMaking, setMaking] = useState(Object.keys(variables).length === 0);
  const options: Option[] = [["", t("fields.choose")], ...Object.entries(variables).map(([name, v]): Option => [name, v.label || name]), [NEW, t("variables.new_option")]];
  return (
    <div className="pp-keep" role="group" aria-label={t("trial.keep", { place: row.label })} data-testid="look-keep">
      <span>{t("trial.keep", { place: `“${row.label}”` })}</span>
      {isMaking ? (
        <NewVariable suggested={row.label} type={typeOf(row.value)} onCancel={onCancel} onMake={(label, type) => {
          const name = variableId(label, useEditor.getState().doc);
          onKeep(row.field, name, [newVariable(name, label, type)]);
        }} />
      ) : <Select value="" options={options} label={t("trial.keep", { place: row.label })} onChange={(v) => (v === NEW ? setMaking(true) : v && onKeep(row.field, v))} />}
    </div>
  );
}
