/** Numbers of things in words. */

/** 1 feature, 2 features, 1,234 features */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString('en-US')} ${value === 1 ? one : many}`;
}
