/** The flags that say which features are changed and what is held fixed, for every command that intervenes. */
import type { Command } from 'commander';
import type { InterventionChoice } from '../engine/intervene/types.ts';
import { UsageError } from '../errors.ts';
import { parseHeadRemoval, parseHeadScale, type HeadChange } from '../intervention/head-change.ts';
import type { Intervention } from '../intervention/intervention.ts';
import { parseAddress, parseIntervention } from '../intervention/text-form.ts';
import { collect, layerRange } from './values.ts';

export interface InterventionFlags {
  /** `--set` and `--ablate`, in the order typed. */
  readonly set?: readonly Intervention[];
  readonly ablate?: readonly Intervention[];
  readonly interventions?: string;
  readonly supernode?: string;
  readonly scale?: readonly string[];
  readonly freeAttention?: boolean;
  readonly constrainedLayers?: { readonly from: number; readonly to: number };
}

export const INTERVENTION_HELP = `
LAYER:POS:FEATURE names a feature; POS is a position, negative from the end, or a range: 2.. or 2..5 (end excluded).
VALUE is an activation, *FACTOR times the one of the unchanged pass, or +AMOUNT on top of it.
For one feature and position the last one counts: --supernode, then --interventions, then --set and --ablate.`;

export function withInterventionFlags(command: Command): Command {
  // One list for both flags, so that of several the last one typed counts.
  const typed: Intervention[] = [];
  const take = (intervention: Intervention): Intervention[] => {
    typed.push(intervention);
    return typed;
  };
  return command
    .option('--set <change>', 'set a feature: LAYER:POS:FEATURE=VALUE (repeatable)', (text: string) =>
      take(parseIntervention('--set', text)),
    )
    .option('--ablate <feature>', 'switch a feature off: LAYER:POS:FEATURE (repeatable)', (text: string) =>
      take({ ...parseAddress('--ablate', text), change: { kind: 'set', value: 0 } }),
    )
    .option('--interventions <file>', 'JSON: [{"layer":0,"pos":8,"feature":104,"value":30.9}]')
    .option('--supernode <file>', 'groups [name, ids…] as the graph viewer saves them, scaled together')
    .option('--scale <factor>', 'FACTOR, or NAME=FACTOR for one group of --supernode (default: 0)', collect)
    .option('--free-attention', 'let attention patterns change')
    .option(
      '--constrained-layers <range>',
      'hold MLP outputs of layers FROM:TO (end excluded)',
      layerRange('--constrained-layers'),
    );
}

export interface HeadFlags {
  /** `--remove-head` and `--scale-head`, in the order typed. */
  readonly removeHead?: readonly HeadChange[];
  readonly scaleHead?: readonly HeadChange[];
  readonly renormalize?: boolean;
}

/** The flags that change heads, for commands that run one pass. */
export function withHeadFlags(command: Command): Command {
  // One list for both flags, so that of several the last one typed counts.
  const typed: HeadChange[] = [];
  const take = (change: HeadChange): HeadChange[] => {
    typed.push(change);
    return typed;
  };
  return command
    .option(
      '--remove-head <head>',
      'take a head away, or a query or key of it: LAYER.HEAD[:QUERY[:KEY]] (repeatable)',
      (text: string) => take(parseHeadRemoval('--remove-head', text)),
    )
    .option(
      '--scale-head <change>',
      'scale it: LAYER.HEAD[:QUERY[:KEY]]=FACTOR (repeatable)',
      (text: string) => take(parseHeadScale('--scale-head', text)),
    )
    .option('--renormalize', 'let changed rows of patterns add up to what they added up to before');
}

/** Throws `UsageError` for `--renormalize` without a head. */
export function headChoice(flags: HeadFlags): Pick<InterventionChoice, 'heads' | 'renormalize'> {
  const heads = flags.removeHead ?? flags.scaleHead ?? [];
  if (!flags.renormalize || heads.length > 0) return { heads, renormalize: flags.renormalize };
  throw new UsageError({
    code: 'renormalize_without_head',
    message: '--renormalize is about rows of heads that are changed, but no head is',
    hint: 'Add --remove-head or --scale-head.',
  });
}

/** The part of the request that these flags give. Reads the files that they name. */
export async function readInterventionFlags(flags: InterventionFlags): Promise<InterventionChoice> {
  if (flags.scale && flags.supernode === undefined) {
    throw new UsageError({
      code: 'scale_without_supernode',
      message: '--scale scales the groups of --supernode, which is missing',
      hint: "Add --supernode FILE, or scale a single feature with --set '20:10:15589=*-2'.",
    });
  }
  const typed = flags.set ?? flags.ablate ?? [];
  const { readInterventions } = await import('../intervention/json-form.ts');
  const listed = flags.interventions === undefined ? [] : await readInterventions(flags.interventions);
  return {
    supernodes: await scaledSupernodes(flags),
    interventions: [...listed, ...typed],
    freezeAttention: flags.freeAttention !== true,
    constrainedLayers: flags.constrainedLayers,
  };
}

async function scaledSupernodes({ supernode, scale }: InterventionFlags) {
  if (supernode === undefined) return [];
  const { readSupernodes, scaleSupernodes } = await import('../intervention/supernodes.ts');
  return scaleSupernodes(await readSupernodes(supernode), (scale ?? []).map(scaleFactor));
}

/** `-2`, or `NAME=-2`. */
function scaleFactor(text: string): { name: string | null; factor: number } {
  const at = text.lastIndexOf('=');
  const number = text.slice(at + 1).trim();
  const factor = number === '' ? NaN : Number(number);
  if (Number.isFinite(factor)) return { name: at < 0 ? null : text.slice(0, at), factor };
  throw new UsageError({
    code: 'bad_value',
    message: `--scale: expected FACTOR or NAME=FACTOR, found '${text}'`,
    hint: "Write it as --scale -2, or --scale 'Texas=-2'.",
  });
}
