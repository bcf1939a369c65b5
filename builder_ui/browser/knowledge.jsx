// Bringing files to a knowledge base: the browser sends them to the API itself, so that progress can be shown.
import { useEffect, useRef, useState } from "react";
import { Button, IconButton, Progress } from "@radix-ui/themes";
import { CircleCheck, TriangleAlert, Upload, X } from "lucide-react";
import { tr, useLanguage } from "../i18n/i18n.js";

const ACCEPTED = ".pdf,.docx,.xlsx,.pptx,.html,.htm,.md,.markdown,.csv,.tsv,.txt";
const MOST_BYTES = 25000000;
let numbers = 0;

function send(file, base, { category, article }, onProgress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const query = new URLSearchParams({ name: file.name, category: category || "", article: article || "" });
    request.open("POST", `/api/builder/knowledge/${base}/documents?${query}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (e) => e.lengthComputable && onProgress(Math.round((e.loaded / e.total) * 100));
    request.onerror = () => resolve("offline");
    request.onload = () => {
      if (request.status === 201) return resolve("");
      let problem = {};
      try { problem = JSON.parse(request.responseText); } catch { /* a proxy's own page */ }
      const field = problem.params?.field || problem.field || "";
      const code = problem.code || (request.status === 413 ? "too_large" : "error");
      return resolve(field.startsWith("document") ? `${code}_${field}` : code === "too_large" ? "too_large_document" : code);
    };
    request.send(file);
  });
}

export function DropFiles({ base, category, article, onDone }) {
  const language = useLanguage();
  const [files, setFiles] = useState([]);
  const [over, setOver] = useState(false);
  const chooser = useRef(null);
  const queue = useRef(Promise.resolve());
  const change = (id, values) => setFiles((all) => all.map((f) => (f.id === id ? { ...f, ...values } : f)));
  const take = (list) => {
    const fresh = [...list].map((file) => ({ id: ++numbers, file, name: file.name, percent: 0, state: "waiting", error: "" }));
    if (!fresh.length) return;
    setFiles((all) => [...all.filter((f) => f.state !== "done"), ...fresh]);
    for (const one of fresh) {
      queue.current = queue.current.then(async () => {
        if (one.file.size > MOST_BYTES) return change(one.id, { state: "failed", error: "too_large_document" });
        change(one.id, { state: "sending" });
        const error = await send(one.file, base, { category, article }, (percent) => change(one.id, { percent }));
        change(one.id, error ? { state: "failed", error } : { state: "done", percent: 100 });
        if (!error) onDone?.();
        return undefined;
      });
    }
  };
  return (
    <div>
      <div
        className="ps-drop" data-over={over || undefined}
        onDragOver={(e) => { e.preventDefault(); setOver(true); }}
        onDragLeave={(e) => { if (!e.currentTarget.contains(e.relatedTarget)) setOver(false); }}
        onDrop={(e) => { e.preventDefault(); setOver(false); take(e.dataTransfer.files); }}
      >
        <Upload size={18} aria-hidden="true" />
        <span>{tr(language, "knowledge.drop")}</span>
        <Button type="button" variant="soft" size="2" onClick={() => chooser.current?.click()}>{tr(language, "knowledge.choose_files")}</Button>
        <input ref={chooser} type="file" multiple accept={ACCEPTED} hidden data-testid="knowledge-files"
          onChange={(e) => { take(e.target.files); e.target.value = ""; }} />
        <span className="ps-sub">{tr(language, "knowledge.drop_hint")}</span>
      </div>
      {files.length > 0 && (
        <ul className="ps-uploads" aria-live="polite">
          {files.map((f) => (
            <li key={f.id} data-state={f.state}>
              {f.state === "done" ? <CircleCheck size={15} aria-hidden="true" /> : f.state === "failed" ? <TriangleAlert size={15} aria-hidden="true" /> : <Upload size={15} aria-hidden="true" />}
              <span className="ps-truncate">{f.name}</span>
              {f.state === "failed" ? <span className="ps-upload-error">{tr(language, `error.${f.error}`, { name: f.name, limit: MOST_BYTES, otherwise: tr(language, "error.error") })}</span>
                : f.state === "done" ? <span className="ps-sub">{tr(language, "knowledge.brought")}</span>
                : <Progress value={f.percent} size="1" style={{ width: 120 }} aria-label={f.name} />}
              <IconButton type="button" variant="ghost" color="gray" size="1" aria-label={tr(language, "knowledge.forget_upload", { name: f.name })}
                onClick={() => setFiles((all) => all.filter((o) => o.id !== f.id))}><X size={14} /></IconButton>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function BringFile({ base, label, onKept }) {
  const language = useLanguage();
  const field = useRef(null);
  const [percent, setPercent] = useState(-1);
  const [problem, setProblem] = useState("");
  const take = (event) => {
    const file = event.target.files?.[0];
    event.target.value = "";
    if (!file) return;
    setProblem("");
    setPercent(0);
    const request = new XMLHttpRequest();
    request.open("POST", `/api/builder/knowledge/${base}/imports?${new URLSearchParams({ name: file.name })}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (e) => e.lengthComputable && setPercent(Math.round((e.loaded / e.total) * 100));
    const failed = (text) => { setPercent(-1); setProblem(text || tr(language, "error.error")); };
    request.onerror = () => failed(tr(language, "error.offline"));
    request.onload = () => {
      let said = {};
      try { said = JSON.parse(request.responseText); } catch { /* a proxy's own page */ }
      if (request.status !== 202) return failed(said.detail);
      setPercent(-1);
      return onKept?.(said.id);
    };
    request.send(file);
  };
  return (
    <div>
      <input ref={field} type="file" accept=".csv,.tsv,.txt,.json,.zip" onChange={take} hidden data-testid="knowledge-import" />
      {percent < 0 ? <Button type="button" onClick={() => field.current?.click()}>{label}</Button>
        : <Progress value={percent} aria-label={label} />}
      {problem ? <p role="alert" className="ps-doc-error" style={{ marginTop: 8 }}>{problem}</p> : null}
    </div>
  );
}

export function Ticker({ active, every = 1500, onTick }) {
  const tick = useRef(onTick);
  tick.current = onTick;
  useEffect(() => {
    if (!active) return undefined;
    const timer = setInterval(() => { if (!document.hidden) tick.current?.(); }, every);
    return () => clearInterval(timer);
  }, [active, every]);
  return null;
}
