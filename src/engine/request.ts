/** Parts of the requests of all verbs. The command line and the library use the same requests, with the same defaults. */
import type { Arithmetic, DeviceChoice } from '../backend/backend.ts';
import type { BosChoice } from '../tokenizer/bos.ts';

/** The only definition of these defaults, which the command line, the settings and the library use. */
export const REQUEST_DEFAULTS = {
  /** The preset that ships with the package, so that the first command works without a network. */
  model: 'embedded',
  device: 'auto',
  /** Exact for bfloat16 checkpoints: every stored number is widened without rounding. */
  dtype: 'float32',
  /** Most likely next tokens shown by `run`. */
  top: 10,
  /** Tokens that a feature's decoder promotes, and as many that it suppresses, in `inspect`. */
  featureTokens: 10,
} as const satisfies {
  model: string;
  device: DeviceChoice;
  dtype: Arithmetic;
  top: number;
  featureTokens: number;
};

/** Progress of a piece of work. Events of one `phase` belong together: a terminal shows them in one line. */
export interface ProgressEvent {
  readonly kind: 'progress';
  /** A short stable word, such as `resolve`, `download`, `verify`, `backend`, `weights`, `forward`. */
  readonly phase: string;
  /** Text for people: `Reading model.safetensors`. */
  readonly message: string;
  readonly done?: number;
  readonly total?: number;
  readonly unit?: 'bytes' | 'rows';
  readonly bytesPerSecond?: number;
  readonly secondsLeft?: number;
}

/** Something the user should know although the work continues: a slow arithmetic, a token that was ignored. */
export interface WarningEvent {
  readonly kind: 'warning';
  readonly message: string;
}

/** A choice that was made on the user's behalf: which backend was taken and why the better one was not. */
export interface NoteEvent {
  readonly kind: 'note';
  readonly message: string;
}

export type EngineEvent = ProgressEvent | WarningEvent | NoteEvent;

/** Options that every verb understands. What is left out has the value of `REQUEST_DEFAULTS`. */
export interface CommonOptions {
  /** Preset, Hub reference `owner/name[//subfolder][@revision]`, or local folder. */
  readonly model?: string | undefined;
  /** As `model`. Alone it is enough: a set names the model it was made for. */
  readonly transcoders?: string | undefined;
  /** Layers that the set lacks keep their own MLP; otherwise such a set is refused. */
  readonly allowMissingLayers?: boolean | undefined;
  /** Branch, tag or commit of the model, where its name does not carry one. */
  readonly revision?: string | undefined;
  readonly device?: DeviceChoice | undefined;
  readonly dtype?: Arithmetic | undefined;
  /** The Hugging Face cache; default as `huggingface_hub` finds it (`HF_HUB_CACHE`, `HF_HOME`). */
  readonly cacheDir?: string | undefined;
  /** Sends no requests; default from `HF_HUB_OFFLINE`. */
  readonly offline?: boolean | undefined;
  /** Budget for weights held in memory of the machine; default a share of what is free. */
  readonly maxMemoryBytes?: number | undefined;
  /** The same for the memory of a graphics card; what it has no room for is held in the machine's. */
  readonly maxDeviceMemoryBytes?: number | undefined;
  /** What is put in front of prompts that are text: `auto`, `none`, or the text of a token. */
  readonly bos?: BosChoice | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((event: EngineEvent) => void) | undefined;
}

/** Reports how much of a model is read. */
export function weightsProgress({
  onProgress,
}: Pick<CommonOptions, 'onProgress'>): (doneBytes: number, totalBytes: number) => void {
  const what = { kind: 'progress', phase: 'weights', message: 'Reading the model', unit: 'bytes' } as const;
  return (done, total) => onProgress?.({ ...what, done, total });
}

/** A prompt becomes the user's message in the chat template of the model's checkpoint. */
export interface ChatChoice {
  /** The system message, in front of it. */
  readonly system?: string | undefined;
}

/** Text, or token ids as they are (nothing is put in front of them). */
export type PromptInput =
  | { readonly prompt: string; readonly chat?: ChatChoice | undefined }
  | { readonly tokens: readonly number[] };
