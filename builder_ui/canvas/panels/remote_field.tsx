// One of what the connected system offers, such as the fields of a CRM account; read from the account, kept for a while.
import { RefreshCw } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { ApiError, call } from "../core/api";
import { t } from "../core/i18n";
import { useEditor } from "../core/store";
import { IconButton } from "../screen/parts";
import type { Binding } from "./connection_field";
import { asText, useForm, type WidgetProps } from "./form_context";
import { Select, type Option } from "./inputs";

export type Offered = { id: string; label: string; kind: string; options: [string, string][] };
type Answer = { options: Offered[] };
const reading = new Map<string, Promise<Answer>>();

function read(path: string, again: boolean): Promise<Answer> {
  const known = reading.get(path);
  if (known && !again) return known;
  const asked = call<Answer>("GET", path + (again ? "&refresh=true" : ""));
  asked.catch(() => reading.delete(path));
  reading.set(path, asked);
  return asked;
}

/** Which customer system a step uses, and for what kind of record: `slot` is empty until one is chosen. */
export function useAccount(): { slot: string; entity: string } {
  const { nodeId, siblings } = useForm();
  const settings = useEditor((s) => s.doc.nodes[nodeId]?.settings);
  const bindings = useEditor((s) => s.connections) as Record<string, Binding>;
  const of = (key: string) => asText(settings?.[key] ?? siblings.find((f) => f.key === key)?.default);
  return { slot: bindings[of("connection")]?.credential_id ? of("connection") : "", entity: of("entity") || "contact" };
}

/** What the step's customer system offers; `offered` is null until it is known, and for ever when nothing is asked. */
export function useRemote(what: string) {
  const agentId = useEditor((s) => s.agent.id);
  const { slot, entity } = useAccount();
  const bound = useEditor((s) => (slot ? (s.connections as Record<string, Binding>)[slot]?.credential_id : ""));
  const path = what && slot ? `/api/builder/agents/${agentId}/connections/${slot}/options?of=${encodeURIComponent(what)}&entity=${entity}` : "";
  const [offered, setOffered] = useState<Offered[] | null>(null);
  const [failure, setFailure] = useState("");
  const newest = useRef("");
  const load = (again: boolean) => {
    newest.current = path;
    if (!path) return setOffered(null);
    setFailure("");
    if (again) setOffered(null);
    const isMine = () => newest.current === path;
    read(path, again).then(
      (answer) => isMine() && setOffered(answer.options),
      (error: ApiError) => { if (isMine()) { setFailure(error.message || t("error.unreachable")); setOffered([]); } },
    );
  };
  useEffect(() => load(false), [path, bound]);
  return { path, offered, failure, load };
}

export function RemoteField({ id, field, value, describedBy, onChange }: WidgetProps) {
  const { disabled } = useForm();
  const { path, offered, failure, load } = useRemote(field.of);
  const text = asText(value);
  const options: Option[] = [["", offered || !path ? t("remote.choose") : t("remote.loading")], ...(offered ?? []).map((o): Option => [o.id, o.label])];
  if (text && !options.some(([v]) => v === text)) options.push([text, offered?.length ? t("remote.gone", { name: text }) : text]);
  return (
    <>
      <div className="pp-remote">
        <Select id={id} value={text} options={options} describedBy={describedBy} disabled={disabled || !path} onChange={(v) => onChange(v)} />
        {path && !disabled && <IconButton label={t("remote.refresh")} onClick={() => load(true)}><RefreshCw size={14} /></IconButton>}
      </div>
      {!path && <small className="pp-hint">{t("remote.first")}</small>}
      {failure && <small className="pp-note" data-level="warning" role="status">{failure}</small>}
    </>
  );
}
