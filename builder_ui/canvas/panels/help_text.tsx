// Help as it stands in help.md: headings, lists, bold, code and links become elements; nothing is ever taken as HTML.
import type { ReactNode } from "react";

const INLINE = /(\*\*[^*]+\*\*|`[^`]+`|\*[^*\s][^*]*\*|\[[^\]]+\]\([^)\s]+\))/g;
const isSafe = (url: string) => /^(https?:\/\/|\/(?!\/)|#)/i.test(url);

export function inline(text: string): ReactNode[] {
  return text.split(INLINE).map((part, i) => {
    if (part.startsWith("**") && part.endsWith("**") && part.length > 4) return <b key={i}>{part.slice(2, -2)}</b>;
    if (part.startsWith("`") && part.endsWith("`") && part.length > 2) return <code key={i}>{part.slice(1, -1)}</code>;
    const link = /^\[([^\]]+)\]\(([^)\s]+)\)$/.exec(part);
    if (link) return isSafe(link[2]) ? <a key={i} href={link[2]} target="_blank" rel="noreferrer">{link[1]}</a> : link[1];
    if (/^\*[^*]+\*$/.test(part)) return <em key={i}>{part.slice(1, -1)}</em>;
    return part;
  });
}

type Block = { kind: "h" | "p" | "ul" | "ol"; lines: string[] };

function blocks(text: string): Block[] {
  const found: Block[] = [];
  for (const line of text.split("\n")) {
    const last = found[found.length - 1];
    const item = /^\s*(?:[-*]|(\d+)\.)\s+(.*)$/.exec(line);
    if (!line.trim()) found.push({ kind: "p", lines: [] });
    else if (/^#{1,6}\s/.test(line)) found.push({ kind: "h", lines: [line.replace(/^#+\s*/, "")] });
    else if (item) {
      const kind = item[1] ? "ol" : "ul";
      if (last?.kind === kind) last.lines.push(item[2]);
      else found.push({ kind, lines: [item[2]] });
    } else if ((last?.kind === "ul" || last?.kind === "ol") && /^\s+/.test(line)) last.lines[last.lines.length - 1] += ` ${line.trim()}`;
    else if (last?.kind === "p" && last.lines.length) last.lines.push(line);
    else found.push({ kind: "p", lines: [line] });
  }
  return found.filter((b) => b.lines.length);
}

/** `skipTitle`: the first heading repeats what stands above already. */
export function HelpText({ text, skipTitle = false }: { text: string; skipTitle?: boolean }) {
  const all = blocks(text);
  const shown = skipTitle && all[0]?.kind === "h" ? all.slice(1) : all;
  return (
    <div className="pp-help-text">
      {shown.map((b, i) => {
        if (b.kind === "h") return <h4 key={i}>{inline(b.lines[0])}</h4>;
        if (b.kind === "p") return <p key={i}>{inline(b.lines.join(" "))}</p>;
        const rows = b.lines.map((line, j) => <li key={j}>{inline(line)}</li>);
        return b.kind === "ul" ? <ul key={i}>{rows}</ul> : <ol key={i}>{rows}</ol>;
      })}
    </div>
  );
}
