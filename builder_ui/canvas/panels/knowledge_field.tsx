// Choosing knowledge bases of the workspace: a box to tick for each; none ticked means all.
import { ExternalLink } from "lucide-react";
import { t } from "../core/i18n";
import { useEditor } from "../core/store";
import { useForm, type WidgetProps } from "./form_context";

export function KnowledgeField({ value, onChange }: WidgetProps) {
  const bases = useEditor((s) => s.knowledge);
  const { disabled } = useForm();
  const chosen: string[] = Array.isArray(value) ? value : [];
  const gone = chosen.filter((id) => !bases.some((b) => b.id === id));
  const rows = [...bases, ...gone.map((id) => ({ id, name: t("knowledge.gone") }))];
  const tick = (id: string, on: boolean) => onChange(on ? [...chosen, id] : chosen.filter((c) => c !== id));
  return (
    <div className="pp-ticks">
      {rows.map((base) => (
        <label key={base.id} className="pp-tick">
          <input type="checkbox" checked={chosen.includes(base.id)} disabled={disabled} onChange={(e) => tick(base.id, e.target.checked)} />
          <span>{base.name}</span>
        </label>
      ))}
      <div className="pp-hint">
        {bases.length === 0 ? t("knowledge.none") : chosen.length === 0 ? t("knowledge.all") : ""}{" "}
        <a href="/knowledge" target="_blank" rel="noreferrer">{t("knowledge.open")} <ExternalLink size={12} aria-hidden="true" /></a>
      </div>
    </div>
  );
}
