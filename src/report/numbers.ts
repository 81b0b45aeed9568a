/** Formats of numbers in all views: bytes, times, probabilities, counts. */

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
const BYTES_PER_STEP = 1024;

const MS_PER_SECOND = 1000;
const SECONDS_PER_MINUTE = 60;
const MINUTES_PER_HOUR = 60;

/** Significant digits in views; `--json` has the full number. */
const SIGNIFICANT_DIGITS = 3;
const DECIMAL_DIGITS = 4;

/** Placeholder for a missing number. */
export const NO_NUMBER = '-';

const groups = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Three significant digits, never in exponent form: 4.87, 48.7, 487, 4872. */
function threeDigits(value: number): string {
  const whole = Math.floor(Math.abs(value)).toString().length;
  return value.toFixed(Math.max(0, SIGNIFICANT_DIGITS - whole));
}

/** 512 B, 1.50 MiB, 4.87 GiB */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return NO_NUMBER;
  let value = bytes;
  let step = 0;
  // 1023.6 would be rounded to 1024, which belongs to the next unit.
  while (Math.round(value) >= BYTES_PER_STEP && step < BYTE_UNITS.length - 1) {
    value /= BYTES_PER_STEP;
    step++;
  }
  return `${step === 0 ? String(value) : threeDigits(value)} ${BYTE_UNITS[step]}`;
}

/** 256,000 */
export function formatCount(count: number): string {
  return groups.format(count);
}

const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });

/** 135M, 2.6B */
export function formatShort(count: number): string {
  return compact.format(count);
}

/** 0.421 ms, 12.3 ms, 1.24 s, 2 min 05 s, 1 h 02 min */
export function formatDuration(durationMs: number): string {
  if (!Number.isFinite(durationMs)) return NO_NUMBER;
  if (durationMs < MS_PER_SECOND) return `${threeDigits(durationMs)} ms`;
  const seconds = durationMs / MS_PER_SECOND;
  if (seconds < SECONDS_PER_MINUTE) return `${threeDigits(seconds)} s`;
  const wholeSeconds = Math.round(seconds);
  const minutes = Math.floor(wholeSeconds / SECONDS_PER_MINUTE);
  if (minutes < MINUTES_PER_HOUR) return `${minutes} min ${twoDigits(wholeSeconds % SECONDS_PER_MINUTE)} s`;
  return `${Math.floor(minutes / MINUTES_PER_HOUR)} h ${twoDigits(minutes % MINUTES_PER_HOUR)} min`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** 41.2 %, 0.05 %, < 0.01 % */
export function formatProbability(probability: number): string {
  const percent = probability * 100;
  if (percent > 0 && percent < 0.01) return '< 0.01 %';
  return `${percent.toFixed(percent < 1 ? 2 : 1)} %`;
}

/** Four significant digits: 18.21, 0.0312, 1.2e-7. Null where a field does not apply. */
export function formatDecimal(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return value === null ? NO_NUMBER : String(value);
  const size = Math.abs(value);
  if (value === 0) return '0';
  return size < 1e-4 || size >= 1e7
    ? value.toExponential(DECIMAL_DIGITS - 1)
    : Number(value.toPrecision(DECIMAL_DIGITS)).toString();
}

/** 1 hook, 2 hooks, 1,024 hooks */
export function formatAmount(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** [32, 560], or [pos, 32] */
export function formatShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}
