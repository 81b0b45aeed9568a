/** Backend, TensorFlow on a graphics card: weights stay as stored in the card's memory, and are widened block by block. */
import type { Tensor2D } from '../backend.ts';
import type { Engine } from '../engine.ts';
import { HostMemory } from '../host-memory.ts';
import { isPacked } from '../../formats/packed.ts';
import { CardUploader, type CardMatrix } from './card-storage.ts';
import type { TensorflowOptions } from './engine.ts';
import { gatherRows, gatherColumns, gatherPacked } from './gather.ts';
import { blockInBfloat16, multiplyByBlocks } from './product.ts';
import { shareableBytes, StoredMatrix } from './storage.ts';

/**
 * TensorFlow has no packed types: matrices of them stay in memory of this process, and their blocks are unpacked there for each product.
 * @param blockNumbers numbers of a block; left out: as many as suit a card
 */
export function cardEngine(
  { raw, kernels, arithmetic }: TensorflowOptions,
  blockNumbers?: number,
): Engine<CardMatrix | StoredMatrix> {
  const uploader = new CardUploader(raw, blockNumbers);
  const memory = new HostMemory(shareableBytes);
  const tensor = (id: number, shape: [number, number]): Tensor2D =>
    kernels.createOutputTensor({ id, shape, dtype: raw.FLOAT }) as Tensor2D;
  return {
    multipliesAsStored: arithmetic === 'bfloat16',
    async store(source, lifetime) {
      if (isPacked(source.dtype)) return new StoredMatrix(raw, await memory.read(source, lifetime));
      return await uploader.store(source);
    },
    product(x, stored, orientation) {
      const [id] = kernels.getInputTensorIds([x]) as [number];
      const [rows] = x.shape;
      const isNarrow = arithmetic === 'bfloat16' && stored.dtype === raw.BFLOAT16;
      const times = isNarrow ? blockInBfloat16 : undefined;
      const result = multiplyByBlocks(raw, { id, rows }, stored, orientation, times);
      return tensor(result, [rows, orientation === 'stored' ? stored.columns : stored.rows]);
    },
    gather(stored, indices, axis) {
      const shape: [number, number] = [indices.length, axis === 'rows' ? stored.columns : stored.rows];
      if (stored instanceof StoredMatrix) return tensor(gatherPacked(raw, stored, indices, axis), shape);
      const id = axis === 'rows' ? gatherRows(raw, stored, indices) : gatherColumns(raw, stored, indices);
      return tensor(id, shape);
    },
  };
}
