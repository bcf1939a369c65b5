// What interrupts: short notices, the offline banner, the question about clashing edits.
import { CloudOff, X } from "lucide-react";
import { stepName } from "../core/hooks";
import { t } from "../core/i18n";
import { patchState, resolveClash, useEditor } from "../core/store";
import type { Edit, Flow } from "../core/types";
import { Dialog, IconButton } from "./parts";

export function Toasts() {
  const toasts = useEditor((s) => s.toasts);
  const drop = (id: number) => patchState({ toasts: toasts.filter((x) => x.id !== id) });
  return (
    <div className="pc-toasts" role="status" aria-live="polite">
      {toasts.map((toast) => (
        <div key={toast.id} className="pc-toast" data-tone={toast.tone}>
          <span>{toast.text}</span>
          {toast.action && <button type="button" onClick={() => { drop(toast.id); toast.action!.run(); }}>{toast.action.label}</button>}
          <IconButton label={t("close")} onClick={() => drop(toast.id)}><X size={14} /></IconButton>
        </div>
      ))}
    </div>
  );
}

export function OfflineBanner() {
  const isOffline = useEditor((s) => s.link === "offline");
  if (!isOffline) return null;
  return <div className="pc-banner" role="alert" data-testid="offline"><CloudOff size={15} />{t("save.banner")}</div>;
}

/** Somebody else changed the same place meanwhile: ask, one clash after another. */
export function ClashDialog() {
  const clash = useEditor((s) => s.clashes[0]);
  const left = useEditor((s) => s.clashes.length);
  if (!clash) return null;
  return (
    <Dialog title={t("clash.title")} onClose={() => resolveClash(clash, false)} testId="clash">
      <p>{t("clash.text", { place: placeName(clash.mine) })}</p>
      <div className="pc-compare">
        <section><h3>{t("clash.mine")}</h3><pre>{shown(clash.mine)}</pre></section>
        <section><h3>{t("clash.theirs")}</h3><pre>{theirs(clash.mine, clash.theirs)}</pre></section>
      </div>
      <footer>
        <small>{left > 1 ? t("clash.left", { n: left - 1 }) : ""}</small>
        <button type="button" className="pc-button" onClick={() => resolveClash(clash, false)} data-testid="keep-theirs">{t("clash.keep_theirs")}</button>
        <button type="button" className="pc-button" data-tone="primary" onClick={() => resolveClash(clash, true)} data-testid="keep-mine">{t("clash.keep_mine")}</button>
      </footer>
    </Dialog>
  );
}

function placeName(edit: Edit): string {
  const s = useEditor.getState();
  if (!("id" in edit) || !s.doc.nodes[edit.id]) return t("clash.flow");
  const type = s.types[s.doc.nodes[edit.id].type];
  const key = edit.kind === "change_settings" ? Object.keys(edit.set ?? {})[0] : "";
  const label = type?.form.find((f) => f.key === key)?.label;
  return label ? `${stepName(s, edit.id)} · ${label}` : stepName(s, edit.id);
}

function words(value: unknown): string {
  if (value === undefined || value === null || value === "") return t("clash.empty");
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}

function shown(edit: Edit): string {
  const s = useEditor.getState();
  switch (edit.kind) {
    case "change_settings": return Object.values(edit.set ?? {}).map(words).join("\n") || t("clash.empty");
    case "change_node": return words(edit.name ?? edit.note ?? (edit.enabled === false ? t("card.off") : t("card.on")));
    case "connect": return stepName(s, edit.target) || edit.target;
    case "remove_node": return t("clash.deleted");
    case "rename_flow": return words(edit.name ?? edit.locale);
    case "set_text": return words(edit.text);
    case "move_node": return edit.at.join(", ");
    default: return t("clash.changed");
  }
}

function theirs(edit: Edit, flow: Flow): string {
  const node = "id" in edit ? flow.nodes[edit.id] : undefined;
  switch (edit.kind) {
    case "change_settings": return node ? Object.keys(edit.set ?? {}).map((k) => words(node.settings[k])).join("\n") : t("clash.deleted");
    case "change_node": return node ? words(edit.name !== undefined ? node.name : node.note) : t("clash.deleted");
    case "connect": return flow.edges[edit.port] ? flow.nodes[flow.edges[edit.port]]?.name || flow.edges[edit.port] : t("clash.empty");
    case "rename_flow": return words(flow.name);
    case "set_text": return words(flow.i18n[edit.language]?.[edit.key]);
    case "move_node": return words(flow.layout.nodes[edit.id]?.join(", "));
    default: return t("clash.changed");
  }
}
