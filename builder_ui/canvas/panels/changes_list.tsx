// What changed since the live version, in words, flow by flow.
import { t, words } from "../core/i18n";
import { reveal, useEditor } from "../core/store";
import type { Words } from "../core/types";

export type Change = { kind?: string; node_id?: string; message?: Words; old?: string; new?: string };
export type FlowChanges = { flow_id: string; name: string; changes: Change[] };

const SIGN: Record<string, string> = { step_added: "+", wire_added: "+", variable_added: "+", first: "+", step_removed: "−", wire_removed: "−", variable_removed: "−" };

export function Changes({ flows, flowId, onGo }: { flows: FlowChanges[]; flowId: string; onGo(): void }) {
  const shown = flows.filter((f) => f.changes.length);
  if (!shown.length) return <p className="pp-empty">{t("publish.no_changes")}</p>;
  return (
    <section className="pp-changes" aria-label={t("publish.changes")} data-testid="changes">
      <h3>{t("publish.changes")}</h3>
      {shown.map((f) => (
        <div key={f.flow_id}>
          {shown.length > 1 && <h4>{f.name || t("flow.unnamed")}</h4>}
          <ul>{f.changes.map((c, i) => <Line key={i} change={c} canGo={f.flow_id === flowId} onGo={onGo} />)}</ul>
        </div>
      ))}
    </section>
  );
}

function Line({ change, canGo, onGo }: { change: Change; canGo: boolean; onGo(): void }) {
  const exists = useEditor((s) => !!change.node_id && !!s.doc.nodes[change.node_id]);
  const text = words(change.message) || change.kind || "";
  const hasTexts = !!(change.old || change.new) && change.kind === "setting";
  return (
    <li data-sign={SIGN[change.kind ?? ""] ?? "·"}>
      {canGo && exists ? <button type="button" className="pp-link" onClick={() => { onGo(); reveal(change.node_id!); }}>{text}</button> : <span>{text}</span>}
      {hasTexts && <div>{change.old && <del>{change.old}</del>}{change.new && <ins>{change.new}</ins>}</div>}
    </li>
  );
}
