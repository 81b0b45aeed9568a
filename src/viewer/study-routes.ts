/** Viewer, routes of studies: list them, the groups of one, the graphs behind a feature or a link. `api.ts` describes them. */
import { Hono, type Context } from 'hono';
import path from 'node:path';
import { UsageError } from '../errors.ts';
import { asciiName, viewerSlug } from '../graph/slug.ts';
import { graphsBehind, type GraphBehind, type Sought } from '../study/behind.ts';
import { groupColumns } from '../study/groups.ts';
import { openStudy } from '../study/open.ts';
import { columnOf } from '../study/selection.ts';
import type { ViewerEnv } from './access.ts';
import type { GraphsBehind, StudyDetail, StudyList } from './api.ts';
import type { GraphStore, StoredGraph } from './graph-store.ts';
import { readCount } from './request-bodies.ts';
import type { Studies } from './studies.ts';

const END = /^(?:token|answer|\d{1,15}\/\d{1,15})$/;

export function studyRoutes(studies: Studies, store: GraphStore): Hono<ViewerEnv> {
  const routes = new Hono<ViewerEnv>();
  routes.get('/', async (context) => {
    const list: StudyList = { studies: await studies.list() };
    return context.json(list);
  });
  routes.get('/:name', async (context) => {
    const { name, folder, description } = await studies.find(context.req.param('name'));
    using study = await openStudy(folder);
    const { n_graphs, scan, model, transcoders } = description;
    const detail: StudyDetail = {
      ...{ name, n_graphs, scan, model: model.name, transcoders: transcoders.name },
      columns: await groupColumns(study),
    };
    return context.json(detail);
  });
  routes.get('/:name/graphs', async (context) => {
    const found = await studies.find(context.req.param('name'));
    const column = columnOf(found, needed(context, 'by'));
    const groups = [needed(context, 'a'), needed(context, 'b')];
    const sought = soughtIn(context);
    using study = await openStudy(found.folder);
    const served = new ServedNames(store.known, found.description.scan);
    const graphs = await graphsBehind(study, column, groups, sought);
    const answer: GraphsBehind = { graphs: graphs.map((graph) => ({ ...graph, served: served.of(graph) })) };
    return context.json(answer);
  });
  return routes;
}

/** Finds the graphs of a study among those that are served: by the name of the file, the set, and the prompt. */
class ServedNames {
  readonly #byName = new Map<string, StoredGraph[]>();

  constructor(graphs: readonly StoredGraph[], scan: string) {
    for (const graph of graphs) {
      if (graph.problem !== null || asciiName(graph.scan) !== asciiName(scan)) continue;
      const { name } = path.parse(graph.candidate.path);
      this.#byName.set(name, [...(this.#byName.get(name) ?? []), graph]);
    }
  }

  of({ file, prompt }: GraphBehind): string | null {
    const { name } = path.parse(file);
    // A viewer file has the ASCII form of the name; a file has the prompt with special tokens, or in the template of a chat.
    const found = [name, viewerSlug(name)].flatMap((one) => this.#byName.get(one) ?? []);
    return found.find((graph) => plain(graph.prompt).includes(plain(prompt)))?.slug ?? null;
  }
}

/** Tokenizers change spaces. */
function plain(text: string): string {
  return text.replaceAll(/\s+/g, '');
}

function needed(context: Context, name: string): string {
  const value = context.req.query(name);
  if (value !== undefined) return value;
  throw new UsageError({
    code: 'missing_value',
    message: `${name} is missing: a column is expected in by, and two of its values in a and b`,
  });
}

function soughtIn(context: Context): Sought {
  const [feature, source, target] = ['feature', 'source', 'target'].map((name) => context.req.query(name));
  if (feature !== undefined) {
    const [layer = '', index = '', ...rest] = feature.split('/');
    if (rest.length > 0) throw badEnd('feature', feature);
    return { layer: readCount('feature', layer), feature: readCount('feature', index) };
  }
  return { source: endIn('source', source), target: endIn('target', target) };
}

function endIn(name: string, text = ''): string {
  if (END.test(text)) return text;
  throw badEnd(name, text);
}

function badEnd(name: string, text: string): UsageError {
  return new UsageError({
    code: 'bad_value',
    message: `${name}: expected a feature (1/392), token or answer, found ${JSON.stringify(text)}`,
    hint: 'Give feature=LAYER/INDEX, or source and target of a link.',
  });
}
