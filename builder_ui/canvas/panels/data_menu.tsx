// The searchable list of data that opens at the caret; the field keeps the focus and drives it by keys.
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { t } from "../core/i18n";
import { lastValue, shownValue, type DataItem } from "./data_list";

type Props = { id: string; items: DataItem[]; active: number; at: { x: number; y: number }; onActive(i: number): void; onChoose(item: DataItem): void };

export function DataMenu({ id, items, active, at, onActive, onChoose }: Props) {
  const box = useRef<HTMLUListElement>(null);
  const [place, setPlace] = useState({ left: at.x, top: at.y + 4 });
  useLayoutEffect(() => {
    const { offsetWidth, offsetHeight } = box.current!;
    const isBelow = at.y + 8 + offsetHeight < window.innerHeight;
    setPlace({ left: Math.max(8, Math.min(at.x, window.innerWidth - offsetWidth - 12)), top: isBelow ? at.y + 4 : Math.max(8, at.y - 26 - offsetHeight) });
  }, [at.x, at.y, items.length]);
  useEffect(() => {
    document.getElementById(`${id}-${active}`)?.scrollIntoView({ block: "nearest" });
  }, [active]);
  return (
    <ul ref={box} id={id} className="pp-data-menu" role="listbox" aria-label={t("data.title")} style={place} data-testid="data-menu">
      {items.map((item, i) => {
        const value = lastValue(item.path);
        return (
          <li key={item.path} id={`${id}-${i}`} role="option" aria-selected={i === active} data-group={items[i - 1]?.group === item.group ? undefined : item.group}
            onPointerMove={() => i !== active && onActive(i)} onPointerDown={(e) => { e.preventDefault(); onChoose(item); }}>
            <b>{item.label}</b>
            <small>{value === undefined ? t(`type.${item.type}` as "type.text") : shownValue(value)}</small>
          </li>
        );
      })}
      {!items.length && <li className="pp-none" role="presentation">{t("data.nothing")}</li>}
    </ul>
  );
}
