/** Engine, verb `graph import`: a graph of circuit-tracer as a graph file. Nothing of the pickle in it is run. */
import { readCircuitTracerGraph } from '../../graph/circuit-tracer.ts';
import { writeGraph } from '../../graph/files.ts';
import type { Graph } from '../../graph/graph.ts';
import { graphScores, type GraphScores } from '../../graph/scores.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { tokenizerOfModel } from '../opened-subject.ts';
import { packageVersion } from '../provenance.ts';
import type { CommonOptions } from '../request.ts';
import type { SavedFileResult } from '../result.ts';
import { writtenFile } from '../written-file.ts';
import { checkGraphOutput } from '../graph-output.ts';
import { refuseInputs } from '../refuse-inputs.ts';

export interface ImportRequest extends Omit<CommonOptions, 'transcoders'> {
  /** What `Graph.to_pt` wrote. */
  readonly file: string;
  /** Graph file to write. */
  readonly output: string;
}

export interface ImportResult {
  readonly file: string;
  readonly prompt: string;
  /** As the file names them; 'unknown' where it does not. */
  readonly model: string;
  readonly scan: string;
  readonly n_features: number;
  readonly n_active_features: number;
  readonly n_layers: number;
  readonly n_tokens: number;
  readonly n_logits: number;
  readonly scores: GraphScores;
  readonly files: readonly SavedFileResult[];
}

/**
 * Writes the graph file. The file has no texts of the prompt's tokens: they come from the tokenizer of `model`, and without one
 * tokens are named by their ids. Throws what `readCircuitTracerGraph` and `writeGraph` throw, and `UsageError` for an output
 * that is the input.
 */
export async function importGraph(request: ImportRequest): Promise<ImportResult> {
  const { file, output, signal } = request;
  checkGraphOutput(output);
  await refuseInputs([output], [file]);
  const tokenizer = request.model === undefined ? undefined : await tokenizerOfModel(request);
  const graph = await readCircuitTracerGraph(file, {
    tracer_version: packageVersion(),
    tokenStrings: tokenizer && ((ids) => tokenizer.tokenStrings(ids)),
  });
  noteOtherTokenizer(graph, tokenizer, request);
  await writeGraph(output, graph, { signal });
  const { layout, provenance } = graph;
  return {
    file,
    prompt: provenance.prompt,
    model: provenance.model.name,
    scan: provenance.scan,
    n_features: layout.n_features,
    n_active_features: graph.activation_values.length,
    n_layers: layout.n_layers,
    n_tokens: layout.n_pos,
    n_logits: layout.n_logits,
    scores: graphScores(graph),
    files: [await writtenFile(output)],
  };
}

/** The prompt was decoded from the same ids, so that another text is that of another tokenizer. */
function noteOtherTokenizer(graph: Graph, tokenizer: Tokenizer | undefined, request: ImportRequest): void {
  const { prompt } = graph.provenance;
  const decoded = tokenizer?.decode(graph.input_tokens);
  if (decoded === undefined || decoded === prompt) return;
  const message = `${request.model} reads the tokens as ${JSON.stringify(decoded)}, the file says ${JSON.stringify(prompt)}: is it the model of the graph?`;
  request.onProgress?.({ kind: 'warning', message });
}
