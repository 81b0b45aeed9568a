/** Page, parts: formats of numbers, tokens and times. */

const SMALL = 0.001;
const LARGE = 10_000;
const PERCENT = 100;

/** Three significant digits, a true minus sign. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < SMALL || size >= LARGE)
      ? value.toExponential(1)
      : String(Number(value.toPrecision(3)));
  return text.replace('-', '−');
}

export function signed(value: number): string {
  return value > 0 ? `+${number(value)}` : number(value);
}

export function percent(share: number): string {
  const value = share * PERCENT;
  const digits = Math.abs(value) >= 10 ? 0 : Math.abs(value) >= 1 ? 1 : 2;
  return `${value.toFixed(digits).replace('-', '−')} %`;
}

export function signedPercent(share: number): string {
  return share > 0 ? `+${percent(share)}` : percent(share);
}

/** A token with its spaces and line breaks made visible. */
export function visibleToken(token: string): string {
  return token.replace(/ /g, '·').replace(/\n/g, '⏎').replace(/\t/g, '⇥');
}

export function time(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '';
  return new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' }).format(ms);
}

export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${Number((bytes / 1000 ** step).toPrecision(3))} ${units[step]}`;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}
