/** Backend, native TensorFlow: loads the library and the addons, and registers TF.js' kernels over them. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { BINDING_PACKAGE_FOLDER } from '../install/folder.ts';
import { productsFile } from '../install/products.ts';
import { loadBinding, RawOps, type Binding, type KernelBackend } from './binding.ts';
import { registerMatrixProduct } from './matrix-product.ts';
import { loadProducts, type ProductsAddon } from './products-addon.ts';

/** The name under which the package's kernels register themselves. */
export const BACKEND_NAME = 'tensorflow';

export interface LoadedTensorflow {
  readonly folder: string;
  readonly binding: Binding;
  readonly kernels: KernelBackend;
  /** Missing where it could not be built. */
  readonly products: ProductsAddon | undefined;
}

/** Environment variables that TensorFlow and the addon of products read when they are loaded. */
const THREAD_NUMBERS = ['TF_NUM_INTRAOP_THREADS', 'TRACER_THREADS'] as const;

type KernelBackendClass = new (binding: Binding, packageName: string) => KernelBackend & tf.KernelBackend;

/** Once a process: TensorFlow cannot be loaded twice, nor for two devices. */
let loaded: LoadedTensorflow | undefined;

/**
 * `isSmall`: one thread is enough. The number of threads is decided once a process, by the first model.
 * Throws what the dynamic linker says when the library cannot be loaded.
 */
export function loadTensorflow(folder: string, isSmall: boolean): LoadedTensorflow {
  if (loaded && loaded.folder !== folder) {
    throw new Error(
      `TensorFlow is loaded from ${loaded.folder} already; a second one needs a process of its own`,
    );
  }
  if (!loaded && isSmall) for (const name of THREAD_NUMBERS) process.env[name] ??= '1';
  return (loaded ??= register(folder));
}

function register(folder: string): LoadedTensorflow {
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
