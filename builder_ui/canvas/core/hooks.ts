// Small selectors that components share; each returns something stable.
import { useMemo } from "react";
import { useEditor, type EditorState } from "./store";
import type { FlowNode, Port, Problem, StepType } from "./types";

const NO_PROBLEMS: Problem[] = [];
const NO_PORTS: Port[] = [];
const NO_NAMES: string[] = [];

export const useNode = (id: string): FlowNode | undefined => useEditor((s) => s.doc.nodes[id]);
export const useStepType = (id: string): StepType | undefined => useEditor((s) => s.types[s.doc.nodes[id]?.type]);
export const useProblems = (id: string): Problem[] => useEditor((s) => s.problemsOf[id] ?? NO_PROBLEMS);

/** The exits of a step, with those that only a wire remembers marked as broken. */
export function usePorts(id: string): Port[] {
  const known = useEditor((s) => knownPorts(s, id));
  const wired = useEditor((s) => s.index.outgoing[id] ?? NO_NAMES);
  return useMemo(() => withBroken(known, wired), [known, wired]);
}

export const portsOf = (s: EditorState, id: string): Port[] =>
  withBroken(knownPorts(s, id), s.index.outgoing[id] ?? NO_NAMES);

function knownPorts(s: EditorState, id: string): Port[] {
  return s.ports[id] ?? s.types[s.doc.nodes[id]?.type]?.ports ?? NO_PORTS;
}

function withBroken(known: Port[], wired: string[]): Port[] {
  const lost = wired.filter((port) => !known.some((k) => k.id === port));
  if (!lost.length) return known;
  return [...known, ...lost.map((id): Port => ({ id, label: id, kind: "error", optional: false, broken: true }))];
}

export const tintOf = (s: EditorState, type: string): string => s.tints[s.types[type]?.category] ?? "gray";

/** What people call a step: its name, or what kind of step it is. */
export const stepName = (s: EditorState, id: string): string => {
  const node = s.doc.nodes[id];
  return node ? node.name || s.types[node.type]?.label || node.type : "";
};

/** The first words a step says or does. */
export function story(type: StepType | undefined, node: FlowNode): string {
  for (const key of type?.story ?? []) {
    const text = plain(node.settings[key]);
    if (text) return text.slice(0, 160);
  }
  return "";
}

/** A text with its references named: "Hello, {{ contact.first_name }}" → "Hello, first name". */
export const readable = (text: string): string =>
  text.replace(/\{%[^%]*%\}/g, " ").replace(/\{\{-?\s*([\w.]+)[^}]*\}\}/g, (_, path: string) => path.split(".").pop()!.replace(/_/g, " "));

function plain(value: unknown): string {
  if (typeof value === "string") return value.trim();
  if (typeof value === "number") return String(value);
  if (Array.isArray(value)) return value.map(plain).filter(Boolean).join(", ");
  if (value && typeof value === "object") {
    const row = value as Record<string, unknown>;
    return plain(row.label ?? row.name ?? row.text ?? "");
  }
  return "";
}
