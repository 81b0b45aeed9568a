/** Backend, native TensorFlow: registers TF.js' kernels over our own build of the addon, on the CPU or a CUDA device. */
import * as tf from '@tensorflow/tfjs-core';
import { NotFoundError, UsageError } from '../../errors.ts';
import type { Arithmetic, Backend, CudaCard } from '../backend.ts';
import { hostFinder } from '../host-entries.ts';
import { hostSum } from '../host-sum.ts';
import { genericSparse } from '../sparse.ts';
import { weightsOf } from '../weight.ts';
import { CardFinder } from './card-entries.ts';
import { cardEngine } from './card-engine.ts';
import { CardSum } from './card-sum.ts';
import { RawOps } from './binding.ts';
import { nativeEngine } from './native-products.ts';
import { BACKEND_NAME, loadTensorflow } from './load.ts';
import { nativeSparse } from './sparse.ts';
import { tensorflowEngine } from './engine.ts';

/**
 * `native`, the default: the best of the addon's kernels that the processor has. `tensorflow`: its own products on widened
 * blocks, as without the addon. `card`: as on a graphics card, for tests. The others are the addon's kernels by name; where the processor lacks one, the best below it.
 */
const KERNEL_CHOICES: readonly string[] = ['native', 'tensorflow', 'card', 'plain', 'avx2', 'avx512', 'amx'];

export interface OpenOptions {
  /** Folder that holds `tfjs_binding.node`, as `setUpTensorflow` left it. */
  readonly libraryFolder: string;
  readonly device: 'cpu' | 'cuda' | CudaCard;
  readonly arithmetic: Arithmetic;
  /** One thread is enough. */
  readonly isSmall: boolean;
  /** Free memory of the card, as the driver told before it was used. */
  readonly freeBytes?: number | undefined;
}

/**
 * Opens native TensorFlow. Throws what the dynamic linker says when the library cannot be loaded, and `NotFoundError`
 * when CUDA is asked for and TensorFlow sees no such device.
 */
export async function openTensorflow(options: OpenOptions): Promise<Backend> {
  const { binding, kernels, products } = loadTensorflow(options.libraryFolder, options.isSmall);
  const { device, arithmetic } = options;
  if (device !== 'cpu' && !binding.isUsingGpuDevice()) {
    throw new NotFoundError({
      code: 'no_cuda_device',
      message: `TensorFlow ${binding.TF_Version} finds no CUDA device`,
      hint: '`tracer doctor` shows the driver and the libraries that were looked for; `--device cpu` works without.',
    });
  }
  await tf.setBackend(BACKEND_NAME);
  const raw = new RawOps(binding);
  const kernel = chosenKernel();
  const isOnCard = device !== 'cpu' || kernel === 'card';
  // Products in bfloat16, and those on a card, are TensorFlow's own.
  const own = !isOnCard && arithmetic === 'float32' && kernel !== 'tensorflow' ? products : undefined;
  const weights = own
    ? weightsOf(nativeEngine(own, raw, kernels))
    : isOnCard
      ? weightsOf(cardEngine({ raw, kernels, arithmetic }))
      : weightsOf(tensorflowEngine({ raw, kernels, arithmetic }));
  return {
    name: BACKEND_NAME,
    device,
    hasOwnMemory: isOnCard,
    freeDeviceBytes: () => Promise.resolve(options.freeBytes),
    version: `TensorFlow ${binding.TF_Version}`,
    arithmetic,
    kernel: own?.kernel ?? null,
    sparse: own ? nativeSparse(raw, kernels) : genericSparse,
    ...weights,
    entryFinder: isOnCard ? (rule) => new CardFinder(raw, kernels, rule) : hostFinder,
    matrixSum: isOnCard ? (rows, columns) => new CardSum(rows, columns) : hostSum,
  };
}

/** What `TRACER_KERNEL` asks for. */
function chosenKernel(): string {
  const asked = process.env['TRACER_KERNEL'] || 'native';
  if (!KERNEL_CHOICES.includes(asked)) {
    throw new UsageError({
      code: 'bad_kernel',
      message: `TRACER_KERNEL is '${asked}', expected one of ${KERNEL_CHOICES.join(', ')}`,
      hint: 'Unset it to multiply with the best kernel of this processor.',
    });
  }
  return asked;
}
