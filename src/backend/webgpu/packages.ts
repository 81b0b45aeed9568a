/** Backend, WebGPU: its two packages are optional dependencies, which may be missing or not work on a system. */
import { NotFoundError } from '../../errors.ts';

/** Dawn for Node. */
export const DAWN_PACKAGE = 'webgpu';
/** TF.js' kernels. */
export const KERNELS_PACKAGE = '@tensorflow/tfjs-backend-webgpu';

/** Why a package cannot be used, from what Node says when it is loaded. */
export function packageFailure(name: string, cause: unknown): NotFoundError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND')
    return new NotFoundError({
      code: 'webgpu_missing',
      message: `the package '${name}' is not installed, which --device webgpu needs`,
      hint: `Install it beside tracer: npm install ${DAWN_PACKAGE} ${KERNELS_PACKAGE}. Or use --device cpu.`,
      cause,
    });
  return new NotFoundError({
    code: 'webgpu_unusable',
    message: `the package '${name}' does not load: ${message}`,
    hint: 'There are programs of it for Linux, macOS and Windows on x86-64 and arm64. Or use --device cpu.',
    cause,
  });
}
