/**
 * Files, helper of all readers of weights: Python pickles, which run code when Python opens them, and of which there is always a
 * safer form. (A graph of circuit-tracer has no other form: `pickle-reader.ts` reads it as data.)
 */
import { BadFileError } from '../errors.ts';

const SUFFIXES = ['.pt', '.pth', '.bin', '.ckpt', '.pkl', '.pickle'];

const CONVERT =
  'python -c "import sys, torch, safetensors.torch as s; ' +
  "s.save_file({k: v.contiguous() for k, v in torch.load(sys.argv[1], map_location='cpu', weights_only=True).items()}, sys.argv[2])\"";

/** Whether a name is that of a pickle as PyTorch writes it. */
export function isPickleName(path: string): boolean {
  const lower = path.toLowerCase();
  return SUFFIXES.some((suffix) => lower.endsWith(suffix));
}

/** What a pickle is called once it is converted. */
export function convertedName(path: string): string {
  return `${path.replace(/\.[^./]*$/, '')}.safetensors`;
}

/** The refusal of a pickle, with the command that converts it. `others` is how many more there are. */
export function pickleRefused(path: string, others = 0): BadFileError {
  const file = path.slice(path.lastIndexOf('/') + 1);
  const more = others > 0 ? ` (and ${others} more such files)` : '';
  return new BadFileError({
    code: 'unknown_format',
    message: `${path} is a Python pickle${more}; expected a safetensors file or an npz archive`,
    hint: `A pickle runs code when it is opened, so it is never read. Convert it: ${CONVERT} ${file} ${convertedName(file)}`,
  });
}
