// Choosing the sub-flow a step plays: pick one, open it, or make a new one.
import { ExternalLink, Plus } from "lucide-react";
import { useState } from "react";
import { api, type ApiError } from "../core/api";
import { t } from "../core/i18n";
import { everythingSaved, patchState, toast, useEditor } from "../core/store";
import { asText, useForm, type WidgetProps } from "./form_context";
import { Select, type Option } from "./inputs";

export function FlowField({ id, field, value, describedBy, onChange }: WidgetProps) {
  const flows = useEditor((s) => s.flows);
  const flowId = useEditor((s) => s.flowId);
  const agentId = useEditor((s) => s.agent.id);
  const { disabled } = useForm();
  const [busy, setBusy] = useState(false);
  const others = flows.filter((f) => f.id !== flowId && f.kind === "sub");
  const options: Option[] = [["", field.required ? t("fields.choose") : t("fields.nothing")], ...others.map((f): Option => [f.id, f.name || t("flow.unnamed")])];
  const chosen = others.find((f) => f.id === value);
  const make = async () => {
    setBusy(true);
    try {
      const name = t("flow.new_name", { n: others.length + 1 });
      const made = await api.addFlow(agentId, name);
      patchState({ flows: [...useEditor.getState().flows, { id: made.id, name, kind: "sub", exits: [] }] });
      onChange(made.id);
      toast(t("flow.made", { name }), "plain", { label: t("flow.open"), run: () => void open(made.id) });
    } catch (error) {
      toast((error as ApiError).message || t("error.unreachable"), "warning");
    } finally {
      setBusy(false);
    }
  };
  const open = async (target: string) => {
    await everythingSaved().catch(() => undefined);
    location.assign(`/agents/${agentId}/flow/${target}`);
  };
  return (
    <>
      <Select id={id} value={asText(value)} options={options} describedBy={describedBy} onChange={(v) => onChange(v)} />
      <div className="pp-buttons">
        {chosen && <button type="button" className="pp-add" onClick={() => void open(chosen.id)}><ExternalLink size={14} aria-hidden="true" />{t("flow.open")}</button>}
        {!disabled && <button type="button" className="pp-add" disabled={busy} onClick={() => void make()}><Plus size={14} aria-hidden="true" />{t("flow.new")}</button>}
      </div>
    </>
  );
}
