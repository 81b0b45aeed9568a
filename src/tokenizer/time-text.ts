/** Tokenizer, chat: a time as Python's `strftime` writes it in the C locale, for templates that name the day. */

const MONTHS = 'January February March April May June July August September October November December'.split(
  ' ',
);
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
const SHORT = 3;
const HALF_DAY = 12;

const two = (value: number): string => String(value).padStart(2, '0');

const DIRECTIVES: Readonly<Record<string, (time: Date) => string>> = {
  Y: (time) => String(time.getFullYear()),
  y: (time) => two(time.getFullYear() % 100),
  m: (time) => two(time.getMonth() + 1),
  B: (time) => MONTHS[time.getMonth()]!,
  b: (time) => MONTHS[time.getMonth()]!.slice(0, SHORT),
  d: (time) => two(time.getDate()),
  A: (time) => DAYS[time.getDay()]!,
  a: (time) => DAYS[time.getDay()]!.slice(0, SHORT),
  H: (time) => two(time.getHours()),
  I: (time) => two(time.getHours() % HALF_DAY || HALF_DAY),
  p: (time) => (time.getHours() < HALF_DAY ? 'AM' : 'PM'),
  M: (time) => two(time.getMinutes()),
  S: (time) => two(time.getSeconds()),
  '%': () => '%',
};

/** Local time. Throws for a directive that is not known. */
export function timeText(time: Date, format: string): string {
  return format.replace(/%(.?)/gs, (whole, name: string) => {
    if (Object.hasOwn(DIRECTIVES, name)) return DIRECTIVES[name]!(time);
    throw new Error(`strftime_now: ${whole} is not known`);
  });
}
