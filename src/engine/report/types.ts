/** Engine, verb `report`: types of the request and the result. */
import type { PruneOptions } from '../../graph/prune.ts';
import type { Paper } from '../../paper/paper.ts';
import type { CommonOptions } from '../request.ts';
import type { SavedFileResult } from '../result.ts';

export const REPORT_FORMATS = ['html', 'markdown'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];

export interface ReportRequest extends CommonOptions, PruneOptions {
  /** A graph file, or a viewer's JSON. */
  readonly file: string;
  /** What the page calls the file; default: its name without its folder. */
  readonly fileName?: string | undefined;
  /** Default: `NAME.report.html` or `.md` beside the graph. Markdown has its figure beside it, as `.svg`. */
  readonly output?: string | undefined;
  /** Default: by the extension of `output`, else HTML. */
  readonly format?: ReportFormat | undefined;
  /** `suggested`, `annotated`, or a file with pins and supernodes. Default: annotated where something is pinned, else suggested. */
  readonly circuit?: string | undefined;
  /** Of a suggested circuit. */
  readonly maxBoxes?: number | undefined;
  /**
   * Whether boxes are switched off in the model. Default: yes, if the model is at hand: what the graph names is looked up on this
   * machine alone, and where it is not there the page says so. A model or set that the request names has to be there.
   */
  readonly measure?: boolean | undefined;
  /** Default, also where nothing of it is seen: the prompt. */
  readonly title?: string | undefined;
  /** A folder with pages of features, which is searched first. */
  readonly features?: string | undefined;
}

export interface ReportResult extends Paper {
  readonly file: string;
  readonly format: ReportFormat;
  readonly files: readonly SavedFileResult[];
}

/** A page that is not written yet. */
export interface ComposedReport {
  readonly paper: Paper;
  readonly format: ReportFormat;
  /** The circuit as a document. */
  readonly svg: string;
}
