/** Backend, native TensorFlow: registers TF.js' kernels over our own build of the addon, on the CPU or a CUDA device. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { NotFoundError, UsageError } from '../../errors.ts';
import type { Arithmetic, Backend } from '../backend.ts';
import { BINDING_PACKAGE_FOLDER } from '../install/folder.ts';
import { productsFile } from '../install/products.ts';
import { weightsOf } from '../weight.ts';
import { loadBinding, RawOps, type Binding, type KernelBackend } from './binding.ts';
import { nativeEngine } from './native-products.ts';
import { loadProducts, type ProductsAddon } from './products-addon.ts';
import { registerMatrixProduct } from './matrix-product.ts';
import { tensorflowEngine } from './engine.ts';

/** The name under which the package's kernels register themselves. */
const BACKEND_NAME = 'tensorflow';

/**
 * `native`, the default: the best of the addon's kernels that the processor has. `tensorflow`: its own products on widened
 * blocks, as without the addon. The others are the addon's kernels by name; where the processor lacks one, the best below it.
 */
const KERNEL_CHOICES: readonly string[] = ['native', 'tensorflow', 'plain', 'avx2', 'avx512', 'amx'];

export interface OpenOptions {
  /** Folder that holds `tfjs_binding.node`, as `setUpTensorflow` left it. */
  readonly libraryFolder: string;
  readonly device: 'cpu' | 'cuda';
  readonly arithmetic: Arithmetic;
}

type KernelBackendClass = new (binding: Binding, packageName: string) => KernelBackend & tf.KernelBackend;

/** Once a process: TensorFlow cannot be loaded twice, nor for two devices. */
let loaded:
  | {
      readonly folder: string;
      readonly binding: Binding;
      readonly kernels: KernelBackend;
      /** Missing where it could not be built. */
      readonly products: ProductsAddon | undefined;
    }
  | undefined;

/**
 * Opens native TensorFlow. Throws what the dynamic linker says when the library cannot be loaded, and `NotFoundError`
 * when CUDA is asked for and TensorFlow sees no such device.
 */
export async function openTensorflow(options: OpenOptions): Promise<Backend> {
  if (loaded && loaded.folder !== options.libraryFolder) {
    throw new Error(
      `TensorFlow is loaded from ${loaded.folder} already; a second one needs a process of its own`,
    );
  }
  loaded ??= register(options.libraryFolder);
  const { binding, kernels, products } = loaded;
  if (options.device === 'cuda' && !binding.isUsingGpuDevice()) {
    throw new NotFoundError({
      code: 'no_cuda_device',
      message: `TensorFlow ${binding.TF_Version} finds no CUDA device`,
      hint: '`tracer doctor` shows the driver and the libraries that were looked for; `--device cpu` works without.',
    });
  }
  await tf.setBackend(BACKEND_NAME);
  const { device, arithmetic } = options;
  const raw = new RawOps(binding);
  // Products in bfloat16, and those on a device, are TensorFlow's own.
  const isServed = device === 'cpu' && arithmetic === 'float32' && chosenKernel() !== 'tensorflow';
  const own = isServed ? products : undefined;
  const weights = own
    ? weightsOf(nativeEngine(own, raw, kernels))
    : weightsOf(tensorflowEngine({ raw, kernels, arithmetic, copiesToDevice: device === 'cuda' }));
  return {
    name: BACKEND_NAME,
    device,
    version: `TensorFlow ${binding.TF_Version}`,
    arithmetic,
    kernel: own?.kernel ?? null,
    ...weights,
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

function register(folder: string): NonNullable<typeof loaded> {
  const binding = loadBinding(folder);
  const require = createRequire(join(folder, BINDING_PACKAGE_FOLDER, 'package.json'));
  // An empty module until now (install/binding-package.ts); so the kernels register with the TF.js of this process.
  Object.assign(require('@tensorflow/tfjs') as object, tf);
  require('./dist/register_all_kernels');
  const module = require('./dist/nodejs_kernel_backend') as { NodeJSKernelBackend: KernelBackendClass };
  const kernels = new module.NodeJSKernelBackend(binding, BINDING_PACKAGE_FOLDER);
  tf.registerBackend(BACKEND_NAME, () => kernels);
  registerMatrixProduct(new RawOps(binding), kernels, BACKEND_NAME);
  const addon = productsFile(folder);
  return { folder, binding, kernels, products: existsSync(addon) ? loadProducts(addon) : undefined };
}
