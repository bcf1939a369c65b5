// The docked side panel: the selected step, the selected wire, several steps, or the flow itself.
import "../styles/panels.css";
import "../styles/panels_fields.css";
import "../styles/panels_builders.css";
import "../styles/panels_connections.css";
import { SlidersHorizontal } from "lucide-react";
import { t } from "../core/i18n";
import { show, useEditor } from "../core/store";
import { FlowSettings } from "./flow_settings";
import { ManyPanel, WirePanel } from "./other_panels";
import { showFlowSettings, usePanels } from "./panel_state";
import { StepPanel } from "./step_panel";

export { ProblemNotes } from "./field";

export function Inspector() {
  const id = useEditor((s) => (s.selection.length === 1 ? s.selection[0] : ""));
  const many = useEditor((s) => s.selection.length > 1);
  const wire = useEditor((s) => s.wire);
  const isTesting = useEditor((s) => !!s.panels.test);
  const isAsked = useEditor((s) => !!s.panels.flowSettings);
  const viewOnly = useEditor((s) => s.viewOnly);
  const front = usePanels((s) => s.front);
  const isKept = usePanels((s) => s.flowSettings);
  // Beside the test there is room for two only on wide windows; the styles decide which one yields.
  const yields = isTesting && (front === "test" || (!id && !many && !wire));
  const panel = id ? <StepPanel key={id} id={id} /> : many ? <ManyPanel /> : wire ? <WirePanel port={wire} /> : (isKept && !viewOnly) || isAsked ? <FlowSettings /> : null;
  if (!panel)
    return (
      <button type="button" className="pp-open-settings" aria-label={t("flow.settings")} title={t("flow.settings")} onClick={() => { showFlowSettings(true); show("flowSettings", true); }} data-testid="open-flow-settings">
        <SlidersHorizontal size={16} aria-hidden="true" />
      </button>
    );
  return <div className="pp-dock" data-yields={yields || undefined}>{panel}</div>;
}
