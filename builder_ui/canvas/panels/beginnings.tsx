// What begins the flow besides people who write: triggers, with links to their pages. Shown by every step that a flow may begin with.
import { ExternalLink, Zap } from "lucide-react";
import { t } from "../core/i18n";
import { useEditor } from "../core/store";

export function Beginnings() {
  const triggers = useEditor((s) => s.begunBy);
  const agent = useEditor((s) => s.agent);
  return (
    <section className="pp-begins" aria-label={t("inspector.begins")} data-testid="begun-by">
      <h3>{t("inspector.begins")}</h3>
      {triggers.length === 0 && <p className="pp-empty">{t("inspector.begins_none")}</p>}
      {triggers.length > 0 && <ul>
        {triggers.map((trigger) => (
          <li key={trigger.id}>
            <a href={trigger.path}><Zap size={13} aria-hidden="true" /><span><b>{trigger.name || t("inspector.begins_unnamed")}</b><small>{t(`trigger.${trigger.kind}`)}</small></span></a>
            {!trigger.is_on && <em>{t("inspector.begins_off")}</em>}
          </li>
        ))}
      </ul>}
      <a className="pp-link" href={`/agents/${agent.id}?tab=triggers`}>{t("inspector.begins_more")}<ExternalLink size={12} aria-hidden="true" /></a>
    </section>
  );
}
