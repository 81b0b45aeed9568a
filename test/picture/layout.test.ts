import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HitGrid } from '../../src/picture/hit-grid.ts';
import { layoutPicture } from '../../src/picture/layout.ts';
import { nextNode, type Direction } from '../../src/picture/navigate.ts';
import { makePicture } from '../../src/picture/picture.ts';
import { visibleAt } from '../../src/picture/visible.ts';
import { arbitraryCrowd, arbitraryViewer } from './graphs.ts';

const size = fc.record({
  width: fc.integer({ min: 60, max: 3000 }),
  height: fc.integer({ min: 60, max: 2000 }),
});
/** Places are float32. */
const ROUNDING = 1e-3;

describe('places of marks', () => {
  it('leave no two marks touching, and none outside of its column, its row or the plot', () => {
    fc.assert(
      fc.property(arbitraryCrowd(), size, (viewer, space) => {
        const picture = makePicture(viewer);
        const { x, y, radius, width, height, columnStart, rowHeight } = layoutPicture(picture, space);
        expect(width).toBeGreaterThanOrEqual(space.width);
        expect(width / height).toBeCloseTo(space.width / space.height, 5);
        for (const { index, position, row } of picture.nodes) {
          expect(x[index]! - radius).toBeGreaterThanOrEqual(columnStart[position]! - ROUNDING);
          expect(x[index]! + radius).toBeLessThanOrEqual(columnStart[position + 1]! + ROUNDING);
          expect(y[index]! - radius).toBeGreaterThanOrEqual(height - (row + 1) * rowHeight - ROUNDING);
          expect(y[index]! + radius).toBeLessThanOrEqual(height - row * rowHeight + ROUNDING);
          for (let other = 0; other < index; other++) {
            const far = Math.hypot(x[index]! - x[other]!, y[index]! - y[other]!);
            expect(far).toBeGreaterThanOrEqual(2 * radius - ROUNDING);
          }
        }
        expect(columnStart.at(-1)!).toBeCloseTo(width, 3);
      }),
      { numRuns: 60 },
    );
  });

  it('are there also for a panel without any size', () => {
    const [viewer] = fc.sample(arbitraryViewer(), 1);
    const { x } = layoutPicture(makePicture(viewer!), { width: 0, height: 0 });
    expect(x.every(Number.isFinite)).toBe(true);
  });
});

describe('the mark under the pointer', () => {
  it('is the nearest one within reach, as a search through all of them finds it', () => {
    const fraction = fc.double({ min: -0.1, max: 1.1, noNaN: true });
    fc.assert(
      fc.property(
        arbitraryCrowd(),
        fraction,
        fraction,
        fc.integer({ min: 1, max: 60 }),
        (viewer, fx, fy, reach) => {
          const picture = makePicture(viewer);
          const layout = layoutPicture(picture, { width: 600, height: 400 });
          const shown = Uint8Array.from(picture.nodes, ({ index }) => +(index % 3 !== 0));
          const [px, py] = [fx * layout.width, fy * layout.height];
          const far = (node: number): number => Math.hypot(layout.x[node]! - px, layout.y[node]! - py);
          const nearest = Math.min(
            Infinity,
            ...picture.nodes.filter(({ index }) => shown[index] === 1).map(({ index }) => far(index)),
          );
          const found = new HitGrid(layout).nearest(px, py, reach, shown);
          if (nearest > reach) expect(found).toBeNull();
          else expect(far(found!)).toBeCloseTo(nearest, 6);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('walking by keys', () => {
  it('reaches every mark of a row from left to right and back, and every row from the lowest up', () => {
    fc.assert(
      fc.property(arbitraryCrowd(), (viewer) => {
        const picture = makePicture(viewer);
        const layout = layoutPicture(picture, { width: 900, height: 600 });
        const visible = visibleAt(picture, 1, 1);
        const walk = (from: number, direction: Direction): number[] => {
          const way = [from];
          for (;;) {
            const next = nextNode(picture, layout, visible, way.at(-1)!, direction);
            if (next === null) return way;
            way.push(next);
            if (way.length > picture.nodes.length) throw new Error('walks in a circle');
          }
        };
        const rows = new Set(picture.nodes.map(({ row }) => row));
        for (const row of rows) {
          const members = picture.nodes.filter((node) => node.row === row).map(({ index }) => index);
          const left = walk(members[0]!, 'left').at(-1)!;
          const way = walk(left, 'right');
          expect([...way].sort((a, b) => a - b)).toEqual(members);
          expect(walk(way.at(-1)!, 'left')).toEqual([...way].reverse());
        }
        const lowest = picture.nodes.reduce((a, b) => (b.row < a.row ? b : a), picture.nodes[0]!);
        if (picture.nodes.length > 0) expect(walk(lowest.index, 'up')).toHaveLength(rows.size);
      }),
      { numRuns: 40 },
    );
  });

  it('starts at the explained token', () => {
    const [viewer] = fc.sample(arbitraryViewer(), 1);
    const picture = makePicture(viewer!);
    const layout = layoutPicture(picture, { width: 900, height: 600 });
    const start = nextNode(picture, layout, visibleAt(picture, 1, 1), null, 'up');
    expect(picture.nodes[start!]!.isTarget).toBe(true);
  });
});
