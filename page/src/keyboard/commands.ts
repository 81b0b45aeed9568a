/** Page, keyboard: the table of keys and their commands, which the help dialog lists. */
import type { Direction } from '../../../src/picture/navigate.ts';
import {
  click,
  followStrongest,
  groupMarked,
  labelFocus,
  markClicked,
  moveThreshold,
  nextFound,
  pinClicked,
  suggestOrNot,
} from '../actions.ts';
import { announce, dialog, lowerTab, toggleTheme, upperTab } from '../store/ui.ts';
import { redo, undo } from '../store/annotations.ts';
import { shareableLink } from '../store/sync.ts';
import { clickedId, fetchMore, hoveredId, searchText } from '../store/opened.ts';
import { stopJob } from '../store/jobs.ts';
import { graphView, moveHover } from './graph-keys.ts';

export interface Command {
  /** As shown in the help; several are alternatives. */
  readonly keys: readonly string[];
  readonly title: string;
  /** `graph`: only while the drawn graph has the focus. */
  readonly where: 'anywhere' | 'graph';
  readonly group: 'Panels' | 'Move in the graph' | 'Annotate' | 'Prune and search' | 'Page';
  readonly run: () => void;
}

const NODE_STEP = 0.02;
const EDGE_STEP = 0.01;
const ZOOM_STEP = 1.4;

const walkKey = (key: string, direction: Direction): Command => ({
  keys: [key],
  title: `The next node ${{ left: 'to the left', right: 'to the right', up: 'above', down: 'below' }[direction]}`,
  where: 'graph',
  group: 'Move in the graph',
  run: () => moveHover(direction),
});

const goTo = (key: string, title: string, id: string, before: () => void = () => undefined): Command => ({
  keys: [key],
  title,
  where: 'anywhere',
  group: 'Panels',
  run: () => {
    before();
    focusOn(id);
  },
});

export const COMMANDS: readonly Command[] = [
  goTo('1', 'Graph', 'graph-drawing'),
  goTo('2', 'Connections of the clicked node', 'upper', () => (upperTab.value = 'connections')),
  goTo('3', 'List of nodes', 'upper', () => (upperTab.value = 'nodes')),
  goTo('4', 'Subgraph', 'subgraph'),
  goTo('5', 'Feature', 'lower', () => (lowerTab.value = 'feature')),
  goTo('6', 'Try out', 'lower', () => (lowerTab.value = 'try')),
  goTo('7', 'About this graph', 'lower', () => (lowerTab.value = 'about')),
  goTo('8', 'Attention', 'lower', () => (lowerTab.value = 'attention')),
  {
    keys: ['o'],
    title: 'Open a graph',
    where: 'anywhere',
    group: 'Panels',
    run: () => (dialog.value = 'graphs'),
  },
  {
    keys: ['?'],
    title: 'This help',
    where: 'anywhere',
    group: 'Panels',
    run: () => (dialog.value = 'help'),
  },

  walkKey('ArrowLeft', 'left'),
  walkKey('ArrowRight', 'right'),
  walkKey('ArrowUp', 'up'),
  walkKey('ArrowDown', 'down'),
  {
    keys: ['Enter'],
    title: 'Click the node',
    where: 'graph',
    group: 'Move in the graph',
    run: () => click(hoveredId.value ?? (clickedId.value === '' ? null : clickedId.value)),
  },
  {
    keys: [','],
    title: 'To the strongest input',
    where: 'anywhere',
    group: 'Move in the graph',
    run: () => followStrongest('inputs'),
  },
  {
    keys: ['.'],
    title: 'To the strongest output',
    where: 'anywhere',
    group: 'Move in the graph',
    run: () => followStrongest('outputs'),
  },
  {
    keys: ['+', '='],
    title: 'Zoom in',
    where: 'anywhere',
    group: 'Move in the graph',
    run: () => graphView()?.zoomBy(ZOOM_STEP),
  },
  {
    keys: ['-'],
    title: 'Zoom out',
    where: 'anywhere',
    group: 'Move in the graph',
    run: () => graphView()?.zoomBy(1 / ZOOM_STEP),
  },
  {
    keys: ['0'],
    title: 'Show all',
    where: 'anywhere',
    group: 'Move in the graph',
    run: () => graphView()?.resetZoom(),
  },
  {
    keys: ['Escape'],
    title: 'Deselect the node',
    where: 'anywhere',
    group: 'Move in the graph',
    run: deselect,
  },

  { keys: ['p'], title: 'Pin or unpin the node', where: 'anywhere', group: 'Annotate', run: pinClicked },
  {
    keys: ['g'],
    title: 'Mark the clicked node for grouping',
    where: 'anywhere',
    group: 'Annotate',
    run: markClicked,
  },
  { keys: ['G'], title: 'Group what is marked', where: 'anywhere', group: 'Annotate', run: groupMarked },
  { keys: ['e'], title: 'Edit the label', where: 'anywhere', group: 'Annotate', run: editLabel },
  {
    keys: ['s'],
    title: 'Take the suggested circuit away, or show it',
    where: 'anywhere',
    group: 'Annotate',
    run: suggestOrNot,
  },
  { keys: ['Ctrl+z'], title: 'Undo', where: 'anywhere', group: 'Annotate', run: undo },
  { keys: ['Ctrl+Z', 'Ctrl+y'], title: 'Redo', where: 'anywhere', group: 'Annotate', run: redo },

  {
    keys: ['/'],
    title: 'Search labels and tokens',
    where: 'anywhere',
    group: 'Prune and search',
    run: () => focusOn('search'),
  },
  { keys: ['n'], title: 'Next hit', where: 'anywhere', group: 'Prune and search', run: () => nextFound(1) },
  {
    keys: ['N'],
    title: 'Previous hit',
    where: 'anywhere',
    group: 'Prune and search',
    run: () => nextFound(-1),
  },
  {
    keys: ['['],
    title: 'Fewer nodes',
    where: 'anywhere',
    group: 'Prune and search',
    run: () => prune('node', -NODE_STEP),
  },
  {
    keys: [']'],
    title: 'More nodes',
    where: 'anywhere',
    group: 'Prune and search',
    run: () => prune('node', NODE_STEP),
  },
  {
    keys: ['{'],
    title: 'Fewer links',
    where: 'anywhere',
    group: 'Prune and search',
    run: () => prune('edge', -EDGE_STEP),
  },
  {
    keys: ['}'],
    title: 'More links',
    where: 'anywhere',
    group: 'Prune and search',
    run: () => prune('edge', EDGE_STEP),
  },

  { keys: ['x'], title: 'Export', where: 'anywhere', group: 'Page', run: () => (dialog.value = 'export') },
  {
    keys: ['l'],
    title: 'Copy the link to this view',
    where: 'anywhere',
    group: 'Page',
    run: () => void copyLink(),
  },
  { keys: ['m'], title: 'Light or dark', where: 'anywhere', group: 'Page', run: toggleTheme },
  {
    keys: ['c'],
    title: 'Cancel the running job',
    where: 'anywhere',
    group: 'Page',
    run: () => void stopJob(),
  },
];

export async function copyLink(): Promise<void> {
  const link = shareableLink();
  try {
    await navigator.clipboard.writeText(link);
    announce('Link copied.');
  } catch {
    announce('The browser does not allow copying; the link is in the address bar.');
  }
}

function editLabel(): void {
  if (clickedId.value === '') return;
  lowerTab.value = 'feature';
  labelFocus.value += 1;
}

function deselect(): void {
  if (hoveredId.value !== null) hoveredId.value = null;
  else if (clickedId.value !== '') clickedId.value = '';
  else searchText.value = '';
}

function prune(which: 'node' | 'edge', by: number): void {
  moveThreshold(which, by);
  void fetchMore();
}

/** Without delay, so that the next key goes to the element. */
function focusOn(id: string): void {
  document.getElementById(id)?.focus();
}
