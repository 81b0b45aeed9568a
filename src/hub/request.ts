/** Hub: one request, as it is described to `http.ts`. */
import type { Subject } from './refusal.ts';

export interface HubRequest {
  readonly url: string;
  readonly subject: Subject;
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Blob;
  /** Statuses beyond 200 to 299 that the caller handles itself. */
  readonly accept?: readonly number[];
}
