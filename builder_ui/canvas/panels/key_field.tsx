// A slot for a key or a customer system: choosing one binds it for the whole agent; the step never sees the secret.
import { KeyRound, TriangleAlert } from "lucide-react";
import { useState } from "react";
import { ApiError, call } from "../core/api";
import { t } from "../core/i18n";
import { newId } from "../core/ids";
import { dispatch, everythingSaved, reloadFlow, toast, useEditor } from "../core/store";
import type { Binding } from "./connection_field";
import { asText, useForm, type WidgetProps } from "./form_context";
import { Select, type Option } from "./inputs";

type Props = Pick<WidgetProps, "id" | "field" | "value" | "describedBy" | "onChange">;

export function KeyField({ id, field, value, describedBy, onChange }: Props) {
  const slots = useEditor((s) => s.doc.connections);
  const bindings = useEditor((s) => s.connections) as Record<string, Binding>;
  const keys = useEditor((s) => s.keys);
  const agentId = useEditor((s) => s.agent.id);
  const { disabled } = useForm();
  const [busy, setBusy] = useState(false);
  const kind = field.of;
  const slot = asText(value);
  const fitting = keys.filter((key) => key.kinds.includes(kind));
  const bound = slot ? bindings[slot]?.credential_id ?? "" : "";
  const chosen = fitting.find((key) => key.id === bound);
  const empty = field.required ? t(kind === "crm" ? "key.choose_crm" : "key.choose") : t("key.without");
  const options: Option[] = [["", empty], ...fitting.map((key): Option => [key.id, key.label])];
  if (bound && !chosen) options.push([bound, bindings[slot]?.label || slot]);

  const choose = async (next: string) => {
    if (!next && !field.required) return onChange("");
    // A key that has a slot already is used through it. A step that must have one binds its own, for every step that shares it.
    const other = Object.keys(slots).find((name) => slots[name].kind === kind && bindings[name]?.credential_id === next);
    const isFree = slot && slots[slot]?.kind === kind && !bound;
    const name = other ?? (isFree || (field.required && slot) ? slot : newId("k"));
    const label = fitting.find((key) => key.id === next)?.label ?? t("key.slot");
    setBusy(true);
    try {
      if (!slots[name]) dispatch([{ kind: "set_connection", id: name, connection: { kind, label } }], { label: field.label });
      if (name !== slot) onChange(name);
      await everythingSaved();
      if (!other) {
        const connector = keys.find((key) => key.id === next)?.connector ?? "";
        await call("PUT", `/api/builder/agents/${agentId}/connections/${name}`, { connector, model: "", credential_id: next || null });
      }
      await reloadFlow();
    } catch (error) {
      toast((error as ApiError).message || t("error.unreachable"), "warning");
    } finally {
      setBusy(false);
    }
  };

  return (
    <div className="pp-answers" data-real={chosen ? true : undefined}>
      <KeyRound size={15} aria-hidden="true" />
      <Select id={id} value={bound} options={options} describedBy={describedBy} disabled={disabled || busy} onChange={(v) => void choose(v)} />
      {!fitting.length && <small>{t("key.none")} <a href="/connections">{t("key.add")}</a></small>}
      {chosen?.access === "needs_reconnect" && <small className="pp-note" data-level="warning"><TriangleAlert size={13} aria-hidden="true" /> <a href="/connections">{t("key.lost")}</a></small>}
    </div>
  );
}
