// What the panels remember between steps: where the focus goes next, the language being written, who is in front.
import { create } from "zustand";
import { camera, select, useEditor } from "../core/store";

export type PanelState = {
  /** A field that shall open and take the focus; `at` makes asking twice for the same one work. */
  focus: { node: string; path: string; at: number } | null;
  /** Language of the texts in the inspector; "" is the flow's main language. */
  language: string;
  /** On narrow windows the inspector and the test drawer share one place. */
  front: "step" | "test";
  flowSettings: boolean;
};

const KEPT = "patchcord.flow_settings";
const kept = (): boolean => {
  try {
    return localStorage.getItem(KEPT) !== "closed";
  } catch {
    return true;
  }
};

export const usePanels = create<PanelState>()(() => ({ focus: null, language: "", front: "step", flowSettings: kept() }));

export function showFlowSettings(on: boolean): void {
  usePanels.setState({ flowSettings: on });
  try {
    localStorage.setItem(KEPT, on ? "open" : "closed");
  } catch {
    // Then it is forgotten with the tab.
  }
}

/** Select a step, move the canvas there and put the focus into one of its fields. */
export function goToField(node: string, path: string): void {
  select([node]);
  camera.reveal(node);
  usePanels.setState({ focus: { node, path, at: Date.now() }, front: "step", language: "" });
}

/** Show the step of a bubble without hiding the conversation. */
export function showStep(node: string): void {
  if (!useEditor.getState().doc.nodes[node]) return;
  select([node]);
  camera.reveal(node);
  usePanels.setState({ front: "test" });
}

/** Selecting a step on the canvas brings its settings to the front; opening the test brings the test there. */
useEditor.subscribe((now, before) => {
  if (now.selection !== before.selection && now.selection.length) usePanels.setState({ front: "step" });
  if (now.panels.test && !before.panels.test) usePanels.setState({ front: "test" });
  if (now.flowId !== before.flowId) usePanels.setState({ focus: null, language: "", front: "step" });
});

/** Deselect and show the flow's own settings. */
export function openFlowPanel(): void {
  select([]);
  showFlowSettings(true);
}
