/** Flags of pruning, for the commands that prune. */
import type { Command } from 'commander';
import { ATTRIBUTE_DEFAULTS } from '../../engine/attribute/types.ts';
import { probability } from '../values.ts';

export interface ThresholdFlags {
  readonly nodeThreshold: number;
  readonly edgeThreshold: number;
}

export function withThresholds(command: Command): Command {
  return command
    .option(
      '--node-threshold <p>',
      'share of influence kept',
      probability('--node-threshold'),
      ATTRIBUTE_DEFAULTS.nodeThreshold,
    )
    .option(
      '--edge-threshold <p>',
      'share of edge scores kept',
      probability('--edge-threshold'),
      ATTRIBUTE_DEFAULTS.edgeThreshold,
    );
}

/** Viewer JSON is pruned already: a default threshold must not prune it further. */
export function givenThresholds(command: Command, options: ThresholdFlags) {
  const given = (name: keyof ThresholdFlags): number | undefined =>
    command.getOptionValueSource(name) === 'default' ? undefined : options[name];
  return { nodeThreshold: given('nodeThreshold'), edgeThreshold: given('edgeThreshold') };
}
