/** Paper, blocks: the content of the page, independent of the format it is written in. Texts are as they are: writers escape them. */

/** A piece of a line: words, a token or name in the font of code, or what stands out. */
export type Piece =
  | string
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'strong'; readonly text: string }
  | { readonly kind: 'mark'; readonly text: string }
  /** Of the line, inside a cell. */
  | { readonly kind: 'break' };

export type Line = readonly Piece[];

export interface Column {
  readonly title: string;
  readonly align?: 'right' | undefined;
}

/** Rows that belong together: the heading is the first column of the first of them, and in HTML spans all. */
export interface RowGroup {
  readonly heading: Line;
  readonly rows: readonly (readonly Line[])[];
}

export type Block =
  | { readonly kind: 'paragraph'; readonly line: Line }
  | { readonly kind: 'list'; readonly items: readonly Line[] }
  /** With its line breaks. */
  | { readonly kind: 'quotation'; readonly text: string }
  | {
      readonly kind: 'table';
      readonly caption: string;
      /** The first is that of the headings. */
      readonly columns: readonly Column[];
      readonly groups: readonly RowGroup[];
    }
  | { readonly kind: 'figure'; readonly alternative: string; readonly caption: Line };

export interface Section {
  readonly id: string;
  readonly title: string;
  readonly blocks: readonly Block[];
}

export interface PageContent {
  readonly title: string;
  readonly sections: readonly Section[];
  /** The last line of the page. */
  readonly footer: Line;
}

export function code(text: string): Piece {
  return { kind: 'code', text };
}

export function strong(text: string): Piece {
  return { kind: 'strong', text };
}

export const BREAK: Piece = { kind: 'break' };

/** What is read of a piece. */
export function textOf(piece: Piece): string {
  return typeof piece === 'string' ? piece : piece.kind === 'break' ? '' : piece.text;
}

export function paragraph(...line: Line): Block {
  return { kind: 'paragraph', line };
}
