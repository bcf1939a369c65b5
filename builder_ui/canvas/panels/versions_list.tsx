// Published versions as a diary, the newest first; any of them can become the draft again.
import { RotateCcw } from "lucide-react";
import { useEffect, useState } from "react";
import { api, ApiError } from "../core/api";
import { t } from "../core/i18n";
import { everythingSaved, reloadFlow, toast, useEditor } from "../core/store";

type Version = { id: string; number: number | null; comment: string; author?: string; created_at: string; is_live?: boolean };

export function VersionsList({ onClose }: { onClose(): void }) {
  const flowId = useEditor((s) => s.flowId);
  const live = useEditor((s) => s.liveVersion);
  const language = useEditor((s) => s.language);
  const viewOnly = useEditor((s) => s.viewOnly);
  const [versions, setVersions] = useState<Version[] | null>(null);
  const [asked, setAsked] = useState<number | null>(null);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState("");
  const tell = (error: unknown) => setFailure((error as ApiError).message || t("error.unreachable"));
  useEffect(() => {
    api.versions(flowId).then((v: any) => setVersions((Array.isArray(v) ? v : v.versions).filter((x: Version) => x.number !== null))).catch(tell);
  }, [flowId]);
  const restore = async (number: number) => {
    setBusy(true);
    try {
      await everythingSaved();
      await api.restore(flowId, number);
      await reloadFlow();
      toast(t("versions.restored", { n: number }));
      onClose();
    } catch (error) {
      tell(error);
    } finally {
      setBusy(false);
    }
  };
  if (failure) return <p className="pp-note" data-level="error" role="alert"><span>{failure}</span></p>;
  if (!versions) return <p className="pp-empty pp-pad" role="status">{t("versions.loading")}</p>;
  if (!versions.length) return <p className="pp-empty pp-pad">{t("versions.none")}</p>;
  const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "long", year: "numeric" });
  const time = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
  return (
    <ol className="pp-versions" data-testid="versions">
      {versions.map((v, i) => {
        const at = new Date(v.created_at);
        const isLive = v.is_live ?? v.number === live;
        const isNewDay = !i || day.format(new Date(versions[i - 1].created_at)) !== day.format(at);
        return (
          <li key={v.id ?? v.number} data-day={isNewDay ? day.format(at) : undefined}>
            <time dateTime={v.created_at}>{time.format(at)}</time>
            <div>
              <b>{t("versions.version", { n: v.number! })}</b>{isLive && <em>{t("versions.live")}</em>}
              <p>{v.comment || <span>{t("versions.no_comment")}</span>}</p>
              {v.author && <small>{v.author}</small>}
            </div>
            {!viewOnly && asked !== v.number && <button type="button" className="pp-button" onClick={() => setAsked(v.number)}><RotateCcw size={13} aria-hidden="true" />{t("versions.restore")}</button>}
            {asked === v.number && (
              <div className="pp-note" data-level="warning" role="alertdialog" aria-label={t("versions.restore")}>
                <span>{t("versions.sure", { n: v.number! })}</span>
                <button type="button" className="pp-fix" autoFocus disabled={busy} onClick={() => void restore(v.number!)} data-testid="restore-now">{t("versions.restore_now")}</button>
                <button type="button" className="pp-fix" disabled={busy} onClick={() => setAsked(null)}>{t("cancel")}</button>
              </div>
            )}
          </li>
        );
      })}
    </ol>
  );
}
