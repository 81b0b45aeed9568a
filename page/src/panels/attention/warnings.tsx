/** Page, panel Attention: warnings of the job. */
import { job } from '../../store/jobs.ts';

export function Warnings() {
  const warnings = job.value?.status?.warnings ?? [];
  return warnings.length === 0 ? null : <p class="warning">{warnings.join(' ')}</p>;
}
