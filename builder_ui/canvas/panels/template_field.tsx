// A text with data chips: "{" or "/" opens the list of data; what is typed as {{ … }} becomes a chip; nothing is lost.
import { Braces } from "lucide-react";
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { t } from "../core/i18n";
import { redo, undo, useEditor } from "../core/store";
import { dataItems, isKnownPath, lastValue, pathLabel, searchData, shownValue, type DataItem } from "./data_list";
import { DataMenu } from "./data_menu";
import { caretOffset, caretPlace, isInOrder, readText, selectedSpan, selectedText, setCaret, writeText, type ChipLook } from "./editable";
import { asText, useForm, type WidgetProps } from "./form_context";
import { useTalk } from "./talk";

type Menu = { from: number; query: string; at: { x: number; y: number } };

export function TemplateField(props: WidgetProps & { lines?: boolean }) {
  const { disabled } = useForm();
  const { id, field, describedBy, onChange } = props;
  const max = field.max_length;
  return <ChipEditor id={id} labelledBy={`${id}-label`} describedBy={describedBy} text={asText(props.value)} lines={!!props.lines} disabled={disabled} required={field.required}
    placeholder={field.placeholder} maxLength={max} onType={(text) => onChange(text, true)} />;
}

type EditorProps = {
  id?: string; text: string; lines: boolean; disabled: boolean; placeholder: string; maxLength: number | null;
  labelledBy?: string; label?: string; describedBy?: string; required?: boolean; testId?: string; onType(text: string): void;
};

function lookOf(path: string, filters: string): ChipLook {
  const s = useEditor.getState();
  const value = lastValue(path);
  const lost = !isKnownPath(s, path);
  const title = lost ? t("data.lost", { name: path }) : value === undefined ? t("data.no_value") : t("data.last_value", { value: shownValue(value) });
  return { label: pathLabel(s, path) + (filters ? " …" : ""), title: filters ? `${title}\n${filters}` : title, lost };
}

export function ChipEditor({ id, text, lines, disabled, placeholder, maxLength, labelledBy, label, describedBy, required, testId, onType }: EditorProps) {
  const root = useRef<HTMLDivElement>(null);
  const shown = useRef<string | null>(null);
  const composing = useRef(false);
  /** Undone from inside this field: the change that follows is shown though the field has the focus. */
  const undone = useRef(false);
  const [menu, setMenu] = useState<Menu | null>(null);
  const [active, setActive] = useState(0);
  const { nodeId } = useForm();
  const menuId = useId();
  const variables = useEditor((s) => s.doc.variables);
  const nodes = useEditor((s) => s.doc.nodes);
  const values = useTalk((s) => s.values);
  const items = useMemo(() => (menu ? searchData(dataItems(useEditor.getState(), nodeId), menu.query) : []), [menu?.query, !menu, variables, nodeId]);
  const draw = (next: string, caret = -1) => {
    shown.current = next;
    writeText(root.current!, next, lookOf);
    root.current!.toggleAttribute("data-empty", !next);
    if (caret >= 0) setCaret(root.current!, caret);
  };
  useEffect(() => {
    if (shown.current === text) return;
    const isFocused = document.activeElement === root.current;
    if (shown.current !== null && isFocused && !undone.current) return;
    undone.current = false;
    draw(text, isFocused ? text.length : -1);
  }, [text]);
  /** Chips follow names and last values; the caret stays where it is. */
  useEffect(() => {
    const editor = root.current!;
    if (shown.current !== null && !composing.current && editor.querySelector("[data-raw]"))
      draw(shown.current, document.activeElement === editor ? caretOffset(editor) : -1);
  }, [variables, values, nodes]);
  const put = (next: string, caret: number) => {
    const cut = maxLength !== null && next.length > maxLength ? next.slice(0, maxLength) : next;
    draw(cut, Math.min(caret, cut.length));
    onType(cut);
  };
  const insert = (words: string) => {
    const editor = root.current!;
    const plain = lines ? words.replace(/\r\n?/g, "\n") : words.replace(/\s*[\r\n]+\s*/g, " ");
    const [from, to] = selectedSpan(editor);
    const now = readText(editor);
    put(now.slice(0, from) + plain + now.slice(to), from + plain.length);
  };
  const choose = (item: DataItem) => {
    const now = readText(root.current!);
    const caret = Math.max(caretOffset(root.current!), menu!.from);
    const rest = now.slice(caret).replace(/^\s*\}{1,2}/, "");
    const raw = `{{ ${item.path} }}`;
    setMenu(null);
    put(now.slice(0, menu!.from) + raw + rest, menu!.from + raw.length);
  };
  const openMenu = (from: number, query: string) => {
    if (!menu || menu.from !== from) setActive(0);
    setMenu({ from, query, at: menu?.from === from ? menu.at : caretPlace(root.current!) });
  };
  /** After typing: keep the list's query in step, or open the list at a fresh "{" or "/". */
  const watch = (now: string, caret: number, typed: string | null) => {
    if (menu) {
      const query = now.slice(menu.from, caret);
      const isOver = caret <= menu.from || query.includes("\n") || query.includes("}") || !/^[{/]/.test(query) || (query[0] === "/" && / {2}$|^\/ /.test(query));
      return isOver ? setMenu(null) : (setActive(0), openMenu(menu.from, query));
    }
    const isSlash = typed === "/" && /(^|\s)\/$/.test(now.slice(0, caret));
    if (typed === "{" || isSlash) openMenu(caret - (now.slice(caret - 2, caret) === "{{" ? 2 : 1), now[caret - 1]);
  };
  const typedIn = (typed: string | null) => {
    const editor = root.current!;
    if (composing.current) return;
    const now = readText(editor);
    const caret = caretOffset(editor);
    shown.current = now;
    undone.current = false;
    editor.toggleAttribute("data-empty", !now);
    if (!isInOrder(editor) || (maxLength !== null && now.length > maxLength)) put(now, caret);
    else onType(now);
    watch(now, caret, typed);
  };
  const onKeyDown = (e: React.KeyboardEvent) => {
    if (menu && items.length && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
      e.preventDefault();
      return setActive((active + (e.key === "ArrowDown" ? 1 : items.length - 1)) % items.length);
    }
    if (menu && items[active] && (e.key === "Enter" || e.key === "Tab")) {
      e.preventDefault();
      return choose(items[active]);
    }
    if (menu && e.key === "Escape") {
      e.preventDefault();
      e.stopPropagation();
      return setMenu(null);
    }
    if (e.key === "Enter" && !e.ctrlKey && !e.metaKey) {
      e.preventDefault();
      if (lines) insert("\n");
    } else if ((e.ctrlKey || e.metaKey) && !e.altKey && (e.key.toLowerCase() === "z" || e.key.toLowerCase() === "y")) {
      // The browser's own undo does not know about chips.
      e.preventDefault();
      e.stopPropagation();
      undone.current = true;
      if (e.key.toLowerCase() === "y" || e.shiftKey) redo();
      else undo();
    } else if ((e.ctrlKey || e.metaKey) && /^[bi]$/i.test(e.key)) e.preventDefault();
  };
  const copy = (e: React.ClipboardEvent, isCut: boolean) => {
    const part = selectedText(root.current!);
    if (!part) return;
    e.preventDefault();
    e.clipboardData.setData("text/plain", part);
    if (isCut) insert("");
  };
  return (
    <div className="pp-template" data-lines={lines || undefined} onKeyDown={(e) => e.key !== "Escape" && !((e.ctrlKey || e.metaKey) && e.key === "Enter") && e.stopPropagation()}>
      <div ref={root} id={id} className="pp-input pp-editable" contentEditable={!disabled} suppressContentEditableWarning role="textbox" aria-multiline={lines} spellCheck
        aria-labelledby={label ? undefined : labelledBy} aria-label={label} aria-describedby={describedBy} aria-required={required || undefined} aria-disabled={disabled || undefined}
        aria-controls={menu ? menuId : undefined} aria-activedescendant={menu && items[active] ? `${menuId}-${active}` : undefined} data-placeholder={placeholder} data-testid={testId}
        tabIndex={0} onKeyDown={onKeyDown} onInput={(e) => typedIn((e.nativeEvent as InputEvent).data)}
        onCompositionStart={() => { composing.current = true; }} onCompositionEnd={() => { composing.current = false; typedIn(null); }}
        onPaste={(e) => { e.preventDefault(); insert(e.clipboardData.getData("text/plain")); }}
        onDrop={(e) => { e.preventDefault(); insert(e.dataTransfer.getData("text/plain")); }}
        onCopy={(e) => copy(e, false)} onCut={(e) => copy(e, true)}
        onBlur={() => { setMenu(null); if (shown.current !== text) draw(text); }} />
      {!disabled && (
        <button type="button" className="pp-insert" aria-label={t("data.insert")} title={t("data.insert_hint")} onPointerDown={(e) => e.preventDefault()}
          onClick={() => {
            const editor = root.current!;
            if (document.activeElement !== editor) { editor.focus(); setCaret(editor, readText(editor).length); }
            insert("{");
            openMenu(caretOffset(editor) - 1, "{");
          }}><Braces size={14} aria-hidden="true" /></button>
      )}
      {menu && <DataMenu id={menuId} items={items} active={active} at={menu.at} onActive={setActive} onChoose={choose} />}
      {maxLength !== null && text.length > maxLength * 0.9 && <small className="pp-count" data-full={text.length >= maxLength || undefined}>{text.length} / {maxLength}</small>}
    </div>
  );
}
