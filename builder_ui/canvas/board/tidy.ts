// Tidy up: places for all steps (or the selected ones), computed in a worker, applied as one undo entry.
import { splitPort } from "../core/edits";
import { t } from "../core/i18n";
import { dispatch, useEditor } from "../core/store";
import type { Edit, Point } from "../core/types";
import { CARD_WIDTH, snap } from "./geometry";
import { sizeOf } from "./steps";

let worker: Worker | null = null;

function arranged(job: unknown): Promise<Record<string, Point>> {
  worker ??= new Worker(new URL("./layout_worker.ts", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker!.onmessage = (message) => resolve(message.data);
    worker!.onerror = (error) => reject(error);
    worker!.postMessage(job);
  });
}

/** Arrange the selected steps when there are several, else all; the whole stays where its top left corner was. */
export async function tidy(): Promise<void> {
  const { doc, selection } = useEditor.getState();
  const ids = selection.length > 1 ? selection : Object.keys(doc.nodes);
  if (!ids.length) return;
  const chosen = new Set(ids);
  const places = await arranged({
    nodes: ids.map((id) => ({ id, width: CARD_WIDTH, height: sizeOf(id) })),
    edges: Object.entries(doc.edges)
      .map(([port, target]) => [splitPort(port)[0], target])
      .filter(([source, target]) => chosen.has(source) && chosen.has(target)),
  });
  const now = useEditor.getState().doc;
  const old = ids.map((id) => now.layout.nodes[id] ?? [0, 0]);
  const left = Math.min(...old.map((p) => p[0])) - Math.min(...ids.map((id) => places[id][0]));
  const top = Math.min(...old.map((p) => p[1])) - Math.min(...ids.map((id) => places[id][1]));
  const edits: Edit[] = [];
  for (const id of ids) {
    const at = snap([places[id][0] + left, places[id][1] + top]);
    const before = now.layout.nodes[id];
    if (now.nodes[id] && (!before || before[0] !== at[0] || before[1] !== at[1])) edits.push({ kind: "move_node", id, at });
  }
  dispatch(edits, { label: t("edit.tidy") });
}
