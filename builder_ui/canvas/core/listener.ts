// What the protocol tells the store.
import type { Edit, Flow, LiveEvent, OpenFlow, Port, Problem } from "./types";

export type Clash = { path: string; mine: Edit; theirs: Flow };
export type Link = "connecting" | "online" | "offline";

/** What the store gives to be told. */
export type Listener = {
  document(flow: Flow): void;
  remote(paths: string[], by: string): void;
  problems(items: Problem[]): void;
  ports(nodes: Record<string, Port[]>): void;
  progress(state: { link: Link; pending: number; savedAt: number | null; revision: number }): void;
  clash(clashes: Clash[]): void;
  refused(code: string, message: string): void;
  live(event: LiveEvent): void;
  test(conversationId: string): void;
  editors(names: string[]): void;
  reloaded(open: OpenFlow): void;
};
