/** Transcoder sources: the activation that `config.yaml` names, with what it needs of a layer's file. */
import { BadFileError } from '../../errors.ts';
import type { TensorFile } from '../../formats/tensor-file.ts';
import { optional, type ActivationSource } from './source.ts';

/** The value of `activation`; thresholds are in the files. */
export type NamedActivation =
  | { readonly kind: 'relu' }
  | { readonly kind: 'jumprelu' | 'batchtopk' }
  | { readonly kind: 'topk' | 'groupmax'; readonly k: number };

/** Without a name, a layer with a tensor of thresholds is JumpReLU and any other ReLU. */
export function activationIn(
  file: TensorFile,
  thresholdKey: string,
  named: NamedActivation | null,
): ActivationSource {
  switch (named?.kind) {
    case 'relu':
    case 'topk':
    case 'groupmax':
      return named;
    case undefined:
    case 'jumprelu':
    case 'batchtopk': {
      const threshold = optional(file, thresholdKey);
      if (threshold) return { kind: named?.kind ?? 'jumprelu', threshold };
      if (!named) return { kind: 'relu' };
      throw new BadFileError({
        code: 'missing_tensor',
        message: `${file.name} has no threshold, but the configuration of the set says activation: ${named.kind}`,
        hint: `Its thresholds are the tensor ${thresholdKey}; docs/formats.md lists the layouts.`,
      });
    }
  }
}
