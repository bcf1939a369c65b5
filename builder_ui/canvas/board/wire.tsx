// A wire with round corners from dot to dot; hovering or selecting it shows a "+" that puts a step into it.
import { getSmoothStepPath, type EdgeProps } from "@xyflow/react";
import { memo, useState } from "react";
import { t } from "../core/i18n";
import { corners, rounded, type Route } from "./routes";

/** React Flow ends a wire at the outer edge of the handle's hit area; the dot that people see is smaller. */
const TO_DOT = 7;
const RADIUS = 14;

export const Wire = memo(function Wire(props: EdgeProps) {
  const { id, sourceY, targetY, sourcePosition, targetPosition, data, selected } = props;
  const sourceX = props.sourceX - TO_DOT;
  const targetX = props.targetX + TO_DOT - 1;
  // Between neighbours the usual way out and way in would overlap and make a bump.
  const gap = targetX - sourceX;
  const offset = gap > 0 ? Math.max(6, Math.min(26, gap / 2 - 12)) : 26;
  const route = data?.route as Route | undefined;
  const way = route && rounded(corners({ x: sourceX, y: sourceY }, { x: targetX, y: targetY }, route), RADIUS);
  const [path, x, y] = way ? [way.path, way.middle.x, way.middle.y]
    : getSmoothStepPath({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, borderRadius: RADIUS, offset });
  const [isNear, setNear] = useState(false);
  return (
    <g className="pc-wire" onPointerEnter={() => setNear(true)} data-kind={data?.kind as string} data-taken={(data?.taken as boolean) || undefined} data-selected={selected || undefined}>
      <path d={path} className="pc-wire-line react-flow__edge-path" fill="none" markerEnd="url(#pc-arrow)" />
      <path d={path} className="react-flow__edge-interaction" fill="none" strokeOpacity={0} strokeWidth={22} />
      {(isNear || selected) && (
        <g className="pc-wire-add" transform={`translate(${x} ${y})`} data-insert={id}>
          <title>{t("wire.insert")}</title>
          <circle r={11} />
          <path d="M-4.5 0H4.5M0 -4.5V4.5" />
        </g>
      )}
    </g>
  );
});
