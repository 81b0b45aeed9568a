/**
 * The library. It has the verbs of the command line, with the same requests and results: a result is what `--json` prints
 * as `data`. To use one model several times, open a session once and use the verbs that end in `In`.
 */
export { load } from './engine/load/load.ts';
export { configure } from './engine/configure/configure.ts';
export { run, runIn } from './engine/run/run.ts';
export { inspect } from './engine/inspect/inspect.ts';
export { attribute, attributeIn, traceGraph } from './engine/attribute/attribute.ts';
export { attributePrompts } from './engine/attribute/prompts.ts';
export { attentionHead, attentionHeadIn } from './engine/attention/head.ts';
export { attentionEdges, attentionEdgesIn } from './engine/attention/edges.ts';
export {
  attentionHeads,
  attentionHeadsIn,
  attentionSummary,
  attentionSummaryIn,
} from './engine/attention/heads.ts';
export { intervene, interveneIn } from './engine/intervene/intervene.ts';
export { interveneBatch, batchIn } from './engine/intervene/batch.ts';
export { intervenePrompts } from './engine/intervene/prompts.ts';
export { sweep, sweepIn } from './engine/intervene/sweep.ts';
export { generate, generateIn } from './engine/generate/generate.ts';
export { validate, validateIn } from './engine/validate/validate.ts';
export { validateCircuit } from './engine/validate/circuit.ts';
export { diffFiles, pathsOfFile, pruneFile, scoreFiles, topOfFile } from './engine/graph/graph.ts';
export { suggestForFile } from './engine/graph/suggest.ts';
export { exportFile, mergeFiles } from './engine/graph/export.ts';
export { report, reportIn } from './engine/report/report.ts';
export { importGraph } from './engine/graph/import.ts';
export { pullGraph } from './engine/graph/pull.ts';
export { uploadGraph } from './engine/graph/upload.ts';
export { collect } from './engine/study/collect.ts';
export { query } from './engine/study/query.ts';
export { common } from './engine/study/common.ts';
export { contrast } from './engine/study/contrast.ts';
export { cluster } from './engine/study/cluster.ts';
export { circuit } from './engine/study/circuit.ts';
export { evaluate, evaluateIn } from './engine/evaluate/evaluate.ts';
export { mergeTraining } from './engine/train/merge.ts';
export { train } from './engine/train/train.ts';
export { buildFeatures } from './engine/features/build.ts';
export { explainFeatures } from './engine/features/explain.ts';
export { fetchFeatures } from './engine/features/fetch.ts';
export { labelFeature, listLabels } from './engine/features/labels.ts';
export { openFeatureSource, type FeatureSource } from './engine/features/source.ts';
export { openSession, type Session, type SessionOptions } from './engine/session.ts';
/** What `tracer setup` and `tracer doctor` do; their reports are those of the backend. */
export { setUpTensorflow as setup, type SetupOptions, type SetupReport } from './backend/install.ts';
export { examine as doctor, type DoctorReport } from './backend/doctor.ts';
export { readGraph, writeGraph } from './graph/files.ts';
export type { Edit, HookName, RunHooks } from './model/hooks.ts';
export type { ForwardOptions, ForwardResult } from './model/transformer.ts';
export type { FeaturePage } from './transcoder/feature-page.ts';
export type { Graph, Provenance } from './graph/graph.ts';
export type { ChatResult } from './engine/chat.ts';
export type * from './engine/request.ts';
export type * from './engine/result.ts';
export type * from './engine/load/types.ts';
export type * from './engine/configure/types.ts';
export type * from './engine/run/types.ts';
export type * from './engine/inspect/types.ts';
export type * from './engine/attribute/types.ts';
export type * from './engine/attention/types.ts';
export type * from './engine/intervene/types.ts';
export type * from './engine/evaluate/types.ts';
export type { ImportRequest, ImportResult } from './engine/graph/import.ts';
export type { MergeRequest, MergeResult } from './engine/train/merge.ts';
export type * from './engine/train/types.ts';
export type * from './engine/features/explain-types.ts';
export type * from './engine/features/fetch-types.ts';
export type * from './engine/features/types.ts';
export type * from './engine/generate/types.ts';
export type * from './engine/report/types.ts';
export type * from './paper/paper.ts';
export type * from './engine/study/types.ts';
export type * from './engine/validate/types.ts';
export {
  BadFileError,
  ExhaustedError,
  EXIT,
  ExpectationError,
  NetworkError,
  NotFoundError,
  TracerError,
  UsageError,
} from './errors.ts';
