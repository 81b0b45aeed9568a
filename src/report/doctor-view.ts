/** View of `doctor`: what works, what does not and why, and how to fix it. */
import type { BackendFinding, DoctorReport, FolderFinding, ToolFinding } from '../backend/doctor.ts';
import type { CudaCardFinding } from '../backend/cuda-cards.ts';
import { formatBytes, NO_NUMBER } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Cell } from './table.ts';
import { printable, printableLines } from './text.ts';

const right = 'right' as const;

function verdict(ok: boolean, screen: Screen): Cell {
  return ok ? { text: 'yes', paint: screen.paint.green } : { text: 'no', paint: screen.paint.yellow };
}

function backendTable(backends: readonly BackendFinding[], screen: Screen): string {
  const rows = backends.map((backend) => {
    const why = [backend.reason, backend.hint].filter((text) => text !== null).join('\n');
    return [
      backend.device,
      verdict(backend.ok, screen),
      printableLines(backend.ok ? versionText(backend) : why),
    ];
  });
  return table([{ title: 'device' }, { title: 'works' }, { title: 'version, or why not' }], rows, screen);
}

function versionText({ version, kernel }: BackendFinding): string {
  return [version, kernel && `${kernel} products`].filter(Boolean).join(', ');
}

/** Adapters of WebGPU; null where there is none. */
function adapterTable({ webgpu }: DoctorReport, screen: Screen): string | null {
  if (webgpu === null) return null;
  const columns = [
    { title: 'adapter' },
    { title: 'kind' },
    { title: 'largest buffer', align: right },
    { title: 'read by a shader', align: right },
    { title: 'products', align: right },
  ];
  const rows = webgpu.adapters.map((adapter) => [
    printable(adapter.name),
    adapter.is_software ? 'software' : 'graphics card',
    formatBytes(adapter.max_buffer_bytes),
    formatBytes(adapter.max_binding_bytes),
    adapter.is_taken ? `${Number(webgpu.product_gflops.toPrecision(PRODUCT_DIGITS))} GFLOP/s` : NO_NUMBER,
  ]);
  return table(columns, rows, screen);
}

/** A short measurement says no more. */
const PRODUCT_DIGITS = 2;

function machineFacts({ node, system, processor, memory }: DoctorReport, screen: Screen): string {
  const { glibc } = system;
  const limit = memory.limit_bytes === null ? '' : `, limited to ${formatBytes(memory.limit_bytes)}`;
  const bfloat16 = processor.bfloat16_instructions;
  const nodeText: Cell = node.ok
    ? printable(node.version)
    : { text: printable(`${node.version}, but ${node.needed} is needed`), paint: screen.paint.red };
  return facts(
    [
      ['Node', nodeText],
      [
        'system',
        printable(
          `${system.platform} ${system.release} ${system.arch}${glibc === null ? '' : `, glibc ${glibc}`}`,
        ),
      ],
      ['processor', printable(`${processor.model}, ${processor.cores} cores`)],
      ['bfloat16', bfloat16.length === 0 ? 'no instructions for it' : printable(bfloat16.join(', '))],
      ['memory', `${formatBytes(memory.available_bytes)} free of ${formatBytes(memory.total_bytes)}${limit}`],
    ],
    screen,
  );
}

function toolText(tool: ToolFinding | undefined): string {
  if (!tool || tool.program === null) return 'not found';
  return printable(tool.version === null ? tool.program : `${tool.program} (${tool.version})`);
}

/** Requirements of `setup` and of CUDA. */
function setupFacts({ tools, cuda }: DoctorReport, screen: Screen): string {
  const driver = [cuda.driver_version, cuda.driver_library].filter((text) => text !== null).join(', ');
  const list = (names: readonly string[]) => (names.length === 0 ? 'none' : printable(names.join(', ')));
  return facts(
    [
      ['Python with pip', toolText(tools.find((tool) => tool.name === 'python'))],
      ['C++ compiler', toolText(tools.find((tool) => tool.name === 'compiler'))],
      ['npm', toolText(tools.find((tool) => tool.name === 'npm'))],
      ['CUDA driver', driver === '' ? 'not found' : printable(driver)],
      ...(cuda.cards ?? []).map((card): [string, string] => [`cuda:${card.index}`, cardText(card)]),
      ['CUDA libraries', list(cuda.libraries)],
      ['not found of them', list(cuda.missing_libraries)],
    ],
    screen,
  );
}

function cardText({ name, free_bytes, total_bytes }: CudaCardFinding): string {
  return `${printable(name)}, ${formatBytes(free_bytes)} free of ${formatBytes(total_bytes)}`;
}

const FOLDER_TITLES: Readonly<Record<FolderFinding['name'], string>> = {
  data: 'TensorFlow',
  hub_cache: 'Hugging Face cache',
  tokenizer_cache: 'tokenizers',
};

function folderTable(folders: readonly FolderFinding[], screen: Screen): string {
  const columns = [
    { title: 'holds' },
    { title: 'folder' },
    { title: 'size', align: right },
    { title: 'disk free', align: right },
    { title: 'writable' },
  ];
  const rows = folders.map((folder) => [
    FOLDER_TITLES[folder.name],
    printable(folder.path),
    folder.bytes === null ? NO_NUMBER : folder.exists ? formatBytes(folder.bytes) : 'none yet',
    formatBytes(folder.free_bytes),
    verdict(folder.writable, screen),
  ]);
  return table(columns, rows, screen);
}

export function doctorView(report: DoctorReport, screen: Screen): string {
  const { token, problems, works } = report;
  const tokenText = token.present
    ? `present, from ${printable(token.source ?? 'an unknown place')}`
    : 'none (gated models need one)';
  const closing = works
    ? `tracer works here, with ${report.backends
        .filter(({ ok }) => ok)
        .map(({ device }) => device)
        .join(', ')}.`
    : screen.paint.red('Nothing works here: no backend could be opened.');
  return sections(
    [
      ['Backends, in the order in which --device auto tries them', backendTable(report.backends, screen)],
      ['WebGPU', adapterTable(report, screen)],
      ['Machine', machineFacts(report, screen)],
      ['For setup', setupFacts(report, screen)],
      ['Folders', folderTable(report.folders, screen)],
      [null, facts([['Hugging Face token', tokenText]], screen)],
      [
        'Problems',
        problems.length === 0 ? null : problems.map((text) => `- ${printableLines(text)}`).join('\n'),
      ],
      [null, closing],
    ],
    screen,
  );
}
