// Bottom left of the canvas: zoom, fit, tidy up, undo, mouse or trackpad.
import { Panel, useReactFlow, useStore } from "@xyflow/react";
import { ListTree, Maximize, Minus, MousePointer2, Plus, Redo2, Sparkles, Touchpad, Undo2 } from "lucide-react";
import { useState } from "react";
import { t } from "../core/i18n";
import { redo, show, undo, useEditor } from "../core/store";
import { IconButton } from "../screen/parts";
import { tidy } from "./tidy";

export function Controls() {
  const flow = useReactFlow();
  const zoom = useStore((s) => Math.round(s.transform[2] * 100));
  const { canUndo, canRedo, viewOnly } = useFlags();
  return (
    <Panel position="bottom-left" className="pc-controls">
      <div className="pc-group">
        <IconButton label={t("view.zoom_out")} onClick={() => flow.zoomOut({ duration: 120 })}><Minus size={16} /></IconButton>
        <button type="button" className="pc-zoom" title={t("view.actual")} onClick={() => flow.zoomTo(1, { duration: 120 })}>{zoom}%</button>
        <IconButton label={t("view.zoom_in")} onClick={() => flow.zoomIn({ duration: 120 })}><Plus size={16} /></IconButton>
        <IconButton label={t("view.fit")} keys="Shift+1" onClick={() => flow.fitView({ padding: 0.15, maxZoom: 1, duration: 160 })}><Maximize size={15} /></IconButton>
      </div>
      {!viewOnly && (
        <div className="pc-group">
          <IconButton label={t("undo.undo")} keys="Ctrl+Z" disabled={!canUndo} onClick={undo}><Undo2 size={16} /></IconButton>
          <IconButton label={t("undo.redo")} keys="Ctrl+Shift+Z" disabled={!canRedo} onClick={redo}><Redo2 size={16} /></IconButton>
          <IconButton label={t("view.tidy")} keys="Shift+T" onClick={() => void tidy()}><Sparkles size={15} /></IconButton>
        </div>
      )}
      <div className="pc-group">
        <IconButton label={t("view.outline")} onClick={() => show("outline", true)}><ListTree size={16} /></IconButton>
        <PointerChoice />
      </div>
    </Panel>
  );
}

function useFlags() {
  const canUndo = useEditor((s) => s.canUndo);
  const canRedo = useEditor((s) => s.canRedo);
  const viewOnly = useEditor((s) => s.viewOnly);
  return { canUndo, canRedo, viewOnly };
}

function PointerChoice() {
  const [trackpad, setTrackpad] = useState(() => localStorage.getItem("patchcord.trackpad") === "1");
  const toggle = () => {
    localStorage.setItem("patchcord.trackpad", trackpad ? "0" : "1");
    setTrackpad(!trackpad);
    window.dispatchEvent(new Event("patchcord-trackpad"));
  };
  return (
    <IconButton label={trackpad ? t("view.trackpad") : t("view.mouse")} onClick={toggle}>
      {trackpad ? <Touchpad size={16} /> : <MousePointer2 size={15} />}
    </IconButton>
  );
}
