// "?": every key of the editor.
import { t, type TextKey } from "../core/i18n";
import { show, useEditor } from "../core/store";
import { Dialog } from "./parts";

const KEYS: [TextKey, string[]][] = [
  ["keys.add", ["Tab", "/"]],
  ["keys.walk", ["← → ↑ ↓"]],
  ["keys.nudge", ["Alt ← → ↑ ↓"]],
  ["keys.rename", ["F2"]],
  ["keys.fields", ["Enter"]],
  ["keys.delete", ["Delete"]],
  ["keys.copy", ["Ctrl C", "Ctrl X", "Ctrl V"]],
  ["keys.duplicate", ["Ctrl D"]],
  ["keys.undo", ["Ctrl Z", "Ctrl Shift Z", "Ctrl Y"]],
  ["keys.all", ["Ctrl A"]],
  ["keys.area", ["Shift + ⟷"]],
  ["keys.enabled", ["Shift E"]],
  ["keys.tidy", ["Shift T"]],
  ["keys.fit", ["Shift 1"]],
  ["keys.goto", ["Ctrl K"]],
  ["keys.find", ["Ctrl F"]],
  ["keys.test", ["Ctrl Enter"]],
  ["keys.escape", ["Esc"]],
  ["keys.title", ["?"]],
];

export function Shortcuts() {
  const isOpen = useEditor((s) => !!s.panels.shortcuts);
  if (!isOpen) return null;
  return (
    <Dialog title={t("keys.title")} onClose={() => show("shortcuts", false)} wide testId="shortcuts">
      <dl className="pc-keys">
        {KEYS.map(([text, keys]) => (
          <div key={text}><dt>{t(text)}</dt><dd>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dd></div>
        ))}
      </dl>
    </Dialog>
  );
}
