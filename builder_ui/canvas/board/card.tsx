// A step on the canvas: icon, name, its first words, one row per exit, and badges.
import { useUpdateNodeInternals, type NodeProps } from "@xyflow/react";
import { CircleAlert, Clock, MessageCircleQuestion, Plus, TriangleAlert, Zap } from "lucide-react";
import { memo, useEffect, useRef, useState } from "react";
import { story, tintOf, useNode, usePorts, useProblems, useStepType } from "../core/hooks";
import { duration, t, words } from "../core/i18n";
import { patchState, useEditor } from "../core/store";
import type { FlowNode, Port, Problem, StepType } from "../core/types";
import { flushSync } from "react-dom";
import { IS_TOUCH, PortHandle } from "./port_handle";
import { StepIcon } from "./step_icon";
import { rename } from "./steps";

export const Card = memo(function Card({ id, selected }: NodeProps) {
  const node = useNode(id);
  const type = useStepType(id);
  const ports = usePorts(id);
  const tint = useEditor((s) => tintOf(s, s.doc.nodes[id]?.type));
  const state = useEditor((s) => s.run.steps[id]);
  const answer = useEditor((s) => s.run.answers[id]);
  const isEntry = useEditor((s) => s.doc.entry.message === id);
  const update = useUpdateNodeInternals();
  const text = node ? story(type, node) : "";
  const [isNear, setNear] = useState(IS_TOUCH);
  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) isFirst.current = false;
    else update(id);
  }, [ports, !!text]);
  if (!node) return null;
  return (
    <article
      className="pc-card" data-tint={tint} data-run={state} data-off={!node.enabled || undefined}
      data-selected={selected || undefined} data-testid={`card-${id}`}
      onPointerEnter={() => isNear || flushSync(() => setNear(true))}
    >
      {!type?.entry && <PortHandle node={id} port="in" isSource={false} isLive={isNear} label={t("card.input")} />}
      <header>
        <StepIcon svg={type?.icon} />
        <div className="pc-card-title">
          <Name id={id} node={node} type={type} />
          {!type ? <small>{t("card.missing", { type: node.type })}</small>
            : !!node.name && node.name !== type.label && <small>{type.label}</small>}
        </div>
        <Badges id={id} node={node} type={type} isEntry={isEntry} />
      </header>
      {text && <Story text={text} />}
      {ports.length > 0 && (
        <ul className="pc-exits">
          {ports.map((port) => <Exit key={port.id} node={id} port={port} isLive={isNear} />)}
        </ul>
      )}
      {state && <span className="pc-run" data-state={state}>{t(`run.${state}`)}</span>}
      {answer !== undefined && <Wait ms={answer} />}
    </article>
  );
});

/** How long the caller waited for this step's first word; people call 0.8 s a conversation and 2 s a bad line. */
function Wait({ ms }: { ms: number }) {
  const language = useEditor((s) => s.language);
  return <span className="pc-wait" data-slow={ms > 2000 ? "very" : ms > 1000 ? "some" : undefined} title={t("voice.wait_hint")} data-testid="card-wait">{duration(ms, language)}</span>;
}

const REFERENCE = /\{\{-?\s*([\w.]+)[^}]*\}\}/g;
const TAG = /\{%[^%]*%\}/g;

/** The first words, with references as chips. */
function Story({ text }: { text: string }) {
  const variables = useEditor((s) => s.doc.variables);
  const parts = text.replace(TAG, " ").split(REFERENCE);
  return (
    <p className="pc-card-story">
      {parts.map((part, i) => {
        if (i % 2 === 0) return part;
        const [root, name, output] = part.split(".");
        const last = part.split(".").pop()!;
        const s = useEditor.getState();
        const label = root === "var" ? variables[last]?.label : root === "step" ? s.types[s.doc.nodes[name]?.type]?.outputs?.[output] : "";
        return <span key={i} className="pc-ref">{label || last.replace(/_/g, " ")}</span>;
      })}
    </p>
  );
}

function Name({ id, node, type }: { id: string; node: FlowNode; type?: StepType }) {
  const isRenaming = useEditor((s) => s.renaming === id);
  const name = node.name || type?.label || node.type;
  if (!isRenaming) return <strong title={name} data-rename={id}>{name}</strong>;
  const finish = (value: string | null) => {
    if (value !== null) rename(id, value);
    patchState({ renaming: null });
  };
  return (
    <input
      className="pc-rename nodrag nopan" defaultValue={name} autoFocus maxLength={200} aria-label={t("card.rename")}
      onFocus={(e) => e.target.select()} onBlur={(e) => finish(e.target.value)}
      onKeyDown={(e) => {
        e.stopPropagation();
        if (e.key === "Enter") finish(e.currentTarget.value);
        if (e.key === "Escape") finish(null);
      }}
    />
  );
}

function Badges({ id, node, type }: { id: string; node: FlowNode; type?: StepType; isEntry: boolean }) {
  const problems = useProblems(id);
  const triggers = useEditor((s) => (type?.entry ? s.begunBy.length : 0));
  return (
    <div className="pc-badges">
      {triggers > 0 && <span className="pc-chip pc-begun" title={t("trigger.begun_by", { n: triggers })} data-testid="card-begun-by"><Zap size={12} aria-hidden="true" />{triggers}</span>}
      {!node.enabled && <span className="pc-chip">{t("card.off")}</span>}
      {type?.waits === "reply" && <MessageCircleQuestion size={14} aria-label={t("card.waits_reply")} />}
      {type?.waits === "time" && <Clock size={14} aria-label={t("card.waits_time")} />}
      <ProblemBadge problems={problems} />
    </div>
  );
}

function ProblemBadge({ problems }: { problems: Problem[] }) {
  const errors = problems.filter((p) => p.level === "error").length;
  const warnings = problems.filter((p) => p.level === "warning").length;
  if (!errors && !warnings) return null;
  const Sign = errors ? CircleAlert : TriangleAlert;
  const title = problems.map((p) => words(p.message)).join("\n");
  return (
    <span className="pc-problem" data-level={errors ? "error" : "warning"} title={title}
      aria-label={t("card.problems", { n: errors + warnings })} role="img">
      <Sign size={13} />{errors || warnings}
    </span>
  );
}

function Exit({ node, port, isLive }: { node: string; port: Port; isLive: boolean }) {
  const ref = `${node}.${port.id}`;
  const isOpen = useEditor((s) => !(ref in s.doc.edges));
  const wasTaken = useEditor((s) => !!s.run.path[ref]);
  const isFaulty = useEditor((s) => !!s.problemsOf[node]?.some((p) => p.port === port.id && p.level === "error"));
  return (
    <li
      data-kind={port.kind} data-open={isOpen || undefined} data-taken={wasTaken || undefined}
      data-faulty={isFaulty || undefined} data-broken={port.broken || undefined} data-optional={port.optional || undefined}
    >
      <span title={port.label}>{port.broken ? t("card.broken_exit", { name: port.label }) : port.label}</span>
      <PortHandle node={node} port={port.id} isSource isLive={isLive} label={port.label} />
      {isOpen && isLive && !port.broken && (
        <button type="button" className="pc-add-after nodrag nopan" data-add-after={ref} tabIndex={-1}
          aria-label={t("card.add_after", { name: port.label })}>
          <Plus size={12} />
        </button>
      )}
    </li>
  );
}
