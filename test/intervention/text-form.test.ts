import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { UsageError } from '../../src/errors.ts';
import { addressText, type Positions } from '../../src/intervention/intervention.ts';
import { parseAddress, parseIntervention, parseSweep } from '../../src/intervention/text-form.ts';

const index = fc.nat({ max: 1_000_000 });
const signed = fc.integer({ min: -1000, max: 1000 });
const place: fc.Arbitrary<Positions> = fc.oneof(
  signed,
  fc.record({ start: signed, stop: fc.option(signed, { nil: null }) }),
);
const number = fc.double({ noNaN: true, noDefaultInfinity: true });

describe('the text form of an intervention', () => {
  it('reads back every address that messages print', () => {
    fc.assert(
      fc.property(index, place, index, (layer, pos, feature) => {
        const address = { layer, pos, feature };
        expect(parseAddress('--ablate', addressText(address))).toEqual(address);
      }),
    );
  });

  it('reads values, factors and amounts', () => {
    fc.assert(
      fc.property(number, (value) => {
        const [set, scale, add] = ['', '*', '+'].map((sign) =>
          parseIntervention('--set', `1:2:3=${sign}${value}`),
        );
        // JavaScript prints -0 as 0.
        expect(set!.change).toEqual({ kind: 'set', value: value + 0 });
        expect(scale!.change).toEqual({ kind: 'scale', factor: value + 0 });
        expect(add!.change).toEqual({ kind: 'add', amount: value + 0 });
      }),
    );
  });

  it('reads ranges, open ones and positions from the end', () => {
    expect(parseAddress('--set', '0:2..:104').pos).toEqual({ start: 2, stop: null });
    expect(parseAddress('--set', '0:2..5:104').pos).toEqual({ start: 2, stop: 5 });
    expect(parseAddress('--set', '0:-3..-1:104').pos).toEqual({ start: -3, stop: -1 });
    expect(parseAddress('--set', '0:-1:104').pos).toBe(-1);
  });

  it.each([
    '1:2:3',
    '1:2=4',
    '-1:2:3=4',
    '1:x:3=4',
    '1:2:3=',
    '1:2:3=NaN',
    '1:2:3=Infinity',
    '1:2:3=1e999',
    '1:2:3=0x10',
    '1:2:3=*',
    '1:2.5:3=4',
  ])('refuses %s and names the flag', (text) => {
    expect(() => parseIntervention('--set', text)).toThrow(UsageError);
    expect(() => parseIntervention('--set', text)).toThrow(/^--set: expected .+, found '/);
  });

  it('spaces the values of a sweep evenly, both ends included', () => {
    const { address, changes } = parseSweep('--sweep', '20:10:15589=-4..4/9');
    expect(address).toEqual({ layer: 20, pos: 10, feature: 15589 });
    expect(changes).toEqual([-4, -3, -2, -1, 0, 1, 2, 3, 4].map((value) => ({ kind: 'set', value })));
    expect(parseSweep('--sweep', '0:2..:1=*0..1/3').changes).toEqual(
      [0, 0.5, 1].map((factor) => ({ kind: 'scale', factor })),
    );
    expect(parseSweep('--sweep', '0:2:1=+-1..1/2').changes).toEqual(
      [-1, 1].map((amount) => ({ kind: 'add', amount })),
    );
  });

  it.each(['0:1:2=3', '0:1:2=1..2', '0:1:2=1..2/1', '0:1:2=a..2/3', '0:1:2=1..2/2.5'])(
    'refuses %s as a sweep',
    (text) => {
      expect(() => parseSweep('--sweep', text)).toThrow(UsageError);
    },
  );
});
