// An empty canvas: what to do first.
import { FileJson, LayoutTemplate, MessageSquarePlus } from "lucide-react";
import { useRef } from "react";
import { t } from "../core/i18n";
import { newId } from "../core/ids";
import { dispatch, select, toast, useEditor } from "../core/store";
import type { Edit } from "../core/types";
import { pasteText } from "./clipboard";
import { COLUMN } from "./geometry";
import { freshNode } from "./steps";

export function EmptyCanvas() {
  const viewOnly = useEditor((s) => s.viewOnly);
  const file = useRef<HTMLInputElement>(null);
  if (viewOnly) return null;
  const read = async (chosen: File | undefined) => {
    if (chosen && !pasteText(await chosen.text(), [0, 0])) toast(t("empty.not_a_flow"), "warning");
  };
  return (
    <div className="pc-empty" data-testid="empty">
      <h2>{t("empty.title")}</h2>
      <p>{t("empty.text")}</p>
      <div>
        <button type="button" className="pc-choice" onClick={startWithMessage} data-testid="empty-start">
          <MessageSquarePlus size={20} /><b>{t("empty.message")}</b><small>{t("empty.message_hint")}</small>
        </button>
        <a className="pc-choice" href="/">
          <LayoutTemplate size={20} /><b>{t("empty.template")}</b><small>{t("empty.template_hint")}</small>
        </a>
        <button type="button" className="pc-choice" onClick={() => file.current?.click()}>
          <FileJson size={20} /><b>{t("empty.import")}</b><small>{t("empty.import_hint")}</small>
        </button>
      </div>
      <input ref={file} type="file" accept=".json,application/json" hidden aria-label={t("empty.import")} onChange={(e) => void read(e.target.files?.[0])} />
    </div>
  );
}

/** A start, a message and the wire between them: ready to be written. */
export function startWithMessage(): void {
  const { types } = useEditor.getState();
  const start = Object.values(types).find((type) => type.entry);
  const message = types.send_message;
  if (!start || !message) return;
  const [a, b] = [newId("n"), newId("n")];
  const exit = start.ports[0]?.id ?? "next";
  const edits: Edit[] = [
    { kind: "add_node", id: a, node: freshNode(start), at: [0, 0] },
    { kind: "add_node", id: b, node: freshNode(message), at: [COLUMN, 0] },
    { kind: "connect", port: `${a}.${exit}`, target: b },
    { kind: "set_start", trigger: "message", node: a },
  ];
  dispatch(edits, { label: t("empty.message") });
  select([b]);
}
