// What every field of one step's form shares: which step it is, whether it may be changed, what is wrong with it.
import { createContext, useContext, useEffect, useRef, type RefObject } from "react";
import type { Edit, FormField, Problem } from "../core/types";
import { usePanels } from "./panel_state";

export type FieldProps = {
  field: FormField;
  value: any;
  /** Dotted path inside the settings; rows of lists are named by their id. */
  path: string;
  /** `typed`: one of many small changes that make one undo entry; `extra`: edits that belong to the same change. */
  onChange(value: any, typed?: boolean, extra?: Edit[]): void;
};
export type WidgetProps = FieldProps & { id: string; describedBy?: string };

export type FormState = {
  nodeId: string;
  disabled: boolean;
  problems: Problem[];
  /** Set another top-level setting of the step in the same edit. */
  siblings: FormField[];
};
const NOTHING: FormState = { nodeId: "", disabled: false, problems: [], siblings: [] };
export const FormContext = createContext<FormState>(NOTHING);
export const useForm = (): FormState => useContext(FormContext);

/** The values of the row a field stands in, for a field that depends on its neighbor. */
export const Beside = createContext<Record<string, any>>({});

export const asText = (value: any): string => (value === null || value === undefined ? "" : String(value));

/** The element keeps what is typed; a change from elsewhere is written into it unless it has the focus. */
export function useFollowing<T extends HTMLInputElement | HTMLTextAreaElement>(text: string) {
  const ref = useRef<T>(null);
  const latest = useRef(text);
  latest.current = text;
  const follow = () => {
    if (ref.current && ref.current.value !== latest.current) ref.current.value = latest.current;
  };
  useEffect(() => {
    if (document.activeElement !== ref.current) follow();
  }, [text]);
  return { ref, follow };
}

const CONTROLS = "input:not([type=hidden]), textarea, select, [contenteditable], [role=switch], button";

/** Takes the focus when somebody asked for this field: from the check, from a card, from the publish panel. */
export function useAskedFocus(path: string, box: RefObject<HTMLElement | null>): void {
  const { nodeId } = useForm();
  const focus = usePanels((s) => (s.focus && s.focus.node === nodeId && s.focus.path === path ? s.focus.at : 0));
  useEffect(() => {
    if (!focus || !box.current) return;
    const control = box.current.querySelector<HTMLElement>(`.pp-widget :is(${CONTROLS})`);
    box.current.scrollIntoView({ block: "center" });
    control?.focus({ preventScroll: true });
    box.current.setAttribute("data-asked", "");
    const element = box.current;
    const timer = window.setTimeout(() => element.removeAttribute("data-asked"), 1600);
    usePanels.setState({ focus: null });
    return () => window.clearTimeout(timer);
  }, [focus]);
}

/** Whether the asked-for field lies below this path, so that what is folded has to open. */
export function useIsAskedInside(path: string): boolean {
  const { nodeId } = useForm();
  return usePanels((s) => !!s.focus && s.focus.node === nodeId && s.focus.path.startsWith(path));
}
