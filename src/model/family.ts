/** Model: what differs between families beside their dimensions. Block code uses these values, never a family's name. */
import type { WeightNames } from './weight-names.ts';

export interface Family {
  /** `architectures` of config.json. */
  readonly architecture: string;
  /** Activation of the gated MLP. */
  readonly act_fn: 'gelu_pytorch_tanh';
  /** Norm gains are stored as w and used as w + this. */
  readonly normGainOffset: 0 | 1;
  /** Tokens that end a text when neither configuration file says which. */
  readonly defaultEndTokens: readonly number[];
  readonly weights: WeightNames;
}
