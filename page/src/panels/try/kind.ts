/** Page, panel Try out: which of its three parts is open. */
import { signal } from '@preact/signals';
import type { JobRequest } from '../../../../src/viewer/api.ts';

export type TryKind = Exclude<JobRequest['kind'], 'attention' | 'remove_head'>;

export const tryKind = signal<TryKind>('trace');
