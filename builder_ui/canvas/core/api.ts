// Calls to the builder's HTTP interface; every failure becomes an ApiError with a stable code and a sentence.
import type { Catalog, Edit, OpenFlow, Problem } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly body: any = {},
  ) {
    super(message);
  }
}

/** One call; `status` 0 means that the server could not be reached. */
export async function call<T>(method: string, path: string, body?: unknown, options: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: { "Accept-Language": document.documentElement.lang || "en", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      ...options,
    });
  } catch {
    throw new ApiError(0, "unreachable", "");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok)
    throw new ApiError(response.status, answer.code ?? `http_${response.status}`, answer.detail ?? answer.title ?? "", answer);
  return answer as T;
}

export type SavedBatch = { seq: number; revision: number; problems: Problem[]; others: Edit[] };
export type Batch = { client: string; seq: number; base_revision: number; edits: Edit[] };
export type Version = { number: number | null; id: string; created_at: string; comment: string; author?: string };

export const api = {
  flow: (id: string) => call<OpenFlow>("GET", `/api/builder/flows/${id}`),
  catalog: (language: string) => call<Catalog>("GET", `/api/builder/catalog?language=${language}`),
  saveEdits: (id: string, batch: Batch, keepalive = false) =>
    call<SavedBatch>("POST", `/api/builder/flows/${id}/edits`, batch, { keepalive }),
  publishPreview: (id: string) => call<any>("GET", `/api/builder/flows/${id}/publish`),
  publish: (id: string, revision: number, comment: string) =>
    call<{ number: number }>("POST", `/api/builder/flows/${id}/publish`, { revision, comment }),
  versions: (id: string) => call<Version[] | { versions: Version[] }>("GET", `/api/builder/flows/${id}/versions`),
  restore: (id: string, number: number) => call<any>("POST", `/api/builder/flows/${id}/restore`, { number }),
  chains: () => call<{ chains: { id: string; name: string; is_on: boolean }[] }>("GET", "/api/builder/chains"),
  addFlow: (agentId: string, name: string) => call<{ id: string }>("POST", `/api/builder/agents/${agentId}/flows`, { name }),
};
