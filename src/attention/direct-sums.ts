/** Attention: what sources do to targets without any head. */
import * as tf from '@tensorflow/tfjs-core';
import { RowSums } from '../attribution/row-sums.ts';
import type { TargetBatch } from './target-walk.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** Products of targets with what sources write at the targets' own positions, with attention cut. */
export class DirectSums implements Disposable {
  private readonly prompt: TracedPrompt;
  private readonly positions: Int32Array;
  private readonly rows: RowSums;

  constructor(prompt: TracedPrompt, { n, positions }: TargetBatch) {
    this.prompt = prompt;
    this.positions = positions;
    this.rows = new RowSums(prompt.replacement.backend, n, prompt.list);
  }

  async addOutput(layer: number, g: tf.Tensor2D): Promise<void> {
    const own = this.positions.subarray(0, g.shape[0]);
    const last = own.reduce((most, position) => Math.max(most, position), 0);
    for await (const block of this.prompt.sources.blocks(layer, 0, last + 1)) {
      const stop = block.firstPosition + block.at.length;
      await this.forRuns(own, async (position, start, end) => {
        if (position < block.firstPosition || position >= stop) return;
        const part = tf.slice<tf.Rank.R2, tf.Tensor2D>(g, [start, 0], [end - start, -1]);
        try {
          await this.rows.addDotsAt(block.at[position - block.firstPosition]!, part, start);
        } finally {
          part.dispose();
        }
      });
    }
  }

  async addEmbedding(g: tf.Tensor2D): Promise<void> {
    const { pass, positionVectors, list } = this.prompt;
    const own = this.positions.subarray(0, g.shape[0]);
    for (const [vectors, first] of [
      [pass.tokenVectors, list.start.token],
      [positionVectors, list.start.position],
    ] as const) {
      if (!vectors) continue;
      await this.forRuns(own, async (position, start, end) => {
        const [part, vector] = [
          tf.slice<tf.Rank.R2, tf.Tensor2D>(g, [start, 0], [end - start, -1]),
          tf.slice<tf.Rank.R2, tf.Tensor2D>(vectors, [position, 0], [1, -1]),
        ];
        try {
          await this.rows.addDotsAt(
            { vectors: vector, columns: Int32Array.of(first + position) },
            part,
            start,
          );
        } finally {
          part.dispose();
          vector.dispose();
        }
      });
    }
  }

  values(): Promise<Float32Array> {
    return this.rows.values();
  }

  /** Runs of rows of one position. */
  private async forRuns(
    positions: Int32Array,
    step: (position: number, start: number, stop: number) => Promise<void>,
  ): Promise<void> {
    for (let start = 0; start < positions.length;) {
      let stop = start + 1;
      while (stop < positions.length && positions[stop] === positions[start]) stop++;
      await step(positions[start]!, start, stop);
      start = stop;
    }
  }

  [Symbol.dispose](): void {
    this.rows[Symbol.dispose]();
  }
}
