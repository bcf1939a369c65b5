// The handle by which a step of a chain is carried to another place of the list: mouse, finger, or the arrow keys.
import { useEffect, useRef } from "react";
import { GripVertical } from "lucide-react";

const EDGE = 70; // so near to the edge of the window the page scrolls along

/** `onMove(step, place)`: dropped at that place, counted from 0. `place`: where the step is now. */
export function StepGrip({ step, place, label, onMove }) {
  const handle = useRef(null);
  const drag = useRef(null);

  // The new order has arrived: what was only shown so is so now.
  useEffect(() => rest(handle.current?.closest("li")), [place]);
  useEffect(() => () => drag.current?.end(), []);

  const down = (event) => {
    if (event.button || drag.current) return;
    const item = handle.current.closest("li");
    const items = [...item.parentElement.children];
    const from = items.indexOf(item);
    const boxes = items.map((one) => ({ top: one.offsetTop, height: one.offsetHeight }));
    const gap = items.length > 1 ? boxes[1].top - boxes[0].top - boxes[0].height : 0;
    const startY = event.clientY + window.scrollY;
    const { pointerId } = event;
    let to = from;
    let lastY = event.clientY;
    event.preventDefault();
    handle.current.focus();
    handle.current.setPointerCapture(pointerId);
    item.dataset.carried = "true";

    const place_all = () => {
      const by = lastY + window.scrollY - startY;
      const middle = boxes[from].top + by + boxes[from].height / 2;
      to = boxes.filter((box, n) => n !== from && box.top + box.height / 2 < middle).length;
      item.style.transform = `translateY(${by}px)`;
      items.forEach((one, n) => {
        if (n === from) return;
        const shift = n > from && n <= to ? -1 : n < from && n >= to ? 1 : 0;
        one.style.transform = shift ? `translateY(${shift * (boxes[from].height + gap)}px)` : "";
      });
    };
    const scrolling = setInterval(() => {
      const way = lastY < EDGE ? -10 : lastY > window.innerHeight - EDGE ? 10 : 0;
      if (way) {
        window.scrollBy(0, way);
        place_all();
      }
    }, 16);
    const move = (e) => {
      lastY = e.clientY;
      place_all();
    };
    const end = (isKept) => {
      clearInterval(scrolling);
      drag.current = null;
      delete item.dataset.carried;
      for (const [kind, listener] of listeners) window.removeEventListener(kind, listener);
      if (!isKept) items.forEach(rest);
    };
    const drop = () => {
      const isMoved = to !== from;
      end(isMoved);
      if (!isMoved) return;
      onMove(step, to);
      // Should the server refuse, the list shows again how it is.
      setTimeout(() => items.forEach(rest), 1500);
    };
    const listeners = [
      ["pointermove", move], ["pointerup", drop], ["pointercancel", () => end(false)],
      ["keydown", (e) => e.key === "Escape" && end(false)],
    ];
    for (const [kind, listener] of listeners) window.addEventListener(kind, listener);
    drag.current = { end: () => end(false) };
  };

  const keys = (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const count = handle.current.closest("li").parentElement.children.length;
    if (place + by >= 0 && place + by < count) onMove(step, place + by);
  };

  return (
    <button type="button" ref={handle} className="ps-grip" aria-label={label} title={label} onPointerDown={down} onKeyDown={keys} data-testid="step-grip">
      <GripVertical size={16} aria-hidden />
    </button>
  );
}

function rest(item) {
  if (item) item.style.transform = "";
}
