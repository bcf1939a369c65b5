// "Send a test" of an HTTP request: the answer as a tree, in which a click keeps a value in a variable.
import { Check, ChevronDown, ChevronRight, Play, Plus } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { ApiError, call } from "../core/api";
import { t } from "../core/i18n";
import { dispatch, everythingSaved, useEditor } from "../core/store";
import type { Edit, Json } from "../core/types";
import { Select, type Option } from "./inputs";
import { newVariable, NewVariable, variableId } from "./variable_field";

type Request = { method: string; url: string; headers: Record<string, string>; body: any; status?: number; answer?: Json; error?: string };
type Tried = { requests: Request[]; port: string; error: string; ms: number };
type Part = { pointer: string; save_to: string; id?: string };
type Picked = { pointer: string; value: Json };
type Settings = Record<string, any>;

const SHOWN = 40;
const SAFE = ["GET"];

export function HttpTrial({ id, settings }: { id: string; settings: Settings }) {
  const flowId = useEditor((s) => s.flowId);
  const variables = useEditor((s) => s.doc.variables);
  const [values, setValues] = useState<Record<string, string>>({});
  const [tried, setTried] = useState<Tried | null>(null);
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const [sure, setSure] = useState(false);
  const [picked, setPicked] = useState<Picked | null>(null);
  const latest = useRef(id);
  latest.current = id;
  const method = settings.method || "GET";
  const used = useMemo(() => [...new Set([...JSON.stringify(settings).matchAll(/\{\{-?\s*var\.([a-z0-9_]+)/g)].map((m) => m[1]))], [settings]);
  const parts: Part[] = settings.parts ?? [];

  const send = async () => {
    if (!SAFE.includes(method) && !sure) return setSure(true);
    setBusy(true);
    setSure(false);
    setFailure("");
    setPicked(null);
    try {
      await everythingSaved();
      const given = Object.fromEntries(used.filter((name) => values[name]).map((name) => [name, variables[name]?.type === "number" ? Number(values[name]) : values[name]]));
      const answer = await call<Tried>("POST", `/api/builder/flows/${flowId}/steps/${id}/try`, { values: given });
      if (latest.current === id) setTried(answer);
    } catch (error) {
      setFailure((error as ApiError).message || t("error.unreachable"));
    } finally {
      setBusy(false);
    }
  };
  const keep = (pointer: string, name: string, extra: Edit[] = []) => {
    const rest = parts.filter((p) => p.pointer !== pointer);
    dispatch([...extra, { kind: "change_settings", id, set: { parts: [...rest, { pointer, save_to: name }] } }], { label: t("trial.title") });
    setPicked(null);
  };
  const last = tried?.requests[tried.requests.length - 1];
  const kept = new Map(parts.map((p) => [p.pointer, variables[p.save_to]?.label || p.save_to]));
  const sample = last?.answer === undefined ? "" : JSON.stringify(last.answer, null, 1);

  return (
    <section className="pp-trial" aria-label={t("trial.title")} data-testid="http-trial">
      {used.length > 0 && (
        <details className="pp-trial-values" open={!tried}>
          <summary>{t("trial.values")}</summary>
          {used.map((name) => (
            <label key={name}>{variables[name]?.label || name}
              <input className="pp-input" value={values[name] ?? ""} data-testid={`trial-${name}`} onChange={(e) => setValues({ ...values, [name]: e.target.value })} /></label>
          ))}
        </details>
      )}
      {sure && <p className="pp-note" data-level="warning" role="alert">{t("trial.really", { method })}</p>}
      <button type="button" className="pp-button" data-tone={sure ? "danger" : "primary"} disabled={busy || !settings.url} onClick={() => void send()} data-testid="trial-send">
        <Play size={14} aria-hidden="true" />{busy ? t("trial.sending") : sure ? t("trial.confirm") : t("trial.send")}
      </button>
      {(failure || last?.error || (tried && !last && tried.error)) && <p className="pp-note" data-level="error" role="alert">{failure || last?.error || tried!.error}</p>}
      {last?.status !== undefined && (
        <div className="pp-trial-answer">
          <p role="status" data-testid="trial-status"><b data-good={last.status < 400 || undefined}>{t("trial.status", { status: last.status, ms: Math.round(tried!.ms) })}</b></p>
          <details><summary>{t("trial.sent")}</summary><pre>{[`${last.method} ${last.url}`, ...Object.entries(last.headers).map(([k, v]) => `${k}: ${v}`), last.body ?? ""].filter(Boolean).join("\n")}</pre></details>
          {last.answer === null || last.answer === "" ? <p className="pp-empty">{t("trial.empty")}</p> : (
            <>
              <small className="pp-hint">{t("trial.point")}</small>
              <div className="pp-tree" role="tree" aria-label={t("trial.title")}><Tree value={last.answer!} pointer="" name="" depth={0} kept={kept} picked={picked?.pointer} onPick={(pointer, value) => setPicked({ pointer, value })} /></div>
              {picked && <Keep key={picked.pointer} picked={picked} onKeep={keep} onCancel={() => setPicked(null)} />}
              {!SAFE.includes(method) && sample.length < 20_000 && (
                <button type="button" className="pp-fix" disabled={settings.sample === sample} onClick={() => dispatch([{ kind: "change_settings", id, set: { sample } }], { label: t("trial.as_sample") })}>
                  {settings.sample === sample ? <><Check size={13} aria-hidden="true" />{t("trial.sample_kept")}</> : t("trial.as_sample")}
                </button>
              )}
            </>
          )}
        </div>
      )}
    </section>
  );
}

/** How a place is written; must be what contract/pointers.py reads. */
export function below(pointer: string, key: string | number): string {
  if (typeof key === "number") return `${pointer}[${key}]`;
  if (!/^[^.[\]"\s][^.[\]"]*$/.test(key) || key === "*" || /^\d+$/.test(key)) return `${pointer}[${JSON.stringify(key)}]`;
  return pointer ? `${pointer}.${key}` : key;
}

type TreeProps = { value: Json; pointer: string; name: string; depth: number; kept: Map<string, string>; picked?: string; onPick(pointer: string, value: Json): void };

function Tree({ value, pointer, name, depth, kept, picked, onPick }: TreeProps) {
  const isInner = typeof value === "object" && value !== null;
  const entries: [string | number, Json][] = !isInner ? [] : Array.isArray(value) ? value.map((v, i) => [i, v]) : Object.entries(value as Record<string, Json>);
  const [isOpen, setOpen] = useState(depth < 3 || (depth < 6 && entries.length <= 12));
  const [count, setCount] = useState(SHOWN);
  const variable = kept.get(pointer);
  const text = isInner ? (Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`) : typeof value === "string" ? `“${value.length > 80 ? `${value.slice(0, 80)}…` : value}”` : String(value);
  return (
    <div role="treeitem" aria-expanded={isInner ? isOpen : undefined} className="pp-tree-row">
      <div>
        {isInner ? <button type="button" className="pp-tree-fold" aria-label={name || "·"} onClick={() => setOpen(!isOpen)}>{isOpen ? <ChevronDown size={13} /> : <ChevronRight size={13} />}</button> : <i />}
        {depth > 0 && <span className="pp-tree-name">{name}</span>}
        {(pointer || !isInner) && <button type="button" className="pp-tree-value" data-kind={typeof value} data-picked={picked === pointer || undefined} data-pointer={pointer} onClick={() => onPick(pointer, value)}>{text}</button>}
        {variable && <em className="pp-tree-kept">{t("trial.kept", { name: variable })}</em>}
      </div>
      {isInner && isOpen && (
        <div role="group">
          {entries.slice(0, count).map(([key, inner]) => <Tree key={key} value={inner} pointer={below(pointer, key)} name={String(key)} depth={depth + 1} kept={kept} picked={picked} onPick={onPick} />)}
          {entries.length > count && <button type="button" className="pp-add" onClick={() => setCount(count + SHOWN * 5)}><Plus size={13} aria-hidden="true" />{t("trial.more", { n: entries.length - count })}</button>}
        </div>
      )}
    </div>
  );
}

const NEW = "__new__";
const typeOf = (value: Json, isList: boolean): string => (isList || Array.isArray(value) ? "list" : typeof value === "number" ? "number" : typeof value === "boolean" ? "boolean" : typeof value === "object" && value ? "object" : "text");

function Keep({ picked, onKeep, onCancel }: { picked: Picked; onKeep(pointer: string, name: string, extra?: Edit[]): void; onCancel(): void }) {
  const variables = useEditor((s) => s.doc.variables);
  const [isEvery, setEvery] = useState(false);
  const pointer = isEvery ? picked.pointer.replace(/\[\d+\]/g, "[*]") : picked.pointer;
  const suggested = (/([A-Za-z_][\w-]*)(?:\[[^\]]*\])*$/.exec(picked.pointer)?.[1] ?? "value").replace(/[-_]/g, " ");
  const options: Option[] = [["", t("fields.choose")], ...Object.entries(variables).map(([name, v]): Option => [name, v.label || name]), [NEW, t("variables.new_option")]];
  const [isMaking, setMaking] = useState(Object.keys(variables).length === 0);
  return (
    <div className="pp-keep" role="group" aria-label={t("trial.keep", { place: pointer })} data-testid="trial-keep">
      <span>{t("trial.keep", { place: "" })} <code>{pointer || "·"}</code></span>
      {/\[\d+\]/.test(picked.pointer) && <label><input type="checkbox" checked={isEvery} onChange={(e) => setEvery(e.target.checked)} /> {t("trial.every")}</label>}
      {isMaking ? (
        <NewVariable suggested={suggested} type={typeOf(picked.value, isEvery)} onCancel={onCancel} onMake={(label, type) => {
          const name = variableId(label, useEditor.getState().doc);
          onKeep(pointer, name, [newVariable(name, label, type)]);
        }} />
      ) : <Select value="" options={options} label={t("trial.keep", { place: pointer })} onChange={(v) => (v === NEW ? setMaking(true) : v && onKeep(pointer, v))} />}
    </div>
  );
}
