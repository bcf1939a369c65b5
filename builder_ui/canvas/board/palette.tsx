// The add rail and its drawer: search, categories; drag to a place, or tap or press Enter to add.
import { useReactFlow } from "@xyflow/react";
import { Plus, Search, X } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { t } from "../core/i18n";
import { show, useEditor } from "../core/store";
import type { Point, StepType } from "../core/types";
import { IconButton } from "../screen/parts";
import { groupedTypes, rememberType, searchTypes } from "./catalog_list";
import { isOverCanvas, wireUnder } from "./pointer";
import { StepIcon } from "./step_icon";
import { addStep, nextPlace } from "./steps";

export function Palette() {
  const isOpen = useEditor((s) => !!s.panels.palette);
  const catalog = useEditor((s) => s.catalog);
  const tints = useEditor((s) => s.tints);
  const add = useAdd();
  const common = ["send_message", "ask", "ask_choice", "prompt", "branch", "end"];
  const types = common.map((id) => catalog.node_types.find((type) => type.type === id)).filter((x): x is StepType => !!x);
  return (
    <>
      <nav className="pc-rail" aria-label={t("palette.title")}>
        <IconButton label={isOpen ? t("palette.close") : t("palette.open")} keys="/" pressed={isOpen} tone="accent"
          onClick={() => show("palette", !isOpen)} testId="palette-toggle">
          {isOpen ? <X size={18} /> : <Plus size={18} />}
        </IconButton>
        <hr />
        {types.map((type) => (
          <DragSource key={type.type} type={type} add={add} className="pc-rail-item" tint={tints[type.category]}>
            <StepIcon svg={type.icon} size={18} />
          </DragSource>
        ))}
      </nav>
      {isOpen && <Drawer add={add} />}
    </>
  );
}

function Drawer({ add }: { add: Add }) {
  const [query, setQuery] = useState("");
  const catalog = useEditor((s) => s.catalog);
  const tints = useEditor((s) => s.tints);
  const types = useMemo(() => searchTypes(useEditor.getState(), query), [query, catalog]);
  const groups = query.trim() ? [{ id: "", label: "", types }] : groupedTypes(useEditor.getState(), types);
  const list = useRef<HTMLDivElement>(null);
  const walk = (e: React.KeyboardEvent) => {
    if (e.key === "Escape") return show("palette", false);
    if (e.key !== "ArrowDown" && e.key !== "ArrowUp") return;
    const items = [...(list.current?.querySelectorAll<HTMLElement>("button.pc-item") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement) + (e.key === "ArrowDown" ? 1 : -1);
    e.preventDefault();
    items[Math.max(0, Math.min(items.length - 1, at))]?.focus();
  };
  return (
    <aside className="pc-drawer pc-palette" aria-label={t("palette.title")} onKeyDown={walk} data-testid="palette">
      <label className="pc-search">
        <Search size={15} aria-hidden="true" />
        <input autoFocus value={query} onChange={(e) => setQuery(e.target.value)} placeholder={t("palette.search")} aria-label={t("palette.search")}
          onKeyDown={(e) => e.key === "Enter" && types[0] && add(types[0].type)} />
      </label>
      <div ref={list} className="pc-scroll">
        {groups.map((group) => (
          <section key={group.id}>
            {group.label && <h3>{group.label}</h3>}
            {group.types.map((type) => (
              <DragSource key={type.type} type={type} add={add} className="pc-item" tint={tints[type.category]}>
                <StepIcon svg={type.icon} size={18} />
                <span><b>{type.label}</b><small>{type.summary}</small></span>
              </DragSource>
            ))}
          </section>
        ))}
        {!types.length && <p className="pc-none">{t("palette.nothing", { query })}</p>}
      </div>
      <footer>{t("palette.hint")}</footer>
    </aside>
  );
}

type Add = (type: string, point?: { x: number; y: number }) => void;

function useAdd(): Add {
  const flow = useReactFlow();
  return (type, point) => {
    rememberType(type);
    if (point) {
      const at = flow.screenToFlowPosition(point);
      addStep(type, [at.x - 132, at.y - 26], { insert: wireUnder(point.x, point.y) ?? undefined });
      return;
    }
    const box = document.querySelector(".pc-board")!.getBoundingClientRect();
    const center = flow.screenToFlowPosition({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
    const place = nextPlace([center.x, center.y] as Point);
    addStep(type, place.at, place);
  };
}

type DragProps = { type: StepType; add: Add; className: string; tint: string; children: React.ReactNode };

/** A button that can also be dragged onto the canvas, with a mouse or a finger. */
function DragSource({ type, add, className, tint, children }: DragProps) {
  const [ghost, setGhost] = useState<{ x: number; y: number } | null>(null);
  const drag = useRef<{ x: number; y: number; moved: boolean } | null>(null);
  const justDragged = useRef(false);
  useEffect(() => () => setGhost(null), []);
  return (
    <>
      <button type="button" className={className} data-tint={tint} title={className === "pc-rail-item" ? type.label : undefined}
        aria-label={className === "pc-rail-item" ? t("palette.add", { name: type.label }) : undefined} data-testid={`add-${type.type}`}
        onPointerDown={(e) => {
          if (e.button !== 0) return;
          drag.current = { x: e.clientX, y: e.clientY, moved: false };
          e.currentTarget.setPointerCapture(e.pointerId);
        }}
        onPointerMove={(e) => {
          const d = drag.current;
          if (!d) return;
          d.moved ||= Math.hypot(e.clientX - d.x, e.clientY - d.y) > 6;
          if (d.moved) setGhost({ x: e.clientX, y: e.clientY });
        }}
        onPointerUp={(e) => {
          const d = drag.current;
          drag.current = null;
          setGhost(null);
          justDragged.current = !!d?.moved;
          if (!d?.moved) return;
          e.currentTarget.releasePointerCapture(e.pointerId);
          if (isOverCanvas(e.clientX, e.clientY)) add(type.type, { x: e.clientX, y: e.clientY });
        }}
        onPointerCancel={() => { drag.current = null; setGhost(null); }}
        onClick={() => {
          if (justDragged.current) justDragged.current = false;
          else add(type.type);
        }}>
        {children}
      </button>
      {ghost && (
        <div className="pc-ghost" data-tint={tint} style={{ left: ghost.x, top: ghost.y }} aria-hidden="true">
          <StepIcon svg={type.icon} size={18} /><b>{type.label}</b>
        </div>
      )}
    </>
  );
}
