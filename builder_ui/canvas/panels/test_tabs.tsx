// Beside the conversation: the variables with what the last turn changed, and the steps with their time.
import { CircleAlert, Check, Hourglass, LoaderCircle } from "lucide-react";
import { portsOf } from "../core/hooks";
import { duration, t } from "../core/i18n";
import { useEditor } from "../core/store";
import { shownValue } from "./data_list";
import { useTalk, type Step } from "./talk";
import { StepLink } from "./test_talk";

export function VariablesTab() {
  const variables = useEditor((s) => s.doc.variables);
  const { values, changed } = useTalk();
  const ids = [...new Set([...Object.keys(variables), ...Object.keys(values)])];
  if (!ids.length) return <p className="pp-empty pp-pad">{t("variables.none")}</p>;
  return (
    <div className="pp-scroll">
      <table className="pp-values" data-testid="test-variables">
        <thead><tr><th scope="col">{t("test.variable")}</th><th scope="col">{t("test.value")}</th></tr></thead>
        <tbody>
          {ids.map((id) => {
            const value = id in values ? values[id] : variables[id]?.default;
            const isEmpty = value === undefined || value === null || value === "";
            return (
              <tr key={id} data-changed={changed.includes(id) || undefined}>
                <th scope="row" title={id}>{variables[id]?.label || id}{changed.includes(id) && <i>{t("test.just_changed")}</i>}</th>
                <td data-empty={isEmpty || undefined}>{isEmpty ? t("data.empty") : variables[id]?.secret ? "••••••" : typeof value === "object" ? <code>{JSON.stringify(value)}</code> : shownValue(value)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

const SIGNS = { running: LoaderCircle, done: Check, waiting: Hourglass, failed: CircleAlert };

export function StepsTab() {
  const steps = useTalk((s) => s.steps);
  const total = useTalk((s) => s.turnMs);
  const language = useEditor((s) => s.language);
  if (!steps.length) return <p className="pp-empty pp-pad">{t("test.no_steps")}</p>;
  return (
    <div className="pp-scroll">
      <ol className="pp-steps" data-testid="test-steps">
        {steps.map((s, i) => (
          <li key={i} data-state={s.state} data-turn={i > 0 && steps[i - 1].turn !== s.turn ? t("test.turn", { n: s.turn }) : undefined}>
            <Sign step={s} />
            <StepLink node={s.node.split("/")[0]} />
            <span className="pp-port">{s.port && portLabel(s)}</span>
            <time>{s.state === "done" && s.ms !== null ? duration(s.ms, language) : ""}</time>
            {s.tokens !== null && <small>{t("test.tokens", { n: s.tokens })}</small>}
          </li>
        ))}
      </ol>
      {total !== null && <p className="pp-empty pp-pad">{t("test.turn_took", { time: duration(total, language) })}</p>}
    </div>
  );
}

function Sign({ step }: { step: Step }) {
  const Icon = SIGNS[step.state];
  return <Icon size={14} aria-label={t(`test.step_${step.state}`)} className={step.state === "running" ? "pp-spin" : undefined} />;
}

function portLabel(step: Step): string {
  if (step.node.includes("/")) return "";
  return `→ ${portsOf(useEditor.getState(), step.node).find((p) => p.id === step.port)?.label || step.port}`;
}
