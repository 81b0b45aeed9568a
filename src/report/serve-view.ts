/** What `serve` shows when it listens: only the address on standard output, notes on standard error. */
import { formatAmount, formatCount } from './numbers.ts';
import { printable } from './text.ts';

/** `data` of `serve --json`. */
export interface ServeResult {
  /** Address of the page, with the token if there is one. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  /** Path of the page in the browser. */
  readonly base_path: string;
  /** Whether writing and jobs need the token; with `--host` reading needs it too. */
  readonly token_needed: boolean;
  readonly token: string | null;
  /** Folder that graphs traced in the page are written to; null where nothing but studies is served. */
  readonly folder: string | null;
  readonly n_graphs: number;
  readonly n_studies: number;
  readonly model: string | null;
  readonly transcoders: string | null;
}

export function serveView({ address }: ServeResult): string {
  return printable(address);
}

/** @param why reason why there is no model */
export function serveNotes(
  { n_graphs, n_studies, folder, model, transcoders, base_path, token_needed }: ServeResult,
  why: string | null,
): string[] {
  const withModel =
    model === null
      ? `nothing can be traced or steered without --model or --transcoders: ${why}`
      : `prompts are traced and features steered with ${model} and ${transcoders}`;
  const rest = token_needed ? `${base_path} and the ?token=… of the address` : base_path;
  const behindProxy = base_path === '/' ? [] : [`behind the proxy, open its own address followed by ${rest}`];
  const graphs = formatAmount(n_graphs, 'graph');
  const served =
    n_studies === 0
      ? graphs
      : `${graphs}, ${formatCount(n_studies)} ${n_studies === 1 ? 'study' : 'studies'}`;
  return [
    `${served}; ${folder === null ? 'there is no folder for new graphs' : `new ones go to ${folder}`}`,
    withModel,
    ...behindProxy,
    'Ctrl-C ends it',
  ];
}
