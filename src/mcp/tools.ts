/** Mcp: all tools, in the order in which they are listed. A new one is a file in `tools/` and a line here. */
import type { Tool } from './tool.ts';
import { attribute } from './tools/attribute.ts';
import { graphPaths, graphSuggest, graphTop } from './tools/graph.ts';
import { inspectFeature, inspectModel } from './tools/inspect.ts';
import { intervene } from './tools/intervene.ts';
import { graphReport } from './tools/report.ts';
import { run } from './tools/run.ts';
import { validate } from './tools/validate.ts';

export const TOOLS: readonly Tool[] = [
  inspectModel,
  run,
  attribute,
  graphTop,
  graphPaths,
  graphSuggest,
  graphReport,
  inspectFeature,
  intervene,
  validate,
];
