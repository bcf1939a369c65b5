// Publish: what changes, in words; what blocks it; who is affected; then the version number and where it lives.
import "../styles/panels.css";
import "../styles/panels_test.css";
import { CircleCheck, ExternalLink } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { api, ApiError } from "../core/api";
import { t } from "../core/i18n";
import { everythingSaved, patchState, show, useEditor } from "../core/store";
import type { Problem, Words } from "../core/types";
import { Dialog } from "../screen/parts";
import { Changes, type FlowChanges } from "./changes_list";
import { Row } from "./problems_list";
import { VersionsList } from "./versions_list";

type Preview = {
  number?: number; next_number?: number; live_version?: number | null; revision?: number; open_conversations: number; problems?: Problem[];
  checks?: { flow_id: string; name: string; problems: Problem[] }[];
  changes: FlowChanges[] | { message: Words }[];
};
type Shown = { number: number; open: number; revision: number; checks: { flow_id: string; name: string; problems: Problem[] }[]; changes: FlowChanges[] };

/** One shape, whether the server speaks of one flow or of all flows of the agent. */
function shownFrom(p: Preview, flowId: string, name: string, revision: number): Shown {
  const changes = (p.changes ?? []) as any[];
  return {
    number: p.number ?? p.next_number ?? 1, open: p.open_conversations ?? 0, revision: p.revision ?? revision,
    checks: p.checks ?? [{ flow_id: flowId, name, problems: p.problems ?? [] }],
    changes: changes.every((c) => Array.isArray(c.changes)) ? changes.filter((c) => c.changes.length) : [{ flow_id: flowId, name, changes }],
  };
}

export function PublishPanel() {
  const isOpen = useEditor((s) => !!s.panels.publish);
  return isOpen ? <Open /> : null;
}

function Open() {
  const [done, setDone] = useState<number | null>(null);
  const [tab, setTab] = useState<"publish" | "versions">("publish");
  const close = () => show("publish", false);
  return (
    <Dialog title={done ? t("publish.done", { n: done }) : tab === "versions" ? t("versions.title") : t("publish.heading")} onClose={close} wide testId="publish">
      {done ? <Success number={done} onClose={close} /> : (
        <div className="pp-publish">
          <div className="pp-tabs" role="tablist" aria-label={t("publish.heading")}>
            {(["publish", "versions"] as const).map((name) => <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(name)} data-testid={`publish-tab-${name}`}>{t(name === "publish" ? "publish.tab" : "versions.title")}</button>)}
          </div>
          {tab === "publish" ? <Draft onDone={setDone} onClose={close} /> : <VersionsList onClose={close} />}
        </div>
      )}
    </Dialog>
  );
}

function Draft({ onDone, onClose }: { onDone(number: number): void; onClose(): void }) {
  const flowId = useEditor((s) => s.flowId);
  const [preview, setPreview] = useState<Shown | null>(null);
  const [comment, setComment] = useState("");
  const isBehind = useEditor((s) => s.liveVersion === null || s.changedSincePublish);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState("");
  const running = useRef(false);
  const look = async () => {
    setFailure("");
    try {
      await everythingSaved();
      const s = useEditor.getState();
      setPreview(shownFrom(await api.publishPreview(flowId), flowId, s.doc.name, s.revision));
    } catch (error) {
      setFailure((error as ApiError).message || t("error.unreachable"));
    }
  };
  useEffect(() => void look(), [flowId]);
  const publish = async () => {
    if (running.current || !preview) return;
    running.current = true;
    setBusy(true);
    setFailure("");
    try {
      const { number } = await api.publish(flowId, preview.revision, comment.trim());
      patchState({ liveVersion: number, changedSincePublish: false });
      onDone(number);
    } catch (error) {
      const e = error as ApiError;
      if (e.status === 409 || e.status === 422) await look();
      setFailure(e.status === 409 ? t("publish.moved_on") : e.message || t("error.unreachable"));
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  if (!preview)
    return failure ? <div className="pp-failure" role="alert"><p>{failure}</p><button type="button" className="pp-button" onClick={() => void look()}>{t("test.try_again")}</button></div>
      : <p className="pp-empty pp-pad" role="status">{t("publish.looking")}</p>;
  const blocking = preview.checks.map((c) => ({ ...c, problems: c.problems.filter((p) => p.level === "error") })).filter((c) => c.problems.length);
  const errors = blocking.reduce((n, c) => n + c.problems.length, 0);
  const isSame = !isBehind && !preview.changes.some((c) => c.changes.length);
  const warnings = preview.checks.reduce((n, c) => n + c.problems.filter((p) => p.level === "warning").length, 0);
  return (
    <>
      {failure && <p className="pp-note" data-level="error" role="alert"><span>{failure}</span></p>}
      {errors > 0 && (
        <section className="pp-blocked">
          <h3>{t("publish.blocked", { n: errors })}</h3>
          {blocking.map((c) => (
            <div key={c.flow_id}>
              {c.flow_id !== flowId && <a className="pp-link" href={`/agents/${useEditor.getState().agent.id}/flow/${c.flow_id}`}>{c.name || t("flow.unnamed")} <ExternalLink size={12} aria-hidden="true" /></a>}
              <ul className="pp-problems">{c.problems.map((p, i) => (c.flow_id === flowId ? <Row key={i} problem={p} onGo={onClose} /> : <li key={i} data-level="error"><span className="pp-problem"><span><span>{p.message[useEditor.getState().language]}</span></span></span></li>))}</ul>
            </div>
          ))}
        </section>
      )}
      <Changes flows={preview.changes} flowId={flowId} onGo={onClose} />
      <p className="pp-affected">{isSame ? "" : preview.open ? t("publish.open", { n: preview.open }) : t("publish.nobody")}{warnings > 0 && <> <button type="button" className="pp-link" onClick={() => { onClose(); show("problems", true); }}>{t("publish.warnings", { n: warnings })}</button></>}</p>
      {!errors && !isSame && <div className="pp-field">
        <div className="pp-label"><label htmlFor="pp-comment">{t("publish.comment")}</label></div>
        <textarea id="pp-comment" className="pp-input" rows={2} maxLength={500} value={comment} onChange={(e) => setComment(e.target.value)} placeholder={t("publish.comment_hint")} />
      </div>}
      <footer>
        <button type="button" className="pp-button" onClick={onClose}>{t(isSame ? "close" : "cancel")}</button>
        {!isSame && <button type="button" className="pp-button" data-tone="primary" disabled={busy || errors > 0} onClick={() => void publish()} data-testid="publish-now">{busy ? t("publish.working") : t("publish.now", { n: preview.number })}</button>}
      </footer>
    </>
  );
}

function Success({ number, onClose }: { number: number; onClose(): void }) {
  const agent = useEditor((s) => s.agent);
  return (
    <div className="pp-success" role="status" data-testid="published">
      <CircleCheck size={36} aria-hidden="true" />
      <p>{agent.is_on ? t("publish.live", { n: number }) : t("publish.is_off")}</p>
      <ul>
        <li><a href={`/chat/${agent.public_id}`} target="_blank" rel="noreferrer">{t("publish.open_chat")} <ExternalLink size={13} aria-hidden="true" /></a><small>{t("publish.open_chat_hint")}</small></li>
        <li><a href={`/agents/${agent.id}`}>{t("publish.website")}</a><small>{t("publish.website_hint")}</small></li>
        <li><a href={`/agents/${agent.id}?tab=phone`}>{t("publish.phone")}</a><small>{t("publish.phone_hint")}</small></li>
        <li><a href="/api/docs" target="_blank" rel="noreferrer">{t("publish.api")} <ExternalLink size={13} aria-hidden="true" /></a><small>{t("publish.api_hint")}</small></li>
      </ul>
      {/* It lies where “Publish” lay: the second half of a double click there is not meant for it. */}
      <footer><button type="button" className="pp-button" data-tone="primary" autoFocus onClick={(event) => event.detail < 2 && onClose()}>{t("publish.back")}</button></footer>
    </div>
  );
}
