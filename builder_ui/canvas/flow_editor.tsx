// Entry of the flow editor: what Reflex imports. One React application owns the whole editor screen.
import "@fontsource-variable/inter/wght.css";
import "@xyflow/react/dist/style.css";
import "./styles/tokens.css";
import "./styles/board.css";
import "./styles/screen.css";
import "./styles/panels.css";
import { ReactFlowProvider, useNodesInitialized } from "@xyflow/react";
import { useEffect, useRef, useState } from "react";
import { Board } from "./board/board";
import { Palette } from "./board/palette";
import { Picker } from "./board/picker";
import * as edits from "./core/edits";
import { t } from "./core/i18n";
import { dispatch, holdEdits, openEditor, patchState, reveal, useEditor } from "./core/store";
import { Inspector } from "./panels/inspector";
import { ProblemsList } from "./panels/problems_list";
import { PublishPanel } from "./panels/publish_panel";
import { TestDrawer } from "./panels/test_drawer";
import { FindBar } from "./screen/find";
import { GoTo } from "./screen/goto";
import { Header } from "./screen/header";
import { ClashDialog, OfflineBanner, Toasts } from "./screen/notices";
import { Outline } from "./screen/outline";
import { Shortcuts } from "./screen/shortcuts";

type Props = { flowId?: string; language?: string; theme?: string };

/** For tests and for developers in the console; the page itself does not use it. */
(globalThis as any).patchcordEditor = { store: useEditor, edits, dispatch, hold: holdEdits };

const NARROWEST = 1100;
const flowInAddress = (): string => /\/flow\/([^/?#]+)/.exec(location.pathname)?.[1] ?? "";

export function FlowEditor({ flowId, language, theme }: Props) {
  const id = flowId || flowInAddress();
  const look = theme === "dark" ? "dark" : "light";
  useEffect(() => openEditor(id, language ?? ""), [id, language]);
  useNarrow();
  return (
    <div className={`pc ${look}`} data-testid="editor">
      <ReactFlowProvider><Screen theme={look} /></ReactFlowProvider>
    </div>
  );
}

function Screen({ theme }: { theme: "light" | "dark" }) {
  const phase = useEditor((s) => s.phase);
  const language = useEditor((s) => s.language);
  const flowId = useEditor((s) => s.flowId);
  const viewOnly = useEditor((s) => s.viewOnly);
  if (phase === "loading") return <Loading />;
  if (phase === "failed") return <Failed />;
  return (
    <div className="pc-screen" lang={language} key={`${flowId}.${language}`}>
      <AskedStep />
      <Header />
      <OfflineBanner />
      <main>
        {!viewOnly && <Palette />}
        <div className="pc-stage">
          <Board theme={theme} />
          <FindBar />
          <Outline />
          <ProblemsList />
          {viewOnly && <p className="pc-view-only">{t("save.view_only_hint")}</p>}
        </div>
        <Inspector />
        <TestDrawer />
      </main>
      <Picker />
      <GoTo />
      <Shortcuts />
      <PublishPanel />
      <ClashDialog />
      <Toasts />
    </div>
  );
}

/** A link such as `?node=n_hello` opens the flow with that step selected and in view. */
function AskedStep() {
  const isDrawn = useNodesInitialized();
  const isDone = useRef(false);
  useEffect(() => {
    if (!isDrawn || isDone.current) return;
    isDone.current = true;
    const id = new URLSearchParams(location.search).get("node");
    if (id && useEditor.getState().doc.nodes[id]) reveal(id);
  }, [isDrawn]);
  return null;
}

/** Below 1100 px there is no room to edit: the flow can be looked at. */
function useNarrow(): void {
  useEffect(() => {
    const query = window.matchMedia(`(max-width: ${NARROWEST - 1}px)`);
    const tell = () => patchState({ viewOnly: query.matches });
    tell();
    query.addEventListener("change", tell);
    return () => query.removeEventListener("change", tell);
  }, []);
}

function Loading() {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = window.setTimeout(() => setSlow(true), 300);
    return () => window.clearTimeout(timer);
  }, []);
  if (!slow) return null;
  return <div className="pc-loading" role="status" aria-label={t("loading")}><i /><i /><i /></div>;
}

function Failed() {
  const failure = useEditor((s) => s.failure);
  const status = failure?.code ?? "";
  const text = status === "unreachable" ? t("error.unreachable") : failure?.message || t("error.open");
  return (
    <div className="pc-failed" role="alert">
      <h1>{t("error.title")}</h1>
      <p>{text}</p>
      <div>
        <button type="button" className="pc-button" data-tone="primary" onClick={() => location.reload()}>{t("error.again")}</button>
        <a className="pc-button" href={/\/agents\/[^/]+/.exec(location.pathname)?.[0] ?? "/"}>{t("header.back")}</a>
      </div>
    </div>
  );
}
