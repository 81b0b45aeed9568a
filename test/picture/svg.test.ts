import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readViewerGraph } from '../../src/graph/read-viewer.ts';
import { makePicture } from '../../src/picture/picture.ts';
import { lettersOf, shownLines, shownToken } from '../../src/picture/shown.ts';
import { subgraphSvg } from '../../src/picture/subgraph-svg.ts';
import { graphSvg } from '../../src/picture/svg.ts';
import { strengthStep, THEMES, weightColour } from '../../src/picture/theme.ts';
import { visibleAt } from '../../src/picture/visible.ts';
import { arbitraryViewer, smallViewer } from './graphs.ts';
import { all, parseXml } from './xml.ts';

const picture = makePicture(smallViewer());
const nasty = `<script>alert("1")</script> & ]]> \u0000 \ud800 ' "`;

describe('the picture as SVG', () => {
  it('is well-formed whatever tokens and labels hold, and says what it shows', () => {
    fc.assert(
      fc.property(arbitraryViewer(), fc.string({ unit: 'binary' }), (viewer, label) => {
        const random = makePicture(viewer);
        const labelOf = (): string => label;
        const svg = parseXml(graphSvg(random, { labelOf, title: label, clicked: random.nodes[0]!.id }));
        expect(svg.attributes['aria-labelledby']).toBe('title desc');
        expect(svg.children.slice(0, 2).map(({ name }) => name)).toEqual(['title', 'desc']);
        const marks = all(svg, 'path').filter(({ children }) =>
          children.some(({ name }) => name === 'title'),
        );
        expect(marks).toHaveLength(random.nodes.length);
        const pinnedIds = random.nodes.map(({ id }) => id);
        const boxes = parseXml(
          subgraphSvg(random, { pinnedIds, labelOf, supernodes: [[label, ...pinnedIds]] }),
        );
        expect(all(boxes, 'rect').length).toBe(2);
      }),
      { numRuns: 60 },
    );
  });

  it('shows a label that contains markup as text', () => {
    for (const text of [
      graphSvg(picture, { labelOf: () => nasty, title: nasty }),
      subgraphSvg(picture, { pinnedIds: ['0_5_1'], labelOf: () => nasty, title: nasty }),
    ]) {
      const svg = parseXml(text);
      expect(all(svg, 'script')).toEqual([]);
      expect(JSON.stringify(svg)).toContain('<script>alert');
    }
  });

  it('draws every link that is seen once, and none that is not', () => {
    const lines = (svg: string): number => [...svg.matchAll(/M[\d.]+ [\d.]+L[\d.]+ [\d.]+(?=["M])/g)].length;
    expect(lines(graphSvg(picture))).toBe(picture.linkCount);
    const visible = visibleAt(picture, 0.5, 1);
    expect(visible.linkCount).toBeLessThan(picture.linkCount);
    expect(lines(graphSvg(picture, { visible }))).toBe(visible.linkCount);
  });

  it('names boxes and summed weights in its description', () => {
    const svg = parseXml(subgraphSvg(picture, { pinnedIds: ['0_5_1', '1_7_1'] }));
    const description = svg.children.find(({ name }) => name === 'desc')!.text;
    expect(description).toContain('2 boxes: "capital <b>&amp;", "1/7"');
    expect(description).toContain('"capital <b>&amp;" to "1/7" 3');
  });

  it('has weights beside its links that neither a box nor another weight covers', () => {
    let shown = 0;
    fc.assert(
      fc.property(arbitraryViewer(), (viewer) => {
        const random = makePicture(viewer);
        const pinnedIds = random.nodes.slice(0, 12).map(({ id }) => id);
        const svg = parseXml(subgraphSvg(random, { pinnedIds, weights: 16, height: 'fitted' }));
        const number = (value: string | undefined): number => Number(value);
        const boxes = all(svg, 'rect')
          .slice(1)
          .map(({ attributes: { x, y, width, height } }) => {
            const [left, top] = [number(x), number(y)];
            return { left, top, right: left + number(width), bottom: top + number(height) };
          });
        const weights = all(svg, 'text')
          .filter(({ attributes }) => attributes['paint-order'] === 'stroke')
          .map(({ text, attributes: { x, y, 'font-size': size } }) => {
            const [half, height] = [(text.length * 0.55 * number(size)) / 2, number(size)];
            return {
              left: number(x) - half,
              right: number(x) + half,
              top: number(y) - height * 0.8,
              bottom: number(y),
            };
          });
        shown += weights.length;
        expect(weights.length).toBeLessThanOrEqual(16);
        for (const [i, one] of weights.entries()) {
          for (const other of [...boxes, ...weights.slice(0, i)]) {
            const isApart =
              one.right <= other.left ||
              one.left >= other.right ||
              one.bottom <= other.top ||
              one.top >= other.bottom;
            expect(isApart).toBe(true);
          }
        }
      }),
      { numRuns: 40, seed: 1 },
    );
    expect(shown).toBeGreaterThan(40);
  });

  it.each(['light', 'dark'] as const)('has the colours of the %s theme', (theme) => {
    expect(graphSvg(picture, { theme })).toContain(`fill="${THEMES[theme].background}"`);
    expect(subgraphSvg(picture, { theme, pinnedIds: [] })).toContain(`fill="${THEMES[theme].background}"`);
  });

  it('is made of every graph file that the reference wrote', async () => {
    for (const fixture of ['tiny-a', 'tiny-b']) {
      const folder = path.join(import.meta.dirname, '../fixtures/golden', fixture, 'expected/graph-files');
      for (const name of readdirSync(folder).filter((file) => file !== 'graph-metadata.json')) {
        const read = makePicture(await readViewerGraph(path.join(folder, name)));
        const svg = parseXml(graphSvg(read));
        expect(all(svg, 'path').length).toBeGreaterThan(read.nodes.length);
      }
    }
  });
});

describe('colours', () => {
  it.each(['light', 'dark'] as const)(
    'get steadily stronger on the %s background, for both signs',
    (name) => {
      const { positive, negative, background } = THEMES[name];
      for (const scale of [positive, negative]) {
        const contrasts = scale.map((colour) => contrast(colour, background));
        expect(contrasts).toEqual([...contrasts].sort((a, b) => a - b));
        expect(contrasts[0]).toBeGreaterThan(1.4);
        expect(contrasts.at(-1)).toBeGreaterThan(7);
      }
    },
  );

  it.each(['light', 'dark'] as const)('keep text readable in the %s theme', (name) => {
    const { text, muted, background, box, groupBox } = THEMES[name];
    for (const paper of [background, box, groupBox]) {
      expect(contrast(text, paper)).toBeGreaterThan(7);
      expect(contrast(muted, paper)).toBeGreaterThan(4.5);
    }
  });

  it('tell sign by hue and strength by step', () => {
    expect(weightColour(0.01, 'light')).not.toBe(weightColour(-0.01, 'light'));
    expect(strengthStep(0)).toBe(0);
    expect(strengthStep(-1)).toBe(strengthStep(0.5));
    expect(strengthStep(0.1)).toBeGreaterThan(strengthStep(0.02));
  });
});

describe('text in a picture', () => {
  it('shows what cannot be seen, and cuts what is too long', () => {
    expect(shownToken(' a\nb\u202e', 20)).toBe('·a⏎b\\u{202e}');
    expect(shownToken('', 5)).toBe('""');
    expect(shownToken('abcdefgh', 5)).toBe('abcd…');
  });

  it('breaks a label at spaces into lines that fit, and loses nothing that fits', () => {
    expect(shownLines('the capital of Texas', 12, 2)).toEqual(['the capital', 'of Texas']);
    fc.assert(
      fc.property(
        fc.string(),
        fc.integer({ min: 4, max: 30 }),
        fc.integer({ min: 1, max: 3 }),
        (label, letters, most) => {
          const lines = shownLines(label, letters, most);
          expect(lines.length).toBeLessThanOrEqual(most);
          for (const line of lines) expect(lettersOf(line)).toBeLessThanOrEqual(letters);
        },
      ),
    );
  });
});

function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** Relative luminance of `#rrggbb` (WCAG 2). */
function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}
