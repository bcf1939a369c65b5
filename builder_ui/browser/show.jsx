// Small things that pages show and that need no server: moments in the reader's words, code to copy.
import { useEffect, useRef, useState } from "react";
import { Button, IconButton, Tooltip } from "@radix-ui/themes";
import { Check, Copy, Download, ExternalLink, FileText, FileX, LoaderCircle } from "lucide-react";
import { tr, useLanguage } from "../i18n/i18n.js";

const STEPS = [["minute", 60], ["hour", 3600], ["day", 86400], ["month", 2629800], ["year", 31557600]];

/** “3 minutes ago” in the language; seconds are never counted aloud. */
export function ago(language, iso, now) {
  const seconds = (new Date(iso).getTime() - now) / 1000;
  const size = Math.abs(seconds);
  if (size < 45) return tr(language, "time.now");
  const fits = STEPS.filter(([, length]) => size >= length * 0.75).at(-1) || STEPS[0];
  return new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(Math.round(seconds / fits[1]) || -1, fits[0]);
}

/** A moment: kind "ago" (the exact time on hover), "time" (hours and minutes), "date", "month" or "weekday". */
export function When({ iso, kind = "ago", className }) {
  const language = useLanguage();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (kind !== "ago") return undefined;
    const timer = setInterval(() => setNow(Date.now()), 30000);
    return () => clearInterval(timer);
  }, [kind]);
  if (!iso) return null;
  const moment = new Date(iso);
  const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(moment);
  const shown =
    kind === "ago" ? ago(language, iso, now)
    : kind === "time" ? new Intl.DateTimeFormat(language, { timeStyle: "short" }).format(moment)
    : kind === "month" ? new Intl.DateTimeFormat(language, { month: "long", year: "numeric" }).format(moment)
    : kind === "weekday" ? new Intl.DateTimeFormat(language, { weekday: "short" }).format(moment)
    : kind === "date" ? new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(moment)
    : exact;
  return <time dateTime={iso} title={exact} className={className}>{shown}</time>;
}

async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // A page served over plain http on a LAN has no clipboard API.
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  return undefined;
}

export function CopyButton({ text, source, label, compact = false }) {
  const language = useLanguage();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), 1800);
    return () => clearTimeout(timer);
  }, [copied]);
  const onClick = async () => {
    await copyText(source ? document.getElementById(source)?.value || "" : withOrigin(text));
    setCopied(true);
  };
  const words = copied ? tr(language, "common.copied") : label || tr(language, "common.copy");
  const sign = copied ? <Check size={15} aria-hidden /> : <Copy size={15} aria-hidden />;
  if (compact) {
    return (
      <Tooltip content={words}>
        <IconButton type="button" variant="ghost" color="gray" aria-label={words} onClick={onClick}>{sign}</IconButton>
      </Tooltip>
    );
  }
  return <Button type="button" variant="soft" color={copied ? "green" : undefined} onClick={onClick}>{sign}{words}</Button>;
}

/** Texts made on the server name this site as {origin}: only the browser knows the address it was reached by. */
export function withOrigin(text) {
  return (text || "").replaceAll("{origin}", typeof location === "undefined" ? "" : location.origin);
}

export function CodeBlock({ code, label }) {
  return (
    <div className="ps-code">
      <pre tabIndex={0} aria-label={label}><code>{withOrigin(code)}</code></pre>
      <CopyButton text={code} compact />
    </div>
  );
}

export function SiteLink({ path }) {
  return <a className="ps-site-link" href={path} target="_blank" rel="noreferrer">{withOrigin(`{origin}${path}`)}</a>;
}

const REASONS = ["too_large", "input_invalid", "file_harmful"];
const NAMES = { image: "talks.file_image", audio: "talks.file_audio", video: "talks.file_video" };

/** A file of a message: a picture is shown, sound and video are played, everything else is a line to download. */
export function MessageFile({ file }) {
  const language = useLanguage();
  const [broken, setBroken] = useState(false);
  useEffect(() => setBroken(false), [file.url, file.state]);
  const say = (key, params) => tr(language, key, params);
  const name = file.name || say(NAMES[file.media] || "talks.file_document");
  const line = (Sign, under, rest = {}) => {
    const Tag = rest.href ? "a" : "div";
    return (
      <Tag className="ps-bubble ps-file" data-state={file.state} {...rest}>
        <Sign size={18} aria-hidden className={file.state === "coming" ? "ps-turning" : undefined} />
        <span><span className="ps-file-name">{name}</span>{under ? <small>{under}</small> : null}</span>
        {rest.download !== undefined ? <Download size={15} aria-hidden /> : rest.href ? <ExternalLink size={15} aria-hidden /> : null}
      </Tag>
    );
  };
  if (file.state === "coming") return line(LoaderCircle, say("talks.file_coming"));
  if (file.state === "gone") return line(FileX, say("talks.file_gone"));
  if (file.state === "failed") return line(FileX, say(REASONS.includes(file.reason) ? `talks.file_${file.reason}` : "talks.file_failed"));
  if (file.state === "elsewhere") {
    const isAddress = /^https?:\/\//i.test(file.url);
    return line(FileText, isAddress ? new URL(file.url).host : "", isAddress ? { href: file.url, target: "_blank", rel: "noreferrer noopener" } : {});
  }
  if (!broken && file.media === "image") {
    return (
      <a className="ps-file-image" href={file.url} target="_blank" rel="noreferrer" title={say("talks.file_open", { name })}>
        <img src={file.url} alt={name} loading="lazy" onError={() => setBroken(true)} />
      </a>
    );
  }
  if (!broken && (file.media === "audio" || file.media === "video")) {
    const Player = file.media;
    return <Player className="ps-file-player" src={file.url} controls preload="metadata" aria-label={name} onError={() => setBroken(true)} />;
  }
  return line(FileText, bytes(language, file.size), { href: file.url, download: file.name || "", title: say("talks.file_download", { name }) });
}

/** A size in words of the language, “1.2 MB”. */
function bytes(language, size) {
  if (!size) return "";
  const power = Math.min(Math.floor(Math.log(size) / Math.log(1000)), 3);
  const unit = ["byte", "kilobyte", "megabyte", "gigabyte"][power];
  return new Intl.NumberFormat(language, { style: "unit", unit, maximumFractionDigits: power > 1 ? 1 : 0 }).format(size / 1000 ** power);
}

/** A scrolling list that stays at its end while new lines come, unless the reader has scrolled up. */
export function FollowEnd({ mark, label, children }) {
  const box = useRef(null);
  const atEnd = useRef(true);
  useEffect(() => {
    const element = box.current;
    if (element && atEnd.current) element.scrollTop = element.scrollHeight;
  }, [mark]);
  const stay = () => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  };
  const onScroll = (event) => {
    const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
    atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
  };
  return (
    <div ref={box} className="ps-transcript-body" tabIndex={0} role="log" aria-label={label} onScroll={onScroll} onLoadCapture={stay}>
      {children}
    </div>
  );
}

/** Chooses a CSV file and sends it; `on_kept` gets the id under which it is kept. */
export function CsvChoice({ label, onKept }) {
  const language = useLanguage();
  const field = useRef(null);
  const [state, setState] = useState("");
  const send = async (event) => {
    const file = event.target.files?.[0];
    if (!file) return;
    setState("busy");
    const body = new FormData();
    body.append("file", file);
    try {
      const answer = await fetch("/api/builder/contacts/files", { method: "POST", body });
      const said = await answer.json();
      if (!answer.ok) throw new Error(said?.detail || "");
      setState("");
      onKept?.(said.id);
    } catch (error) {
      setState(error.message || tr(language, "error.error"));
    }
    event.target.value = "";
  };
  return (
    <div>
      <input ref={field} type="file" accept=".csv,.tsv,.txt,text/csv" onChange={send} hidden data-testid="csv-file" />
      <Button type="button" loading={state === "busy"} onClick={() => field.current?.click()}>{label}</Button>
      {state && state !== "busy" ? <p role="alert" className="ps-hint" style={{ color: "var(--red-11)" }}>{state}</p> : null}
    </div>
  );
}
