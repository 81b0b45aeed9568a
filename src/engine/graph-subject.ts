/** Engine: the model and set that a graph file names, for verbs that go on from a graph. */
import { UsageError } from '../errors.ts';
import type { Graph, SourceReference } from '../graph/graph.ts';
import { USUAL_PROMPT } from '../tokenizer/bos.ts';
import type { CommonOptions } from './request.ts';
import type { Session } from './session.ts';

/** The request with what the graph names, unless it names another model or set itself. Throws `UsageError` for a circuit of many prompts. */
export function graphSubject<Request extends CommonOptions>(graph: Graph, request: Request): Request {
  checkIsOfOnePrompt(graph);
  return namedSubject(graph, request);
}

/** As `graphSubject`, also for a circuit of many prompts. */
export function namedSubject<Request extends CommonOptions>(
  { provenance }: Graph,
  request: Request,
): Request {
  const { model, transcoders } = provenance;
  return {
    ...request,
    model: request.model ?? (request.transcoders === undefined ? sourceName(model) : undefined),
    transcoders: request.transcoders ?? sourceName(transcoders),
  };
}

/** Of the graph, whatever the model is called now. */
export function ignoredPositions({ provenance: { options } }: Graph): number {
  const recorded = options['ignored_positions'];
  return typeof recorded === 'number' ? recorded : USUAL_PROMPT.n_ignored;
}

/** As `--model` takes it, at the revision that the graph was made with. */
function sourceName({ name, revision }: SourceReference): string {
  return revision === null ? name : `${name}@${revision}`;
}

/** Throws `UsageError` for a graph of another depth, and for a circuit of many prompts. */
export function checkFits(session: Session, graph: Graph): void {
  checkIsOfOnePrompt(graph);
  checkDepth(session, graph);
}

/** Throws `UsageError` for a graph of another depth. */
export function checkDepth({ replacement, description }: Session, { layout }: Graph): void {
  const { n_layers } = replacement.model.config;
  if (layout.n_layers === n_layers) return;
  throw new UsageError({
    code: 'other_model',
    message: `the graph was made with a model of ${layout.n_layers} layers; ${description.model} has ${n_layers}`,
    hint: 'Name the model and the set that the graph was made with: --model, --transcoders.',
  });
}

/** What `graph circuit` wrote has means over prompts, which no pass of a model gives. */
function checkIsOfOnePrompt({ provenance: { options } }: Graph): void {
  if (options['consensus'] === undefined) return;
  throw new UsageError({
    code: 'graph_of_many_prompts',
    message:
      'the graph is a circuit of many prompts (`tracer graph circuit`), and no prompt of its own can be run',
    hint: 'Name the graph of one of these prompts; `tracer graph validate CIRCUIT --study STUDY` tries the circuit on others.',
  });
}
