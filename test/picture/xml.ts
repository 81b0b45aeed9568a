/** A strict reading of XML 1.0 as far as SVG text needs it: throws where an XML parser would. Gives back the elements. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: XmlElement[];
  text: string;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const TAG = /^<(\/?)([A-Za-z][\w:-]*)((?:\s+[A-Za-z][\w:-]*="[^"<]*")*)\s*(\/?)>/;

export function parseXml(document: string): XmlElement {
  if (/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u.test(document))
    throw new Error('character');
  let rest = document.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\s*/, '');
  const root: XmlElement = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  while (rest !== '') {
    const inside = open.at(-1)!;
    if (!rest.startsWith('<')) {
      const stop = rest.indexOf('<');
      const text = stop < 0 ? rest : rest.slice(0, stop);
      inside.text += unescape(text);
      rest = rest.slice(text.length);
      continue;
    }
    const tag = TAG.exec(rest);
    if (tag === null) throw new Error(`no tag: ${rest.slice(0, 80)}`);
    const [whole, isEnd, name, attributes, isEmpty] = tag as unknown as [
      string,
      string,
      string,
      string,
      string,
    ];
    rest = rest.slice(whole.length);
    if (isEnd !== '') {
      if (open.pop()?.name !== name) throw new Error(`</${name}> ends ${inside.name}`);
      continue;
    }
    const element: XmlElement = { name, attributes: readAttributes(attributes), children: [], text: '' };
    inside.children.push(element);
    if (isEmpty === '') open.push(element);
  }
  if (open.length !== 1 || root.children.length !== 1 || root.text.trim() !== '')
    throw new Error('not one element');
  return root.children[0]!;
}

export function all(element: XmlElement, name: string): XmlElement[] {
  return element.children.flatMap((child) => [...(child.name === name ? [child] : []), ...all(child, name)]);
}

function readAttributes(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/([\w:-]+)="([^"]*)"/g)) {
    if (name! in found) throw new Error(`${name} twice`);
    found[name!] = unescape(value!);
  }
  return found;
}

function unescape(text: string): string {
  return text.replace(/&(#\d+|\w*)(;?)/g, (_, name: string, semicolon: string) => {
    if (semicolon === '') throw new Error(`bare &${name}`);
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)));
    const character = ENTITIES[name];
    if (character === undefined) throw new Error(`unknown &${name};`);
    return character;
  });
}
