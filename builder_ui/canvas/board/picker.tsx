// The quick-add list: appears where a wire was dropped or a "+" was pressed; typing filters, Enter chooses.
import { CornerDownRight } from "lucide-react";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { splitPort } from "../core/edits";
import { stepName } from "../core/hooks";
import { t } from "../core/i18n";
import { patchState, useEditor, type Picker as Place } from "../core/store";
import { rememberType, searchTypes, suggestedTypes } from "./catalog_list";
import { StepIcon } from "./step_icon";
import { addStep, connect } from "./steps";

const WIDTH = 300;
const HEIGHT = 400;

export function Picker() {
  const place = useEditor((s) => s.picker);
  return place ? <Open key={place.screen.join()} place={place} /> : null;
}

type Row = { key: string; label: string; hint: string; icon?: string; tint: string; choose(): void };

function rows(place: Place, query: string): Row[] {
  const s = useEditor.getState();
  const entering = place.from ?? place.insert;
  const found = (query.trim() ? searchTypes(s, query) : suggestedTypes(s, entering)).filter((type) => !(entering && type.entry));
  const list: Row[] = found.map((type) => ({
    key: type.type, label: type.label, hint: type.summary, icon: type.icon, tint: s.tints[type.category] ?? "gray",
    choose: () => {
      rememberType(type.type);
      addStep(type.type, place.at, place);
    },
  }));
  if (!place.from || !query.trim()) return list;
  const wanted = query.trim().toLocaleLowerCase();
  const own = splitPort(place.from)[0];
  for (const [id, node] of Object.entries(s.doc.nodes)) {
    const name = stepName(s, id);
    if (id === own || s.types[node.type]?.entry || !name.toLocaleLowerCase().includes(wanted)) continue;
    list.push({
      key: id, label: name, hint: t("picker.connect"), icon: s.types[node.type]?.icon,
      tint: s.tints[s.types[node.type]?.category] ?? "gray", choose: () => connect(place.from!, id),
    });
    if (list.length > 40) break;
  }
  return list;
}

function Open({ place }: { place: Place }) {
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const list = useMemo(() => rows(place, query), [place, query]);
  const box = useRef<HTMLDivElement>(null);
  const listRef = useRef<HTMLUListElement>(null);
  const close = () => {
    patchState({ picker: null });
    document.querySelector<HTMLElement>(".pc-board")?.focus({ preventScroll: true });
  };
  const choose = (row: Row | undefined) => {
    if (!row) return;
    close();
    row.choose();
  };
  useEffect(() => {
    const away = (e: PointerEvent) => {
      if (!box.current?.contains(e.target as Element)) patchState({ picker: null });
    };
    window.addEventListener("pointerdown", away, true);
    return () => window.removeEventListener("pointerdown", away, true);
  }, []);
  useLayoutEffect(() => {
    void listRef.current?.children[active]?.scrollIntoView({ block: "nearest" });
  }, [active]);
  const onKeyDown = (e: React.KeyboardEvent) => {
    e.stopPropagation();
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      setActive((i) => (i + (e.key === "ArrowDown" ? 1 : list.length - 1)) % Math.max(1, list.length));
    } else if (e.key === "Enter") {
      e.preventDefault();
      choose(list[active]);
    } else if (e.key === "Escape") close();
  };
  const left = Math.max(12, Math.min(place.screen[0] + 8, window.innerWidth - WIDTH - 12));
  const top = Math.max(60, Math.min(place.screen[1] - 20, window.innerHeight - HEIGHT - 12));
  const label = place.insert ? t("picker.insert") : place.from ? t("picker.after") : t("picker.add");
  return (
    <div ref={box} className="pc-picker" style={{ left, top, width: WIDTH, maxHeight: HEIGHT }} role="dialog" aria-label={label} data-testid="picker">
      <input autoFocus value={query} placeholder={label} aria-label={label} role="combobox" aria-expanded="true"
        aria-controls="pc-picker-list" aria-activedescendant={list[active] ? `pc-pick-${list[active].key}` : undefined}
        onChange={(e) => { setQuery(e.target.value); setActive(0); }} onKeyDown={onKeyDown} />
      <ul ref={listRef} id="pc-picker-list" role="listbox" aria-label={label}>
        {list.map((row, i) => (
          <li key={row.key} id={`pc-pick-${row.key}`} role="option" aria-selected={i === active} data-tint={row.tint}
            onPointerMove={() => i !== active && setActive(i)} onClick={() => choose(row)} data-testid={`pick-${row.key}`}>
            <StepIcon svg={row.icon} size={16} />
            <span><b>{row.label}</b><small>{row.hint}</small></span>
            {place.from && row.hint === t("picker.connect") && <CornerDownRight size={14} />}
          </li>
        ))}
        {!list.length && <li className="pc-none" role="presentation">{t("palette.nothing", { query })}</li>}
      </ul>
    </div>
  );
}
