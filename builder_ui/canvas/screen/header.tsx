// The header: where we are, whether it is saved, which flow, what is wrong, Test and Publish.
import { ArrowLeft, ChevronDown, CircleAlert, CircleCheck, FlaskConical, Plus, Rocket, Workflow } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { api, type ApiError } from "../core/api";
import { t } from "../core/i18n";
import { dispatch, everythingSaved, show, toast, useEditor } from "../core/store";
import { ago } from "./parts";

export function Header() {
  const agent = useEditor((s) => s.agent);
  const editors = useEditor((s) => s.editors);
  const isNamesake = useEditor((s) => s.doc.name === s.agent.name);
  return (
    <header className="pc-header">
      <a className="pc-icon" href={`/agents/${agent.id}`} aria-label={t("header.back")} title={t("header.back")}><ArrowLeft size={18} /></a>
      {!isNamesake && <><span className="pc-agent" title={agent.name}>{agent.name}</span><i className="pc-slash" aria-hidden="true">/</i></>}
      <FlowName />
      <FlowSwitcher />
      <Saved />
      <span className="pc-space" />
      {editors.length > 1 && <Editors names={editors} />}
      <CheckButton />
      <button type="button" className="pc-button" onClick={() => show("test", true)} title="Ctrl+Enter" data-testid="test-button">
        <FlaskConical size={15} />{t("header.test")}
      </button>
      <PublishButton />
    </header>
  );
}

function FlowName() {
  const name = useEditor((s) => s.doc.name);
  const viewOnly = useEditor((s) => s.viewOnly);
  const [isOpen, setOpen] = useState(false);
  if (!isOpen || viewOnly)
    return (
      <h1><button type="button" className="pc-name" title={t("header.rename")} onClick={() => setOpen(true)} disabled={viewOnly} data-testid="flow-name">
        {name || t("header.unnamed")}
      </button></h1>
    );
  const finish = (value: string) => {
    setOpen(false);
    if (value.trim() && value.trim() !== name) dispatch([{ kind: "rename_flow", name: value.trim() }], { label: t("header.rename") });
  };
  return (
    <input className="pc-name-input" defaultValue={name} autoFocus maxLength={200} aria-label={t("header.rename")} onFocus={(e) => e.target.select()}
      onBlur={(e) => finish(e.target.value)}
      onKeyDown={(e) => {
        if (e.key === "Enter") finish(e.currentTarget.value);
        if (e.key === "Escape") setOpen(false);
      }} />
  );
}

function FlowSwitcher() {
  const flows = useEditor((s) => s.flows);
  const flowId = useEditor((s) => s.flowId);
  const agent = useEditor((s) => s.agent);
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    const away = (e: Event) => !box.current?.contains(e.target as Element) && setOpen(false);
    window.addEventListener("pointerdown", away, true);
    return () => window.removeEventListener("pointerdown", away, true);
  }, [isOpen]);
  const address = (id: string) => `/agents/${agent.id}/flow/${id}`;
  const add = async () => {
    try {
      await everythingSaved();
      const made = await api.addFlow(agent.id, t("header.new_subflow_name"));
      location.assign(address(made.id));
    } catch (error) {
      toast((error as ApiError).message || t("error.unreachable"), "warning");
    }
  };
  return (
    <div className="pc-menu-box" ref={box} onKeyDown={(e) => e.key === "Escape" && setOpen(false)}>
      <button type="button" className="pc-icon" aria-label={t("header.flows")} title={t("header.flows")} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)} data-testid="flow-switcher">
        <ChevronDown size={16} />
      </button>
      {isOpen && (
        <div className="pc-menu" role="menu">
          {flows.map((flow) => (
            <a key={flow.id} role="menuitem" href={address(flow.id)} aria-current={flow.id === flowId ? "page" : undefined}>
              <Workflow size={15} /><span>{flow.name || t("header.unnamed")}</span>
              <small>{flow.kind === "main" ? t("header.main_flow") : t("header.subflow")}</small>
            </a>
          ))}
          <hr />
          <button type="button" role="menuitem" onClick={() => void add()}><Plus size={15} />{t("header.add_subflow")}</button>
        </div>
      )}
    </div>
  );
}

function Saved() {
  const link = useEditor((s) => s.link);
  const pending = useEditor((s) => s.pending);
  const savedAt = useEditor((s) => s.savedAt);
  const viewOnly = useEditor((s) => s.viewOnly);
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, []);
  const state = link === "offline" ? "offline" : pending ? "saving" : "saved";
  const text = viewOnly ? t("save.view_only")
    : state === "offline" ? (pending ? t("save.offline_kept") : t("save.offline"))
    : state === "saving" ? t("save.saving")
    : savedAt ? t("save.saved", { when: ago(savedAt, Math.max(now, savedAt)) }) : t("save.all_saved");
  return <span className="pc-saved" data-state={state} role="status" aria-live={state === "offline" ? "polite" : "off"} data-testid="saved">{text}</span>;
}

function Editors({ names }: { names: string[] }) {
  return (
    <ul className="pc-editors" aria-label={t("header.editors")}>
      {names.slice(0, 4).map((name, i) => <li key={`${name}${i}`} title={name}>{[...name][0]?.toLocaleUpperCase() ?? "?"}</li>)}
    </ul>
  );
}

function CheckButton() {
  const problems = useEditor((s) => s.problems);
  const isOpen = useEditor((s) => !!s.panels.problems);
  const errors = problems.filter((p) => p.level === "error").length;
  const warnings = problems.filter((p) => p.level === "warning").length;
  const level = errors ? "error" : warnings ? "warning" : "ok";
  return (
    <button type="button" className="pc-button" data-tone="plain" data-level={level} aria-expanded={isOpen} onClick={() => show("problems", !isOpen)} data-testid="check-button">
      {level === "ok" ? <CircleCheck size={15} /> : <CircleAlert size={15} />}
      {level === "ok" ? t("header.check_ok") : t("header.check", { n: errors + warnings })}
    </button>
  );
}

function PublishButton() {
  const live = useEditor((s) => s.liveVersion);
  const changed = useEditor((s) => s.changedSincePublish);
  const viewOnly = useEditor((s) => s.viewOnly);
  const n = (live ?? 0) + 1;
  const isFresh = live !== null && !changed;
  return (
    <button type="button" className="pc-button" data-tone={isFresh ? "plain" : "primary"} disabled={viewOnly} onClick={() => show("publish", true)} data-testid="publish-button">
      <Rocket size={15} />{isFresh ? t("header.published", { n: live! }) : t("header.publish", { n })}
    </button>
  );
}
