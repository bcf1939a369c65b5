// Where the time of a spoken answer went, from the caller's last word to the agent's first.
import { duration, t, type TextKey } from "../core/i18n";
import { useEditor } from "../core/store";

export type Stage = { key: string; ms: number; left: number; width: number };
const STAMPS = [
  ["pause", "hard_end"], ["understood", "final_text"], ["thought", "first_token"], ["sentence", "first_sentence"], ["voiced", "first_audio"], ["sent", "first_frame"],
] as const;

/** As the page of calls draws them (`stages_of` in builder_ui/rows.py), and after them the way to the ear. */
export function stagesOf(times: Record<string, number>): Stage[] {
  const line = times.first_frame ?? 0;
  if (line <= 0) return [];
  const whole = line + (times.ear ?? 0);
  const stages: Stage[] = [];
  let at = 0;
  const add = (key: string, until: number) => {
    if (until - at < 1) return;
    stages.push({ key, ms: Math.round(until - at), left: (at / whole) * 100, width: ((until - at) / whole) * 100 });
    at = until;
  };
  for (const [key, stamp] of STAMPS) if (times[stamp] !== undefined) add(key, Math.min(times[stamp], line));
  add("ear", whole);
  return stages;
}

export function Waterfall({ times }: { times: Record<string, number> }) {
  const language = useEditor((s) => s.language);
  const stages = stagesOf(times);
  if (!stages.length) return null;
  return (
    <details className="pv-fall" data-testid="waterfall">
      <summary title={t("voice.wait_hint")}>{t("voice.wait", { time: duration(times.first_frame + (times.ear ?? 0), language) })}</summary>
      <dl>
        {stages.map((stage) => (
          <div key={stage.key} data-kind={stage.key}>
            <dt>{t(`voice.stage_${stage.key}` as TextKey)}</dt>
            <dd><span className="pv-track" aria-hidden="true"><i style={{ left: `${stage.left}%`, width: `${stage.width}%` }} /></span>{duration(stage.ms, language)}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
