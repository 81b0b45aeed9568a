/** Who owns a tensor, and until when. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { owned } from '../../src/backend/scope.ts';
import { openBackend } from '../support/backends.ts';

describe('an owned tensor', () => {
  beforeAll(() => openBackend('wasm'));

  it('is gone at the end of the brace', () => {
    const tensor = tf.ones([2]);
    {
      using held = owned(tensor);
      expect(held.tensor.isDisposed).toBe(false);
    }
    expect(tensor.isDisposed).toBe(true);
  });

  it('is gone after a throw', () => {
    const tensor = tf.ones([2]);
    expect(() => {
      using _held = owned(tensor);
      throw new Error('half-way');
    }).toThrow('half-way');
    expect(tensor.isDisposed).toBe(true);
  });

  it('stays when it was handed on', () => {
    const handedOn = (() => {
      using held = owned(tf.ones([2]));
      return held.release();
    })();
    expect(handedOn.isDisposed).toBe(false);
    handedOn.dispose();
  });
});
