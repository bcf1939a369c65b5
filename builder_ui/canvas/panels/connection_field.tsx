// A slot for a model, and which model answers there: the demo model or one of the workspace's own.
import { Bot, Cpu } from "lucide-react";
import { useState } from "react";
import { ApiError, call } from "../core/api";
import { t } from "../core/i18n";
import { newId } from "../core/ids";
import { everythingSaved, reloadFlow, toast, useEditor } from "../core/store";
import { asText, useForm, type WidgetProps } from "./form_context";
import { Select, type Option } from "./inputs";
import { KeyField } from "./key_field";

export type Binding = { bound: boolean; label: string; connector?: string; model?: string; credential_id?: string | null };
type Offer = { connector: string; label: string; needs_credential?: boolean; credentials?: { id: string; label: string }[]; models: { name: string; label: string }[] };

const ADD = "__new__";

export function ConnectionField({ id, field, value, describedBy, onChange }: WidgetProps) {
  const slots = useEditor((s) => s.doc.connections);
  const { disabled } = useForm();
  if (field.of && field.of !== "chat_model") return <KeyField id={id} field={field} value={value} describedBy={describedBy} onChange={onChange} />;
  const fitting = Object.entries(slots).filter(([, slot]) => !field.of || slot.kind === field.of);
  const options: Option[] = fitting.map(([key, slot]) => [key, slot.label || key]);
  if (!field.required) options.unshift(["", t("fields.nothing")]);
  if (!disabled) options.push([ADD, t("connection.new")]);
  const slot = asText(value);
  const choose = (next: string) => {
    if (next !== ADD) return onChange(next);
    const name = fitting.length || slots[field.of] ? newId("m") : "llm";
    onChange(name, false, [{ kind: "set_connection", id: name, connection: { kind: field.of || "chat_model", label: `${t("connection.model")} ${fitting.length + 1}` } }]);
  };
  return (
    <>
      {(options.length > 2 || !fitting.length || !field.required) && <Select id={id} value={slot} options={options} describedBy={describedBy} onChange={choose} />}
      {slot && <Answers id={options.length > 2 || !field.required ? undefined : id} slot={slot} />}
    </>
  );
}

const key = (connector: string, model: string, credential: string | null | undefined) => `${connector}|${model}|${credential ?? ""}`;

/** Which model answers behind a slot; choosing another one binds the slot for the whole agent at once. */
export function Answers({ id, slot }: { id?: string; slot: string }) {
  const binding = useEditor((s) => s.connections[slot]) as Binding | undefined;
  const offers = useEditor((s) => s.models) as Offer[];
  const agentId = useEditor((s) => s.agent.id);
  const { disabled } = useForm();
  const [busy, setBusy] = useState(false);
  const isReal = !!binding?.bound && binding.connector !== "demo";
  const options: Option[] = [["", t("connection.demo")]];
  const missing: string[] = [];
  for (const offer of offers) {
    if (offer.connector === "demo") continue;
    if (offer.needs_credential !== false && !offer.credentials?.length) {
      missing.push(offer.label);
      continue;
    }
    for (const credential of offer.credentials?.length ? offer.credentials : [null])
      for (const model of offer.models) options.push([key(offer.connector, model.name, credential?.id), `${model.label || model.name} · ${credential?.label || offer.label}`]);
  }
  const present = isReal ? key(binding!.connector ?? "", binding!.model ?? "", binding!.credential_id) : "";
  if (isReal && !options.some(([v]) => v === present)) options.push([present, binding!.model || binding!.connector || binding!.label]);
  const bind = async (choice: string) => {
    const [connector, model, credential] = choice ? choice.split("|") : ["demo", "", ""];
    setBusy(true);
    try {
      await everythingSaved();
      await call("PUT", `/api/builder/agents/${agentId}/connections/${slot}`, { connector, model, credential_id: credential || null });
      await reloadFlow();
    } catch (error) {
      toast((error as ApiError).message || t("error.unreachable"), "warning");
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="pp-answers" data-real={isReal || undefined}>
      {isReal ? <Cpu size={15} aria-hidden="true" /> : <Bot size={15} aria-hidden="true" />}
      <Select id={id} value={present} options={options} label={id ? undefined : t("connection.answers")} disabled={disabled || busy} onChange={(v) => void bind(v)} />
      <small>
        {isReal ? t("connection.real") : t("connection.demo_hint")}
        {missing.length > 0 && <> <a href="/models">{t("connection.add_key", { names: missing.slice(0, 3).join(", ") })}</a></>}
      </small>
    </div>
  );
}
