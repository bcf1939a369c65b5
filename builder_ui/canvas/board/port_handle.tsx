// The dot at a port. React Flow's own handle listens to every change of the canvas, and a large flow has thousands of
// them; until the pointer comes near, a card shows look-alikes that cost nothing.
import { Handle, Position } from "@xyflow/react";
import { memo } from "react";

/** React Flow's id of the canvas; it is part of the handles' names. */
export const CANVAS_ID = "flow";
/** Fingers do not hover, so on touch screens the real handles are always there. */
export const IS_TOUCH = typeof matchMedia === "function" && matchMedia("(pointer: coarse)").matches;

type Props = { node: string; port: string; isSource: boolean; isLive: boolean; label: string };

export const PortHandle = memo(function PortHandle({ node, port, isSource, isLive, label }: Props) {
  const type = isSource ? "source" : "target";
  const position = isSource ? Position.Right : Position.Left;
  const look = isSource ? "pc-out" : "pc-in";
  if (isLive) return <Handle type={type} position={position} id={port} className={look} aria-label={label} />;
  return (
    <div
      className={`react-flow__handle react-flow__handle-${position} nodrag nopan ${look} ${type} connectable connectablestart connectableend connectionindicator`}
      data-handleid={port} data-nodeid={node} data-handlepos={position} data-id={`${CANVAS_ID}-${node}-${port}-${type}`}
    />
  );
});
