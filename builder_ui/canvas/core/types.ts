// Shapes that cross the wire: the flow document, edits, problems, the catalog. Mirrors graph_runtime/contract.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Lang = "en" | "ru" | "uk";
export type Point = [number, number];

export type FlowNode = {
  type: string;
  v: number;
  name: string;
  note: string;
  enabled: boolean;
  settings: Record<string, any>;
};
export type Variable = { type: string; label: string; scope: string; default?: any; secret?: boolean };
export type Pace = { gather_ms: number; while_busy: "queue" | "interrupt" };
export type Slot = { kind: string; label: string };
export type Flow = {
  format: string;
  id: string;
  name: string;
  locale: string;
  entry: Record<string, string>;
  connections: Record<string, Slot>;
  variables: Record<string, Variable>;
  nodes: Record<string, FlowNode>;
  edges: Record<string, string>;
  i18n: Record<string, Record<string, string>>;
  pace: Pace;
  layout: { nodes: Record<string, Point>; notes: Record<string, any>; groups: Record<string, any> };
};

export type Edit =
  | { kind: "add_node"; id: string; node: FlowNode; at: Point }
  | { kind: "remove_node"; id: string }
  | { kind: "move_node"; id: string; at: Point }
  | { kind: "change_settings"; id: string; set?: Record<string, any>; remove?: string[] }
  | { kind: "change_node"; id: string; name?: string | null; note?: string | null; enabled?: boolean | null }
  | { kind: "connect"; port: string; target: string }
  | { kind: "disconnect"; port: string }
  | { kind: "set_start"; trigger: string; node: string | null }
  | { kind: "set_variable"; id: string; variable: Variable | null }
  | { kind: "set_connection"; id: string; connection: Slot | null }
  | { kind: "set_text"; language: string; key: string; text: string | null }
  | { kind: "rename_flow"; name?: string | null; locale?: string | null }
  | { kind: "set_pace"; pace: Pace };

export type PortKind = "normal" | "error" | "no_reply";
export type Port = { id: string; label: string; kind: PortKind; optional: boolean; broken?: boolean };

export type Words = Record<Lang, string>;
export type Problem = {
  code: string;
  level: "error" | "warning" | "info";
  node_id: string;
  field: string;
  port: string;
  message: Words;
  params: Record<string, any>;
  fix: { label: Words; edits: Edit[] } | null;
};

export type FormField = {
  key: string;
  label: string;
  widget: string;
  help: string;
  placeholder: string;
  required: boolean;
  advanced: boolean;
  default: any;
  options: [any, string][];
  show_when: Record<string, any[]>;
  of: string;
  on_ports: string[];
  outside: boolean;
  minimum: number | null;
  maximum: number | null;
  max_length: number | null;
  fields: FormField[];
};
export type StepType = {
  type: string;
  version: number;
  category: string;
  label: string;
  summary: string;
  ports: Port[];
  form: FormField[];
  effect: string;
  latency: string;
  waits: "" | "reply" | "time";
  ends: boolean;
  entry: boolean;
  story: string[];
  icon: string;
  help: string;
  outputs: Record<string, string>;
  subflow?: string;
};
export type Category = { id: string; label: string; tint: string };
export type Catalog = { node_types: StepType[]; categories: Category[]; connectors: any[]; languages: any[] };

export type FlowRow = { id: string; name: string; kind: "main" | "sub"; exits: { id: string; label: string }[] };
export type KnowledgeBase = { id: string; name: string };
export type Agent = { id: string; name: string; is_on: boolean; public_id: string };
export type Me = { name: string; language: Lang };

/** The answer of GET /api/builder/flows/{flow_id}. */
export type OpenFlow = {
  flow: Flow;
  revision: number;
  agent: Agent;
  flows: FlowRow[];
  queues?: { id: string; name: string }[];
  live_version: number | null;
  changed_since_publish: boolean;
  problems: Problem[];
  ports?: Record<string, Port[]>;
  connections: Record<string, { bound: boolean; label: string }>;
  me: Me;
  models: any[];
  knowledge?: KnowledgeBase[];
  keys?: Key[];
  begun_by?: Beginning[];
};

/** A trigger that starts the flow; `path` is its page. */
export type Beginning = { id: string; name: string; kind: string; is_on: boolean; path: string };

/** A credential that steps may be bound to: a key of a web service, or a customer system. */
export type Key = { id: string; label: string; connector: string; kinds: string[]; access: string };

/** One event of a running test conversation. */
export type LiveEvent = { type: string; [key: string]: any };
export type StepState = "running" | "waiting" | "done" | "failed";
