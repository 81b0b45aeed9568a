/** Engine, `report`: which circuit the page shows: a suggested one, what was annotated, or what a file has. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { NotFoundError, UsageError } from '../../errors.ts';
import { jsonObject } from '../../formats/json-object.ts';
import { readJson } from '../../formats/json.ts';
import { checkSchema } from '../../formats/parsed-text.ts';
import {
  annotationsOf,
  annotationsPath,
  annotationsSchema,
  emptyAnnotations,
  readAnnotations,
  type Annotations,
} from '../../graph/annotations.ts';
import type { CircuitOrigin } from '../../paper/paper.ts';
import { annotationsOfCircuit } from '../../suggest/annotate.ts';
import { greedyFeatures } from '../../suggest/greedy.ts';
import { checkLimits, SUGGEST_DEFAULTS } from '../../suggest/limits.ts';
import { subgraphScores, type GraphScores } from '../../graph/scores.ts';
import type { FeatureSource } from '../features/source.ts';
import { suggestFor } from '../graph/suggestible.ts';
import type { OpenedGraph } from './open.ts';
import type { ReportRequest } from './types.ts';

const SUGGESTED = 'suggested';
const ANNOTATED = 'annotated';

export interface ChosenCircuit {
  readonly origin: CircuitOrigin;
  readonly annotations: Annotations;
  /** The file that it was read from; null where it is no file of its own. */
  readonly path: string | null;
  readonly left_out: { readonly n_boxes: number; readonly n_features: number };
  /** Of as many features that were chosen for completeness alone; null for a circuit that was not suggested. */
  readonly greedy: { readonly n_features: number; readonly scores: GraphScores } | null;
}

/** Throws `NotFoundError` for a file that is not there, `UsageError` for one without pins and for limits that do not fit. */
export async function chooseCircuit(
  request: ReportRequest,
  opened: OpenedGraph,
  source: FeatureSource,
): Promise<ChosenCircuit> {
  const { circuit, maxBoxes } = request;
  const limits = { ...SUGGEST_DEFAULTS, ...(maxBoxes !== undefined && { maxBoxes }) };
  checkLimits(limits);
  const found = circuit === SUGGESTED ? null : await annotated(request, opened);
  if (found !== null) {
    if (maxBoxes !== undefined) throw limitOfSuggested(found);
    return found;
  }
  const suggested = await suggestFor(opened, (features) => source.known(features), limits);
  const { small } = suggested.choice;
  const { n_features, left_out } = suggested.circuit;
  return {
    origin: 'suggested',
    annotations: { ...emptyAnnotations(), ...annotationsOfCircuit(suggested.circuit) },
    path: null,
    left_out,
    greedy: { n_features, scores: subgraphScores(small, greedyFeatures(small, n_features)) },
  };
}

/** Null where none was asked for and nothing is pinned. */
async function annotated(request: ReportRequest, { viewer }: OpenedGraph): Promise<ChosenCircuit | null> {
  const rest = { left_out: { n_boxes: 0, n_features: 0 }, greedy: null };
  const { circuit, file } = request;
  const path = namedCircuitFile(request);
  if (path !== null) {
    const annotations = await readNamed(path);
    if (annotations.pinnedIds.length === 0) throw nothingPinned(path);
    return { origin: 'named', annotations, path, ...rest };
  }
  const beside = annotationsPath(file);
  const saved = await readAnnotations(beside);
  const annotations = saved ?? (viewer === undefined ? null : annotationsOf(viewer));
  if (annotations !== null && annotations.pinnedIds.length > 0) {
    return { origin: 'annotated', annotations, path: saved === null ? null : beside, ...rest };
  }
  if (circuit === ANNOTATED) throw nothingPinned(saved === null ? file : beside);
  return null;
}

/** The file that a request names; null for a word instead of one. Errors as `chooseCircuit`. */
export function namedCircuitFile({ circuit, file }: ReportRequest): string | null {
  return circuit === undefined || circuit === SUGGESTED || circuit === ANNOTATED
    ? null
    : annotationsFile(circuit, file);
}

/** A path, or NAME of `NAME.annotations.json` beside the graph. */
function annotationsFile(name: string, graph: string): string {
  if (name === '') {
    throw new UsageError({
      code: 'bad_value',
      message: "--circuit: expected suggested, annotated or a file, found ''",
      hint: 'Is a variable in the line not set?',
    });
  }
  if (existsSync(name)) return name;
  const beside = annotationsPath(path.join(path.dirname(graph), `${name}.json`));
  if (existsSync(beside)) return beside;
  throw new NotFoundError({
    code: 'circuit_not_found',
    message: `--circuit ${name}: there is neither a file ${name} nor ${beside}`,
    hint: 'Give suggested, annotated, or a file with pins and supernodes: `tracer graph suggest --output FILE`, or what `tracer serve` saves.',
  });
}

const InGraph = jsonObject({ qParams: annotationsSchema });

/** Annotations, or a viewer's file with pins: errors name the field of the one that it is. */
async function readNamed(file: string): Promise<Annotations> {
  const found = await readJson(file, v.unknown());
  return typeof found === 'object' && found !== null && 'qParams' in found
    ? checkSchema(file, found, InGraph).qParams
    : checkSchema(file, found, annotationsSchema);
}

function nothingPinned(file: string): UsageError {
  return new UsageError({
    code: 'nothing_pinned',
    message: `${file} has no pinned node, so there is no circuit to show`,
    hint: 'Pin nodes in `tracer serve`, or give --circuit suggested.',
  });
}

function limitOfSuggested({ path }: ChosenCircuit): UsageError {
  return new UsageError({
    code: 'limit_of_suggested',
    message: `--max-boxes is for a suggested circuit, but ${path === null ? 'the pins of the graph file' : `that of ${path}`} would be shown`,
    hint: 'Give --circuit suggested as well, or leave --max-boxes out.',
  });
}
