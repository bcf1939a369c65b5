// The conversation itself: bubbles, buttons, the field to write in, and a banner that says who answers.
import { ArrowUp, Bot, Cpu, FileText, TriangleAlert } from "lucide-react";
import { useEffect, useMemo, useRef } from "react";
import { StepIcon } from "../board/step_icon";
import { stepName, tintOf } from "../core/hooks";
import { t } from "../core/i18n";
import { useEditor } from "../core/store";
import { IconButton } from "../screen/parts";
import type { Binding } from "./connection_field";
import { inline } from "./help_text";
import { showStep } from "./panel_state";
import { TalkBar } from "../talk/talk_bar";
import { beginVoice, useVoice } from "../talk/voice";
import { Waterfall } from "../talk/waterfall";
import { letHappen, playPerson, say, setDraft, skipReply, startTalk, useTalk, type Bubble } from "./talk";

/** What stands behind the answers, and that no real person is reached. */
export function Answering() {
  const slots = useEditor((s) => s.doc.connections);
  const connections = useEditor((s) => s.connections) as Record<string, Binding>;
  const names = useMemo(() => {
    const models = Object.entries(slots).filter(([, slot]) => slot.kind === "chat_model").map(([id]) => connections[id]);
    const real = models.filter((b) => b?.bound && b.connector !== "demo").map((b) => b!.model || b!.label);
    return { real: [...new Set(real)], demo: models.length - real.length };
  }, [slots, connections]);
  const isReal = names.real.length > 0;
  const text = isReal ? (names.demo ? t("test.answers_both", { names: names.real.join(", ") }) : t("test.answers_real", { names: names.real.join(", ") })) : names.demo ? t("test.answers_demo") : t("test.answers_none");
  return <p className="pp-answering" data-real={isReal || undefined} data-testid="test-banner">{isReal ? <Cpu size={15} aria-hidden="true" /> : <Bot size={15} aria-hidden="true" />}<span>{text}</span></p>;
}

/** Begin anew, with sound where there was sound. */
export function restart(): void {
  const { mode } = useVoice.getState();
  void (mode ? beginVoice(mode) : startTalk());
}

export function Conversation() {
  const { bubbles, isTyping, phase, failure, waits, canSkip, isCall, isTalk } = useTalk();
  const scroll = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const last = bubbles[bubbles.length - 1];
  useEffect(() => {
    const box = scroll.current;
    if (box && isAtEnd.current) box.scrollTop = box.scrollHeight;
  }, [bubbles, isTyping, phase]);
  const open = bubbles.findLastIndex((b) => b.role === "agent" && b.options.length > 0);
  const isOpen = open >= 0 && bubbles.slice(open + 1).every((b) => b.role === "agent") && phase === "talking";
  return (
    <>
      <Outdated />
      {isCall && <TalkBar />}
      <div ref={scroll} className="pp-talk" role="log" aria-live="polite" aria-label={t("test.tab_talk")} tabIndex={0} data-testid="test-log"
        onScroll={(e) => { isAtEnd.current = e.currentTarget.scrollHeight - e.currentTarget.scrollTop - e.currentTarget.clientHeight < 60; }}>
        {bubbles.map((b, i) => <BubbleView key={b.key} bubble={b} isFirst={bubbles[i - 1]?.role !== b.role || bubbles[i - 1]?.node !== b.node} isLast={bubbles[i + 1]?.role !== b.role || bubbles[i + 1]?.node !== b.node} canChoose={isOpen && i === open} />)}
        {(isTyping || phase === "starting") && last?.state !== "streaming" && <div className="pp-typing" role="status" aria-label={phase === "starting" ? t("test.starting") : t("test.typing")}><i /><i /><i /></div>}
        {!bubbles.length && phase === "talking" && !isTyping && <p className="pp-empty">{t("test.silent")}</p>}
        {phase === "failed" && !isTalk && (
          <div className="pp-failure" role="alert">
            <TriangleAlert size={18} aria-hidden="true" /><p>{failure}</p>
            <button type="button" className="pp-button" data-tone="primary" onClick={() => void startTalk()}>{t("test.try_again")}</button>
          </div>
        )}
        {phase === "ended" && !isTalk && <div className="pp-after"><button type="button" className="pp-button" onClick={restart}>{t("test.restart")}</button></div>}
      </div>
      <Composer waits={waits} canSkip={canSkip} failure={phase === "failed" ? "" : failure} isOver={phase === "ended"} isStarting={phase === "starting"} />
    </>
  );
}

/** The draft was changed after the conversation began. */
function Outdated() {
  const revision = useEditor((s) => s.revision);
  const pending = useEditor((s) => s.pending);
  const { revision: ours, phase } = useTalk();
  if (!ours || (phase !== "talking" && phase !== "ended") || (revision <= ours && !pending)) return null;
  return <div className="pp-outdated" role="status"><span>{t("test.outdated")}</span><button type="button" className="pp-fix" onClick={() => void startTalk()}>{t("test.restart")}</button></div>;
}

function BubbleView({ bubble, isFirst, isLast, canChoose }: { bubble: Bubble; isFirst: boolean; isLast: boolean; canChoose: boolean }) {
  const isSelected = useEditor((s) => !!bubble.node && s.selection.length === 1 && s.selection[0] === bubble.node);
  if (bubble.role === "system")
    return <div className="pp-event" data-tone={bubble.tone} role={bubble.tone ? "alert" : undefined}><span>{bubble.text}</span>{bubble.node && <StepLink node={bubble.node} />}</div>;
  return (
    <div className="pp-said" data-role={bubble.role} data-first={isFirst || undefined} data-selected={isSelected || undefined} data-testid={`bubble-${bubble.role}`}>
      {bubble.text && <p className="pp-bubble" data-state={bubble.state || undefined} onDoubleClick={() => bubble.node && showStep(bubble.node)}>{bubble.text.split("\n").map((line, i) => <span key={i}>{i > 0 && <br />}{inline(line)}</span>)}</p>}
      {bubble.media.map((m, i) => m.media === "image" && /^(https:|\/)/.test(m.url)
        ? <img key={i} className="pp-media" src={m.url} alt={m.name} loading="lazy" referrerPolicy="no-referrer" />
        : <span key={i} className="pp-file"><FileText size={14} aria-hidden="true" />{m.name || m.url}</span>)}
      {bubble.role === "agent" && bubble.options.length > 0 && (
        <div className="pp-options" role="group" aria-label={t("test.options")}>
          {bubble.options.map((o) => <button key={o.id} type="button" disabled={!canChoose} onClick={(e) => { if (say(o.label, o.id)) e.currentTarget.closest(".pp-test")?.querySelector("textarea")?.focus(); }}>{o.label}</button>)}
        </div>
      )}
      {bubble.state === "lost" && <button type="button" className="pp-fix" data-tone="danger" onClick={() => say(bubble.text, bubble.options[0]?.id, bubble.key)}>{t("test.send_again")}</button>}
      {bubble.heard !== undefined && <span className="pv-cut">{t("voice.cut")}</span>}
      {bubble.times && <Waterfall times={bubble.times} />}
      {isLast && bubble.node && <StepLink node={bubble.node} />}
    </div>
  );
}

export function StepLink({ node }: { node: string }) {
  const name = useEditor((s) => stepName(s, node));
  const tint = useEditor((s) => tintOf(s, s.doc.nodes[node]?.type));
  const icon = useEditor((s) => s.types[s.doc.nodes[node]?.type]?.icon);
  if (!name) return null;
  return <button type="button" className="pp-step-link" data-tint={tint} title={t("test.show_step")} onClick={() => showStep(node)}><StepIcon svg={icon} size={12} />{name}</button>;
}

/** Where the flow asks for a person, the tester plays that person too. */
function Person() {
  const person = useTalk((s) => s.person);
  const hasDraft = useTalk((s) => !!s.draft.trim());
  if (!person) return null;
  return (
    <div className="pp-person" role="status" data-testid="test-person">
      <p>{t(person === "waiting" ? "test.person_waits" : "test.person_has")}</p>
      {person === "waiting"
        ? <button type="button" className="pp-button" onClick={() => playPerson("accept")} data-testid="test-accept">{t("test.person_accept")}</button>
        : <>
            <button type="button" className="pp-button" disabled={!hasDraft} onClick={() => playPerson("reply")} data-testid="test-reply">{t("test.person_reply")}</button>
            <button type="button" className="pp-button" onClick={() => playPerson("return")} data-testid="test-return">{t("test.person_return")}</button>
          </>}
    </div>
  );
}

function Composer({ waits, canSkip, failure, isOver, isStarting }: { waits: string; canSkip: boolean; failure: string; isOver: boolean; isStarting: boolean }) {
  const draft = useTalk((s) => s.draft);
  const person = useTalk((s) => s.person);
  const isTalk = useTalk((s) => s.isTalk);
  const isDeaf = useVoice((s) => isTalk && (s.phase !== "live" || !s.canType));
  const hint = isOver ? t("test.over_hint") : t(isTalk ? "voice.say" : "test.say");
  const isCall = useTalk((s) => s.isCall);
  const awaits = useTalk((s) => s.awaits);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (!isStarting) field.current?.focus({ preventScroll: true });
  }, [isStarting]);
  useEffect(() => {
    const area = field.current!;
    area.style.height = "auto";
    area.style.height = `${Math.min(140, area.scrollHeight)}px`;
  }, [draft]);
  const send = () => {
    if (isOver || isDeaf) return;
    if (say(draft)) setDraft("");
  };
  return (
    <form className="pp-composer" onSubmit={(e) => { e.preventDefault(); send(); }}>
      {failure && <p className="pp-note" data-level="warning" role="alert"><span>{failure}</span></p>}
      <Person />
      {waits === "reply" && canSkip && !isTalk && person !== "accepted" && <button type="button" className="pp-skip" title={t("test.skip_hint")} onClick={skipReply} data-testid="test-skip">{t("test.skip")}</button>}
      {waits === "time" && <p className="pp-empty">{t("test.waits_time")}</p>}
      {waits === "time" && canSkip && !isCall && <button type="button" className="pp-skip" title={t("test.skip_time_hint")} onClick={skipReply} data-testid="test-skip-time">{t("test.skip_time")}</button>}
      {waits === "time" && awaits && !isCall && <button type="button" className="pp-skip" title={t("test.let_happen_hint")} onClick={letHappen} data-testid="test-let-happen">{t("test.let_happen")}</button>}
      <div>
        <textarea ref={field} rows={1} value={draft} placeholder={hint} aria-label={t(isTalk ? "voice.say" : "test.say")} maxLength={60_000} data-testid="test-say" onChange={(e) => setDraft(e.target.value)}
          onKeyDown={(e) => {
            if (e.key !== "Enter" || e.shiftKey || e.ctrlKey || e.metaKey || e.nativeEvent.isComposing) return;
            e.preventDefault();
            send();
          }} />
        <IconButton label={t("test.send")} tone="accent" disabled={!draft.trim() || isOver || isStarting || isDeaf} onClick={send} testId="test-send"><ArrowUp size={16} /></IconButton>
      </div>
    </form>
  );
}
