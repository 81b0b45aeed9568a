/** Markdown as its reader sees it, by the parser that prettier has (remark, with GitHub's extensions). */
import { parsers } from 'prettier/plugins/markdown';

export interface MarkdownNode {
  readonly type: string;
  readonly value?: string;
  readonly children?: readonly MarkdownNode[];
}

/** All nodes, in the order of the text. */
export function nodesOf(text: string): MarkdownNode[] {
  const parse = parsers.markdown.parse as (text: string, options: object) => MarkdownNode;
  const found: MarkdownNode[] = [];
  const walk = (node: MarkdownNode): void => {
    found.push(node);
    node.children?.forEach(walk);
  };
  walk(parse(text, { originalText: text }));
  return found;
}

/** Cells of each row of each table. */
export function tablesOf(text: string): (readonly MarkdownNode[])[][] {
  return nodesOf(text)
    .filter(({ type }) => type === 'table')
    .map(({ children = [] }) => children.map((row) => row.children ?? []));
}
