/** View of `configure`: the configuration summary of the notebook, counted from the replacement model. */
import type { ConfigureResult } from '../engine/configure/types.ts';
import { formatAmount, formatBytes, formatCount } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections } from './table.ts';
import { printable } from './text.ts';

/** Hook names of all layers folded into one: `blocks.*.attn.hook_pattern (26)`, in order of first occurrence. */
export function foldLayers(hooks: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const hook of hooks) {
    const folded = hook.replace(/^blocks\.\d+\./, 'blocks.*.');
    counts.set(folded, (counts.get(folded) ?? 0) + 1);
  }
  return [...counts].map(([hook, count]) => (hook.startsWith('blocks.*.') ? `${hook} (${count})` : hook));
}

/** Files of a list that are shown; a checkpoint has up to some hundred shards. */
const MOST_FILES = 4;

function fileList(files: readonly string[]): string {
  const more = files.length - MOST_FILES;
  const shown = files.slice(0, MOST_FILES).map(printable);
  return [...shown, ...(more > 0 ? [`and ${formatAmount(more, 'other file')}`] : [])].join('\n');
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}

function keptText(layers: readonly number[]): string {
  return `in layer${layers.length > 1 ? 's' : ''} ${layers.join(', ')}`;
}

export function configureView(result: ConfigureResult, screen: Screen): string {
  const stopped = foldLayers(result.gradient_stopped_at);
  const summary = facts(
    [
      ['model', printable(result.model)],
      ['transcoder set', printable(result.transcoders)],
      ['device', result.device],
      ['backend', printable(`${result.backend} (${result.backend_version})`)],
      ['dtype', result.dtype],
      ['layers', String(result.n_layers)],
      ['transcoders', String(result.n_transcoders)],
      ...(result.layers_without_transcoder.length === 0
        ? []
        : [['own MLP kept', keptText(result.layers_without_transcoder)] as const]),
      ['feature input hook', printable(result.feature_input_hook ?? 'none')],
      ['feature output hook', printable(result.feature_output_hook ?? 'none')],
      ['scan', result.scan === null ? 'none' : printable(result.scan)],
      ['all MLPs replaced', yesNo(result.all_mlps_replaced)],
      ['unembed replaced', yesNo(result.unembed_replaced)],
      ['skip connections', String(result.n_skip_connections)],
      ['parameters frozen', `${yesNo(result.parameters_frozen)} (${formatCount(result.n_parameters)})`],
      ['gradient enabled at', printable(foldLayers(result.gradient_enabled_at).join(', '))],
      [
        'gradient stopped at',
        [formatAmount(result.gradient_stopped_at.length, 'hook'), ...stopped.map(printable)].join('\n'),
      ],
      ['bytes held', formatBytes(result.bytes)],
      ...(result.streamed_bytes > 0
        ? [['read on every use', `${formatBytes(result.streamed_bytes)} beyond the memory budget`] as const]
        : []),
      ...(result.storage === undefined ? [] : [['storage', printable(result.storage)] as const]),
      ['weights of the model', fileList(result.weight_files.model)],
      ...(result.n_transcoders === 0
        ? []
        : [['weights of the set', fileList(result.weight_files.transcoders)] as const]),
    ],
    screen,
  );
  return sections([['Replacement model', summary]], screen);
}
