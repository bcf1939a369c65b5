// Small parts that every area uses: icon buttons, a modal dialog, saved-time words.
import { X } from "lucide-react";
import { useEffect, useRef, type ReactNode } from "react";
import { t } from "../core/i18n";

type IconButtonProps = {
  label: string;
  children: ReactNode;
  onClick(): void;
  keys?: string;
  disabled?: boolean;
  pressed?: boolean;
  tone?: "plain" | "accent" | "danger";
  testId?: string;
};

export function IconButton({ label, children, onClick, keys, disabled, pressed, tone = "plain", testId }: IconButtonProps) {
  return (
    <button type="button" className="pc-icon" data-tone={tone} aria-label={label} aria-pressed={pressed} disabled={disabled}
      title={keys ? `${label}  ${keys}` : label} onClick={onClick} data-testid={testId}>
      {children}
    </button>
  );
}

type DialogProps = { title: string; onClose(): void; children: ReactNode; wide?: boolean; testId?: string; bare?: boolean };

/** A modal dialog: the browser keeps the focus inside and gives it back. */
export function Dialog({ title, onClose, children, wide, testId, bare }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    ref.current?.showModal();
    return () => before?.focus?.({ preventScroll: true });
  }, []);
  return (
    <dialog ref={ref} className="pc-dialog" data-wide={wide || undefined} data-bare={bare || undefined} aria-label={title} data-testid={testId}
      onCancel={(e) => { e.preventDefault(); onClose(); }}
      onPointerDown={(e) => e.target === ref.current && onClose()} onKeyDown={(e) => e.stopPropagation()}>
      <div className="pc-dialog-body">
        {!bare && (
          <header>
            <h2>{title}</h2>
            <IconButton label={t("close")} onClick={onClose}><X size={17} /></IconButton>
          </header>
        )}
        {children}
      </div>
    </dialog>
  );
}

/** "3 s ago", "5 min ago", in words of the present language. */
export function ago(at: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 2) return t("time.now");
  if (seconds < 60) return t("time.seconds", { n: seconds });
  if (seconds < 3600) return t("time.minutes", { n: Math.floor(seconds / 60) });
  return t("time.hours", { n: Math.floor(seconds / 3600) });
}
