// The operator's side in the browser: how many wait, the box to answer in, keys, and waiting time that runs.
import "./inbox.css";
import { useEffect, useRef, useState } from "react";
import { Button } from "@radix-ui/themes";
import { Paperclip, Send, X } from "lucide-react";
import { tr, useLanguage } from "../i18n/i18n.js";

const RETRY_MS = [1000, 3000, 10000, 30000];

function beep() {
  try {
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const gain = audio.createGain();
    tone.frequency.value = 660;
    gain.gain.setValueAtTime(0.06, audio.currentTime);
    gain.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.35);
    tone.connect(gain).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.35);
    tone.onended = () => audio.close();
  } catch {
    // A browser that nobody has clicked in yet makes no sound.
  }
}

function withCount(count) {
  const bare = document.title.replace(/^\(\d+\) /, "");
  const wanted = count ? `(${count}) ${bare}` : bare;
  if (document.title !== wanted) document.title = wanted;
}

export function InboxBadge() {
  const language = useLanguage();
  const [count, setCount] = useState(0);
  useEffect(() => {
    let socket = null;
    let timer = 0;
    let failures = 0;
    let newest = null;
    let isOver = false;
    const connect = () => {
      socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/inbox`);
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.t !== "waiting") return;
        failures = 0;
        if (newest !== null && frame.newest > newest && frame.sound) beep();
        newest = frame.newest > (newest ?? "") ? frame.newest : newest ?? "";
        setCount(frame.count);
      };
      socket.onclose = ({ code }) => {
        if (isOver || code === 4401 || code === 4403) return;
        timer = setTimeout(connect, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
      };
    };
    connect();
    return () => {
      isOver = true;
      clearTimeout(timer);
      socket.close();
    };
  }, []);
  useEffect(() => {
    withCount(count);
    const title = document.querySelector("title");
    if (!title) return undefined;
    const watch = new MutationObserver(() => withCount(count));
    watch.observe(title, { childList: true });
    return () => watch.disconnect();
  }, [count]);
  if (!count) return null;
  return <span className="ps-badge ps-num" aria-label={tr(language, "inbox.waiting_n", { n: count })}>{count > 99 ? "99+" : count}</span>;
}

const draftOf = (talk) => `patchcord.draft.${talk}`;

function readDraft(talk) {
  try {
    return { text: "", id: "", files: [], ...JSON.parse(localStorage.getItem(draftOf(talk))) };
  } catch {
    return { text: "", id: "", files: [] };
  }
}

function keepDraft(talk, draft) {
  try {
    if (draft.text || draft.files?.length) localStorage.setItem(draftOf(talk), JSON.stringify(draft));
    else localStorage.removeItem(draftOf(talk));
  } catch {
    // Storage may be forbidden; the draft then lives as long as the page.
  }
}

export function ReplyBox({ talk, sent, replies = [], language: spoken, onSend }) {
  const language = useLanguage();
  const [draft, setDraft] = useState({ text: "", id: "", files: [] });
  const [uploads, setUploads] = useState(0);
  const [wrong, setWrong] = useState("");
  const [chosen, setChosen] = useState(0);
  const [isSending, setIsSending] = useState(false);
  const box = useRef(null);
  useEffect(() => {
    setDraft(readDraft(talk));
    setIsSending(false);
    setWrong("");
    box.current?.focus({ preventScroll: true });
  }, [talk]);
  useEffect(() => {
    if (!sent || sent !== draft.id) return;
    keepDraft(talk, { text: "" });
    setDraft({ text: "", id: "", files: [] });
    setIsSending(false);
  }, [sent]);
  useEffect(() => {
    if (!isSending) return undefined;
    const timer = setTimeout(() => setIsSending(false), 8000);
    return () => clearTimeout(timer);
  }, [isSending]);
  const keep = (part) => {
    // A message that is changed is another one; the same sent again is the same one.
    setDraft((before) => {
      const merged = { ...before, ...(typeof part === "function" ? part(before) : part) };
      const isEmpty = !merged.text && !merged.files.length;
      const next = { ...merged, id: isEmpty ? "" : crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` };
      keepDraft(talk, next);
      return next;
    });
    setIsSending(false);
  };
  const change = (text) => {
    keep({ text });
    setChosen(0);
  };
  const attach = async (chosenFiles) => {
    setWrong("");
    for (const file of [...chosenFiles].slice(0, 10)) {
      setUploads((n) => n + 1);
      try {
        const answer = await fetch(`/api/builder/conversations/${talk}/files`, { method: "POST", body: file });
        if (answer.ok) {
          const stored = await answer.json();
          keep((before) => ({ files: [...before.files, { id: stored.file_id, name: file.name || stored.name }] }));
        } else setWrong(answer.status === 413 ? "inbox.file_large" : "inbox.file_kind");
      } catch {
        setWrong("inbox.file_failed");
      }
      setUploads((n) => n - 1);
    }
  };
  const asked = /(?:^|\s)\/([\p{L}\p{N}_-]*)$/u.exec(draft.text);
  const offered = asked ? replies.filter((r) => r.shortcut.toLowerCase().startsWith(asked[1].toLowerCase())).slice(0, 7) : [];
  const textOf = (reply) => reply.texts[spoken] || reply.texts.en || Object.values(reply.texts)[0] || "";
  const insert = (reply) => {
    const head = draft.text.slice(0, draft.text.length - asked[1].length - 1);
    change(head + textOf(reply));
    box.current?.focus();
  };
  const send = () => {
    if ((!draft.text.trim() && !draft.files.length) || isSending || uploads) return;
    setIsSending(true);
    onSend(talk, draft.text, draft.id, draft.files.map((f) => f.id).join(" "));
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      send();
    } else if (offered.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      setChosen((chosen + (event.key === "ArrowDown" ? 1 : offered.length - 1)) % offered.length);
    } else if (offered.length && (event.key === "Enter" || event.key === "Tab")) {
      event.preventDefault();
      insert(offered[Math.min(chosen, offered.length - 1)]);
    }
  };
  return (
    <div className="ps-reply">
      {offered.length ? (
        <div className="ps-ready" role="listbox" id="ready-replies" aria-label={tr(language, "inbox.ready")}>
          {offered.map((reply, n) => (
            <button key={reply.id} type="button" role="option" aria-selected={n === chosen} tabIndex={-1} onClick={() => insert(reply)}>
              <b>/{reply.shortcut}</b> <span>{textOf(reply)}</span>
            </button>
          ))}
        </div>
      ) : null}
      <textarea
        ref={box} rows={3} maxLength={8000} value={draft.text} placeholder={tr(language, "inbox.write")}
        aria-label={tr(language, "inbox.write")} onChange={(e) => change(e.target.value)} onKeyDown={onKeyDown} data-testid="reply"
      />
      {draft.files.length || uploads || wrong ? (
        <ul className="ps-attached" aria-live="polite">
          {draft.files.map((file) => (
            <li key={file.id}>
              <span className="ps-truncate">{file.name}</span>
              <button type="button" aria-label={tr(language, "inbox.detach", { name: file.name })} onClick={() => keep((before) => ({ files: before.files.filter((f) => f.id !== file.id) }))}><X size={13} aria-hidden /></button>
            </li>
          ))}
          {uploads ? <li>{tr(language, "inbox.attaching")}</li> : null}
          {wrong ? <li className="ps-wrong" role="alert">{tr(language, wrong)}</li> : null}
        </ul>
      ) : null}
      <div className="ps-reply-foot">
        <label className="ps-attach" title={tr(language, "inbox.attach")}>
          <Paperclip size={16} aria-hidden />
          <input type="file" multiple aria-label={tr(language, "inbox.attach")} data-testid="attach" onChange={(e) => { attach(e.target.files); e.target.value = ""; }} />
        </label>
        <span className="ps-hint">{tr(language, "inbox.write_hint")}</span>
        <Button type="button" onClick={send} disabled={(!draft.text.trim() && !draft.files.length) || uploads > 0} loading={isSending} data-testid="send">
          <Send size={15} aria-hidden />{tr(language, "inbox.send")}
        </Button>
      </div>
    </div>
  );
}

export function ListKeys({ listId }) {
  useEffect(() => {
    const onKey = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest?.("input, textarea, select, [role=dialog], [contenteditable=true]")) return;
      if (event.key === "r") {
        const box = document.querySelector(".ps-reply textarea");
        const other = document.querySelector('[data-reply="true"]');
        if (!box && !other) return;
        event.preventDefault();
        if (box) box.focus();
        else other.click();
        return;
      }
      if (event.key !== "j" && event.key !== "k") return;
      const rows = [...(document.getElementById(listId)?.querySelectorAll("button.ps-talk, .ps-row a.ps-cover") ?? [])];
      if (!rows.length) return;
      const now = rows.indexOf(document.activeElement);
      const chosen = now >= 0 ? now : rows.findIndex((row) => row.getAttribute("aria-current") === "true");
      const next = Math.min(Math.max(chosen + (event.key === "j" ? 1 : -1), 0), rows.length - 1);
      event.preventDefault();
      rows[next].focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [listId]);
  return null;
}

export function Waited({ since, isLate }) {
  const language = useLanguage();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10000);
    return () => clearInterval(timer);
  }, []);
  if (!since) return null;
  const minutes = Math.max(0, Math.floor((now - new Date(since).getTime()) / 60000));
  const words = minutes < 60 ? tr(language, "inbox.minutes", { n: minutes }) : tr(language, "inbox.hours", { n: Math.floor(minutes / 60) });
  return <span className="ps-waited ps-num" data-late={isLate}>{words}</span>;
}
