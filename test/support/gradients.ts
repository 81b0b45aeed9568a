/** Registers the gradients of TF.js' kernels, which tfjs-core leaves to the whole package. The product itself takes none. */
import '@tensorflow/tfjs';
