/** Page: requests to the server, one function for each of `src/viewer/api.ts`. A page that is one file has no server. */
import type {
  Annotations,
  ExportedPage,
  FeatureDetail,
  GraphList,
  GraphsBehind,
  JobRequest,
  JobStatus,
  KeptAttention,
  OpenedGraph,
  ServerInfo,
  StudyDetail,
  StudyList,
  SubgraphScores,
  TrainingEvents,
  TrainingList,
} from '../../src/viewer/api.ts';
import type { ContrastRow, Question } from './store/study-address.ts';

/** A request that the server refused, or that did not reach it. */
export class RequestFailed extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  /** Status of the response; null if there was none. */
  readonly status: number | null;

  constructor(code: string, message: string, options: { hint?: string | undefined; status?: number } = {}) {
    super(message);
    this.name = 'RequestFailed';
    this.code = code;
    this.hint = options.hint;
    this.status = options.status ?? null;
  }

  /** Whether the same request would be refused again: the fault is in the request, not in the server or the connection. */
  get isFinal(): boolean {
    const { status } = this;
    return status !== null && status >= 400 && status < 500 && !PASSING.has(status);
  }
}

/** Code of the error for a request that needs the token of the server. */
export const TOKEN_NEEDED = 'token_needed';

/** Statuses of temporary refusals: the request took too long, or there were too many. */
const PASSING: ReadonlySet<number> = new Set([408, 429]);

export const exported: ExportedPage | null = readExport();

export interface Thresholds {
  readonly node: number;
  readonly edge: number;
}

export function fetchInfo(): Promise<ServerInfo> {
  if (exported !== null) {
    const why = 'This page is a file of its own: there is no server behind it.';
    return Promise.resolve({ version: exported.version, model: null, why });
  }
  return request<ServerInfo>('GET', 'api/info');
}

export function fetchGraphs(): Promise<GraphList> {
  return exported === null ? request<GraphList>('GET', 'api/graphs') : Promise.resolve({ graphs: [] });
}

export function fetchTrainings(): Promise<TrainingList> {
  return exported === null
    ? request<TrainingList>('GET', 'api/trainings')
    : Promise.resolve({ trainings: [] });
}

export function fetchTraining(name: string, from: number, signal: AbortSignal): Promise<TrainingEvents> {
  return request<TrainingEvents>('GET', `api/trainings/${encodeURIComponent(name)}?from=${from}`, undefined, {
    signal,
  });
}

export function fetchStudies(): Promise<StudyList> {
  return request<StudyList>('GET', 'api/studies');
}

export function fetchStudy(name: string): Promise<StudyDetail> {
  return request<StudyDetail>('GET', studyAddress(name));
}

/** Graphs of two groups that have a feature or a link. */
export function fetchBehind(
  name: string,
  { by, a, b }: Question,
  row: ContrastRow,
  signal: AbortSignal,
): Promise<GraphsBehind> {
  const of =
    row.kind === 'feature'
      ? { feature: `${row.layer}/${row.feature}` }
      : { source: row.source, target: row.target };
  const query = new URLSearchParams({ by, a, b, ...of }).toString();
  return request<GraphsBehind>('GET', `${studyAddress(name)}/graphs?${query}`, undefined, { signal });
}

/** `thresholds` are used for graph files only. */
export function fetchGraph(
  slug: string,
  thresholds: Thresholds | null,
  signal?: AbortSignal,
): Promise<OpenedGraph> {
  if (exported !== null) return Promise.resolve(exported.opened);
  const query = thresholds === null ? '' : thresholdQuery(thresholds);
  return request<OpenedGraph>('GET', `${graphAddress(slug)}${query}`, undefined, { signal: signal ?? null });
}

export function fetchScores(
  slug: string,
  pinnedIds: readonly string[],
  signal: AbortSignal,
): Promise<SubgraphScores> {
  return request<SubgraphScores>('POST', `${graphAddress(slug)}/scores`, { pinnedIds }, { signal });
}

/** @param last the page is being closed: the request continues afterwards */
export function saveAnnotations(slug: string, annotations: Annotations, last: boolean): Promise<Annotations> {
  return request<Annotations>('PUT', `${graphAddress(slug)}/annotations`, annotations, { keepalive: last });
}

export function fetchFeature(slug: string, layer: number, feature: number): Promise<FeatureDetail> {
  if (exported !== null) {
    const known = exported.features[`${layer}_${feature}`];
    return Promise.resolve(known ?? { layer, feature, page: null, label: null, neuronpedia: null });
  }
  return request<FeatureDetail>('GET', `${graphAddress(slug)}/features/${layer}/${feature}`);
}

export function saveLabel(
  slug: string,
  layer: number,
  feature: number,
  text: string,
): Promise<FeatureDetail> {
  return request<FeatureDetail>('PUT', `${graphAddress(slug)}/labels/${layer}/${feature}`, { text });
}

export function fetchAttention(slug: string, signal: AbortSignal): Promise<KeptAttention> {
  if (exported !== null) {
    return Promise.resolve(exported.attention ?? { links: [], nodes: [], heads: [], effects: null });
  }
  return request<KeptAttention>('GET', `${graphAddress(slug)}/attention`, undefined, { signal });
}

/** Lets the server set the cookie of its token. */
export async function sendToken(token: string): Promise<void> {
  await request<void>('POST', `api/token?token=${encodeURIComponent(token)}`);
}

export function postJob(job: JobRequest): Promise<JobStatus> {
  return request<JobStatus>('POST', 'api/jobs', job);
}

/** @param last the page is being closed: the request continues afterwards */
export function cancelJob(id: string, last = false): Promise<JobStatus> {
  return request<JobStatus>('DELETE', `api/jobs/${encodeURIComponent(id)}`, undefined, { keepalive: last });
}

/** Calls `onStatus` until the job has ended; returns a function that stops listening. */
export function followJob(id: string, onStatus: (status: JobStatus) => void, onLost: () => void): () => void {
  const events = new EventSource(`api/jobs/${encodeURIComponent(id)}/events`);
  events.onmessage = (message: MessageEvent<string>) => {
    const status = JSON.parse(message.data) as JobStatus;
    if (hasEnded(status)) events.close();
    onStatus(status);
  };
  events.onerror = () => {
    // The browser reconnects by itself unless the server refused.
    if (events.readyState === EventSource.CLOSED) onLost();
  };
  return () => events.close();
}

export function hasEnded({ state }: JobStatus): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}

/** The error of a job that failed; null for any other. */
export function failureOf({ state, error }: JobStatus): RequestFailed | null {
  if (state !== 'failed') return null;
  return new RequestFailed(error?.code ?? 'failed', error?.message ?? 'The job failed.', {
    hint: error?.hint,
  });
}

/** While a job was followed. */
export function lostConnection(): RequestFailed {
  return new RequestFailed('lost', 'The connection to the server was lost.', {
    hint: 'Is `tracer serve` still running?',
  });
}

/** Address of an export. `thresholds` are used for graph files only. */
export function exportAddress(slug: string, form: 'html' | 'json', thresholds: Thresholds): string {
  return `${graphAddress(slug)}/export.${form}${thresholdQuery(thresholds)}`;
}

function graphAddress(slug: string): string {
  return `api/graphs/${encodeURIComponent(slug)}`;
}

function studyAddress(name: string): string {
  return `api/studies/${encodeURIComponent(name)}`;
}

function thresholdQuery({ node, edge }: Thresholds): string {
  return `?node_threshold=${node}&edge_threshold=${edge}`;
}

async function request<T>(
  method: string,
  address: string,
  body?: unknown,
  options: RequestInit = {},
): Promise<T> {
  let response: Response;
  try {
    const content =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    response = await fetch(address, { method, ...content, ...options });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
    throw new RequestFailed('unreachable', 'The server does not answer.', {
      hint: 'Is `tracer serve` still running?',
    });
  }
  const text = await response.text();
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T;
  throw refusal(response, text);
}

function refusal(response: Response, text: string): RequestFailed {
  const { status, statusText } = response;
  const plain = new RequestFailed('http', `The server answered ${status} ${statusText}.`, { status });
  try {
    const { error } = JSON.parse(text) as { error?: { code: string; message: string; hint?: string } };
    return error === undefined
      ? plain
      : new RequestFailed(error.code, error.message, { hint: error.hint, status });
  } catch {
    return plain; // the response is not JSON, so there is only the status
  }
}

function readExport(): ExportedPage | null {
  // Tests import this file without a browser.
  const element = typeof document === 'undefined' ? null : document.getElementById('tracer-export');
  return element === null ? null : (JSON.parse(element.textContent) as ExportedPage);
}
