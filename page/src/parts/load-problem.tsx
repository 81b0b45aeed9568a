/** Page, parts: why a graph could not be opened. */
import { loading } from '../store/opened.ts';
import { visit } from '../store/sync.ts';
import { Problem } from './panel.tsx';

export function LoadProblem() {
  const now = loading.value;
  return now.state === 'failed' ? <Problem error={now.error} onRetry={() => void visit(now.slug)} /> : null;
}
