/**
 * Picture, colours: a light and a dark theme. The sign is blue or orange, which colour-blind people can distinguish; strength is
 * lightness, which also works in grey.
 */

export type ThemeName = 'light' | 'dark';

export interface Theme {
  readonly background: string;
  readonly text: string;
  readonly muted: string;
  readonly grid: string;
  /** Background of every second row. */
  readonly band: string;
  /** Marks by kind. */
  readonly feature: string;
  readonly error: string;
  readonly embedding: string;
  readonly logit: string;
  readonly markLine: string;
  /** Links of nodes that are neither hovered nor clicked. */
  readonly backgroundLink: string;
  readonly hovered: string;
  readonly clicked: string;
  readonly pinned: string;
  readonly found: string;
  readonly box: string;
  readonly boxLine: string;
  readonly groupBox: string;
  /** From weak to strong; the weakest is still visible on the background. */
  readonly positive: readonly string[];
  readonly negative: readonly string[];
}

export const THEMES: Readonly<Record<ThemeName, Theme>> = {
  light: {
    background: '#ffffff',
    text: '#1b1f24',
    muted: '#57606a',
    grid: '#d8dee4',
    band: '#f6f8fa',
    feature: '#ffffff',
    error: '#ffffff',
    embedding: '#e6eaef',
    logit: '#e6eaef',
    markLine: '#57606a',
    backgroundLink: '#8c959f',
    hovered: '#1b1f24',
    clicked: '#b4007d',
    pinned: '#1b1f24',
    found: '#b58900',
    box: '#ffffff',
    boxLine: '#57606a',
    groupBox: '#eef2f6',
    positive: ['#b8d2ea', '#94c4df', '#6baed6', '#4292c6', '#2171b5', '#08519c', '#08306b'],
    negative: ['#fdc894', '#fdae6b', '#fd8d3c', '#f16913', '#d94801', '#a63603', '#7f2704'],
  },
  dark: {
    background: '#14181d',
    text: '#e6edf3',
    muted: '#9da7b3',
    grid: '#2b323b',
    band: '#191e24',
    feature: '#14181d',
    error: '#14181d',
    embedding: '#2f3742',
    logit: '#2f3742',
    markLine: '#9da7b3',
    backgroundLink: '#6e7781',
    hovered: '#ffffff',
    clicked: '#ff7ad1',
    pinned: '#ffffff',
    found: '#e3b341',
    box: '#1c2229',
    boxLine: '#9da7b3',
    groupBox: '#262d36',
    positive: ['#2f5f86', '#3a72a0', '#4686ba', '#5b9dd3', '#7db6e4', '#a6cff0', '#d4e9fa'],
    negative: ['#8c5220', '#a35f1f', '#bd6d1f', '#d5802f', '#ea9a55', '#f5b98a', '#fbdcc4'],
  },
};

/** Share of a link among the inputs of its target from which on it has the strongest colour: larger shares are rare. */
const FULL_SHARE = 0.4;

/** Strength of a link, 0 to 1, by the square root of its share (−1 to 1), since most shares are small. */
export function strength(share: number): number {
  return Math.sqrt(Math.min(1, Math.abs(share) / FULL_SHARE));
}

/** Colour of a share of influence, −1 to 1. */
export function weightColour(share: number, theme: ThemeName): string {
  const scale = share < 0 ? THEMES[theme].negative : THEMES[theme].positive;
  return scale[strengthStep(share)]!;
}

/** Number of steps of the colour scales. */
export const STRENGTH_STEPS = THEMES.light.positive.length;

/** Index in the colour scales, 0 to `STRENGTH_STEPS` − 1. */
export function strengthStep(share: number): number {
  return Math.min(STRENGTH_STEPS - 1, Math.floor(strength(share) * STRENGTH_STEPS));
}
