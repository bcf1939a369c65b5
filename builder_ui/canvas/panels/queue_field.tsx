// Where a conversation waits for a person: one of the workspace's queues, or everybody.
import { ExternalLink } from "lucide-react";
import { t } from "../core/i18n";
import { useEditor } from "../core/store";
import { asText, type WidgetProps } from "./form_context";
import { Select, type Option } from "./inputs";

export function QueueField({ id, value, describedBy, onChange }: WidgetProps) {
  const queues = useEditor((s) => s.queues);
  const chosen = asText(value);
  const options: Option[] = [["", t("queue.everybody")], ...queues.map((q): Option => [q.id, q.name])];
  // A queue that was deleted is everybody's, and says so.
  if (chosen && !queues.some((q) => q.id === chosen)) options.push([chosen, t("queue.gone")]);
  return (
    <>
      <Select id={id} value={chosen} options={options} describedBy={describedBy} onChange={(v) => onChange(v)} />
      <div className="pp-buttons">
        <a className="pp-add" href="/inbox/queues" target="_blank" rel="noreferrer"><ExternalLink size={14} aria-hidden="true" />{t("queue.manage")}</a>
      </div>
    </>
  );
}
