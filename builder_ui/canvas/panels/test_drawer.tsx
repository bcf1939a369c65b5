// The test drawer: a conversation with the draft, run by the real engine; nobody outside is reached.
import "../styles/panels.css";
import "../styles/panels_test.css";
import { FlaskConical, Phone, RotateCcw, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { t } from "../core/i18n";
import { show, useEditor } from "../core/store";
import { IconButton } from "../screen/parts";
import { Select } from "./inputs";
import { usePanels } from "./panel_state";
import { startTalk, useTalk } from "./talk";
import { leaveVoice } from "../talk/voice";
import { Answering, Conversation, restart } from "./test_talk";
import { StepsTab, VariablesTab } from "./test_tabs";
import { useLanguages } from "./translations";

const WIDTH = "patchcord.test_width";
const LEAST = 340;
const MOST = 720;

export function TestDrawer() {
  const isOpen = useEditor((s) => !!s.panels.test && s.phase === "ready");
  return isOpen ? <Open /> : null;
}

function useWidth(): [number, (width: number) => void] {
  const [width, setWidth] = useState(() => Number(localStorage.getItem(WIDTH)) || 420);
  return [width, (next) => {
    const fit = Math.round(Math.min(MOST, Math.max(LEAST, Math.min(next, window.innerWidth - 480))));
    setWidth(fit);
    localStorage.setItem(WIDTH, String(fit));
  }];
}

type Tab = "talk" | "variables" | "steps";
const TABS: Tab[] = ["talk", "variables", "steps"];

function Open() {
  const [width, setWidth] = useWidth();
  const [tab, setTab] = useState<Tab>("talk");
  const changed = useTalk((s) => s.changed.length);
  const front = usePanels((s) => s.front);
  const hasSelection = useEditor((s) => s.selection.length > 0 || !!s.wire);
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    if (useTalk.getState().phase === "idle" || useTalk.getState().phase === "failed") void startTalk();
    return () => before?.focus?.({ preventScroll: true });
  }, []);
  const tabKey = (e: React.KeyboardEvent) => {
    const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length];
    setTab(next);
    box.current?.querySelector<HTMLElement>(`#pp-tab-${next}`)?.focus();
  };
  return (
    <aside ref={box} className="pp-panel pp-test" style={{ width }} aria-label={t("test.title")} data-testid="test-drawer" data-behind={(front === "step" && hasSelection) || undefined}
      onKeyDown={(e) => {
        if (e.key === "Escape" && !e.defaultPrevented) show("test", false);
        if (!((e.ctrlKey || e.metaKey) && ["Enter", "k"].includes(e.key))) e.stopPropagation();
      }}>
      <Resizer width={width} onChange={setWidth} />
      <header className="pp-head">
        <FlaskConical size={16} aria-hidden="true" />
        <h2>{t("test.title")}</h2>
        <TestLanguage />
        <AsCall />
        <button type="button" className="pp-button" onClick={restart} data-testid="test-restart"><RotateCcw size={14} aria-hidden="true" />{t("test.restart")}</button>
        <IconButton label={t("close")} onClick={() => show("test", false)}><X size={16} /></IconButton>
      </header>
      <Answering />
      <div className="pp-tabs" role="tablist" aria-label={t("test.title")} onKeyDown={tabKey}>
        {TABS.map((name) => (
          <button key={name} id={`pp-tab-${name}`} type="button" role="tab" aria-selected={tab === name} aria-controls="pp-tab-panel" tabIndex={tab === name ? 0 : -1} onClick={() => setTab(name)} data-testid={`tab-${name}`}>
            {t(`test.tab_${name}`)}{name === "variables" && changed > 0 && <i aria-label={t("test.changed", { n: changed })}>{changed}</i>}
          </button>
        ))}
      </div>
      <div id="pp-tab-panel" role="tabpanel" aria-labelledby={`pp-tab-${tab}`} className="pp-tab-panel">
        {tab === "talk" ? <Conversation /> : tab === "variables" ? <VariablesTab /> : <StepsTab />}
      </div>
    </aside>
  );
}

function AsCall() {
  const isCall = useTalk((s) => s.isCall);
  return (
    <IconButton label={t("test.as_call")} pressed={isCall} testId="test-call"
      onClick={() => {
        leaveVoice();
        useTalk.setState({ isCall: !isCall });
        void startTalk();
      }}><Phone size={16} /></IconButton>
  );
}

function TestLanguage() {
  const languages = useLanguages();
  const locale = useEditor((s) => s.doc.locale);
  const language = useTalk((s) => s.language);
  if (languages.length < 2) return null;
  return (
    <Select small value={language || locale} label={t("test.language")} options={languages.map((l) => [l.id, l.label] as const)} disabled={false}
      onChange={(id) => {
        useTalk.setState({ language: id });
        restart();
      }} />
  );
}

/** The left edge: drag it, or move it with the arrow keys. */
function Resizer({ width, onChange }: { width: number; onChange(width: number): void }) {
  const begin = (e: React.PointerEvent) => {
    e.preventDefault();
    const start = e.clientX + width;
    const move = (event: PointerEvent) => onChange(start - event.clientX);
    const end = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  };
  return (
    <div className="pp-resizer" role="separator" aria-orientation="vertical" aria-label={t("test.resize")} aria-valuenow={width} aria-valuemin={LEAST} aria-valuemax={MOST} tabIndex={0}
      onPointerDown={begin} onDoubleClick={() => onChange(420)}
      onKeyDown={(e) => {
        const step = e.key === "ArrowLeft" ? 24 : e.key === "ArrowRight" ? -24 : 0;
        if (step) onChange(width + step);
      }} />
  );
}
