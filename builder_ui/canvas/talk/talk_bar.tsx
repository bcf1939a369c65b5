// The telephone above a test conversation: how to talk, what the line is doing, what is wrong and what helps.
import "../styles/panels_voice.css";
import { AudioLines, Ear, Grid3x3, Keyboard, LoaderCircle, Mic, MicOff, Phone, PhoneOff, PhoneOutgoing, TriangleAlert } from "lucide-react";
import { useState, type ReactNode } from "react";
import { t, type TextKey } from "../core/i18n";
import { useEditor } from "../core/store";
import { IconButton } from "../screen/parts";
import { beginVoice, hangUp, leaveVoice, mute, press, useVoice, type Mode } from "./voice";

const SPEAKS = 0.02;
const KEYS = [..."123456789*0#"];

export function TalkBar() {
  const { mode, phase, problem } = useVoice();
  if (!mode) return <Offer />;
  if (problem) return <Trouble />;
  return phase === "over" ? <Over mode={mode} /> : <Live />;
}

/** A call begins as text; two ways lead to sound. */
function Offer() {
  return (
    <div className="pv-bar" role="group" aria-label={t("voice.bar")} data-testid="test-call-hint">
      <p><Phone size={15} aria-hidden="true" /><span>{t("test.call_hint")}</span></p>
      <div className="pv-ways">
        <button type="button" className="pp-button" data-tone="primary" title={t("voice.talk_hint")} onClick={() => void beginVoice("microphone")} data-testid="voice-talk"><Mic size={14} aria-hidden="true" />{t("voice.talk")}</button>
        <button type="button" className="pp-button" title={t("voice.type_hint")} onClick={() => void beginVoice("typing")} data-testid="voice-type"><Keyboard size={14} aria-hidden="true" />{t("voice.type")}</button>
      </div>
    </div>
  );
}

function Live() {
  const { mode, phase, isMuted, optionsOnly, reason, earMs } = useVoice();
  const [hasKeys, setKeys] = useState(false);
  const isOn = phase === "live" || phase === "rings";
  return (
    <div className="pv-bar" role="group" aria-label={t("voice.bar")} data-phase={phase} data-testid="voice-bar">
      <div className="pv-line">
        <Now />
        <span className="pv-acts">
          {mode === "microphone" && <IconButton label={t(isMuted ? "voice.unmute" : "voice.mute")} pressed={isMuted} disabled={!isOn} testId="voice-mute" onClick={() => mute(!isMuted)}>{isMuted ? <MicOff size={16} /> : <Mic size={16} />}</IconButton>}
          <IconButton label={t("voice.keys")} pressed={hasKeys} disabled={!isOn} testId="voice-keys" onClick={() => setKeys(!hasKeys)}><Grid3x3 size={16} /></IconButton>
          <IconButton label={t("voice.hang_up")} tone="danger" testId="voice-hang-up" onClick={hangUp}><PhoneOff size={16} /></IconButton>
        </span>
      </div>
      {mode === "microphone" && isOn && <Meter />}
      {hasKeys && isOn && <div className="pv-keys" role="group" aria-label={t("voice.keys")}>{KEYS.map((key) => <button key={key} type="button" onClick={() => press(key)}>{key}</button>)}</div>}
      {optionsOnly && <p className="pv-small">{t("voice.options_only")}</p>}
      {reason && <p className="pv-small" role="alert" data-tone="warning">{reason}</p>}
      {isOn && earMs > 0 && <p className="pv-small pv-num">{t("voice.delay", { ms: Math.round(earMs) })}</p>}
    </div>
  );
}

/** One thing at a time: who speaks, or what is waited for. */
function Now() {
  const mode = useVoice((s) => s.mode);
  const phase = useVoice((s) => s.phase);
  const saying = useVoice((s) => s.saying);
  const isMuted = useVoice((s) => s.isMuted);
  const agent = useVoice((s) => s.agent > SPEAKS);
  const you = useVoice((s) => s.microphone > SPEAKS);
  let [sign, text, kind]: [ReactNode, string, string] = [<Ear size={16} aria-hidden="true" />, t("voice.listens"), "listens"];
  if (phase === "opening") [sign, text, kind] = [<LoaderCircle size={16} className="pp-spin" aria-hidden="true" />, t(mode === "typing" ? "voice.opening_typing" : "voice.opening"), "waits"];
  else if (phase === "connecting") [sign, text, kind] = [<LoaderCircle size={16} className="pp-spin" aria-hidden="true" />, t("voice.connecting"), "waits"];
  else if (phase === "rings") [sign, text, kind] = [<PhoneOutgoing size={16} aria-hidden="true" />, t("voice.rings"), "rings"];
  else if (agent) [sign, text, kind] = [<AudioLines size={16} aria-hidden="true" />, t("voice.agent_speaks"), "agent"];
  else if (saying) [sign, text, kind] = [<Keyboard size={16} aria-hidden="true" />, t("voice.saying", { text: saying }), "you"];
  else if (isMuted) [sign, text, kind] = [<MicOff size={16} aria-hidden="true" />, t("voice.muted"), "muted"];
  else if (you) [sign, text, kind] = [<Mic size={16} aria-hidden="true" />, t("voice.you_speak"), "you"];
  return <p className="pv-now" data-kind={kind} data-testid="voice-now">{sign}<span>{text}</span></p>;
}

function Meter() {
  const level = useVoice((s) => (s.isMuted ? 0 : s.microphone));
  // Loudness is heard by its logarithm: -50 dB is nothing, 0 dB is full.
  const percent = Math.max(0, Math.min(100, level > 0 ? 100 + 40 * Math.log10(level) : 0));
  return <div className="pv-meter" role="meter" aria-label={t("voice.level")} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(percent)}><i style={{ transform: `scaleX(${percent / 100})` }} /></div>;
}

function Over({ mode }: { mode: Mode }) {
  return (
    <div className="pv-bar" role="group" aria-label={t("voice.bar")} data-testid="voice-over">
      <p><PhoneOff size={15} aria-hidden="true" /><span>{t("voice.over")}</span></p>
      <div className="pv-ways">
        <button type="button" className="pp-button" data-tone="primary" onClick={() => void beginVoice(mode)} data-testid="voice-again"><Phone size={14} aria-hidden="true" />{t("voice.again")}</button>
        <button type="button" className="pp-button" onClick={leaveVoice}>{t("voice.as_text")}</button>
      </div>
    </div>
  );
}

function Trouble() {
  const { mode, problem, reason } = useVoice();
  const agent = useEditor((s) => s.agent.id);
  const ofMicrophone = ["refused", "no_microphone", "microphone_busy"].includes(problem);
  return (
    <div className="pv-bar pv-trouble" role="alert" data-problem={problem} data-testid="voice-problem">
      <p><TriangleAlert size={16} aria-hidden="true" /><strong>{t(`voice.${problem}` as TextKey)}</strong></p>
      <p className="pv-small">{(problem === "failed" && reason) || t(`voice.${problem}_do` as TextKey)}</p>
      <div className="pv-ways">
        {problem !== "insecure" && problem !== "unsupported" && <button type="button" className="pp-button" data-tone="primary" onClick={() => void beginVoice(mode || "microphone")}>{t("test.try_again")}</button>}
        {ofMicrophone && <button type="button" className="pp-button" onClick={() => void beginVoice("typing")} data-testid="voice-type-instead"><Keyboard size={14} aria-hidden="true" />{t("voice.type")}</button>}
        {problem === "no_speech" && <a className="pp-button" href={`/agents/${agent}?tab=phone`}>{t("voice.to_phone")}</a>}
        <button type="button" className="pp-button" onClick={leaveVoice}>{t("voice.as_text")}</button>
      </div>
    </div>
  );
}
