/** Files, helper of reading and writing: errors of the operating system as errors that name the path and the next step. */
import { BadFileError, ExhaustedError, NotFoundError, UsageError } from '../errors.ts';
import type { TracerError } from '../errors.ts';

/** An error of the operating system, with what Node adds to it. */
interface SystemError {
  /** The system's name of the error, such as `ENOENT`. */
  readonly code: string;
  readonly syscall: string;
  readonly message: string;
}

function isSystemError(error: unknown): error is SystemError {
  return typeof error === 'object' && error !== null && 'code' in error && 'syscall' in error;
}

/** The system's name of an error (`ENOENT`), or undefined for other errors. */
export function errnoCode(error: unknown): string | undefined {
  return isSystemError(error) ? error.code : undefined;
}

/** The message of anything that was thrown. */
export function messageOf(cause: unknown): string {
  return typeof cause === 'object' && cause !== null && 'message' in cause
    ? String(cause.message)
    : String(cause);
}

export function notAFile(path: string, found: string): BadFileError {
  return new BadFileError({
    code: 'not_a_file',
    message: `${path} is ${found}, but a file is expected`,
    hint: 'Name the file itself.',
  });
}

function emptyName(cause: unknown): UsageError {
  return new UsageError({
    code: 'empty_name',
    message: 'the name of a file is empty',
    hint: 'Is a variable in the line not set?',
    cause,
  });
}

/** Why a file cannot be opened for reading. */
export function openingError(path: string, cause: unknown): TracerError {
  switch (errnoCode(cause)) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ENAMETOOLONG':
      if (path === '') return emptyName(cause);
      return new NotFoundError({
        code: 'file_not_found',
        message: `${path} does not exist`,
        hint:
          path === '-' ? 'Standard input is not read here: name a file.' : 'Check the spelling of the path.',
        cause,
      });
    case 'ELOOP':
      return new NotFoundError({
        code: 'file_not_found',
        message: `${path} leads to no file: there is a link in a circle of links`,
        hint: 'Remove the link, or name the file itself.',
        cause,
      });
    case 'EACCES':
    case 'EPERM':
      return new NotFoundError({
        code: 'file_not_readable',
        message: `${path} may not be read: permission denied`,
        hint: 'Give your user permission to read it.',
        cause,
      });
    case 'EISDIR':
      return notAFile(path, 'a folder');
    case 'ENXIO':
      return notAFile(path, 'a device or socket');
    case 'EMFILE':
    case 'ENFILE':
      return new ExhaustedError({
        code: 'too_many_open_files',
        message: `${path} cannot be opened: too many files are open`,
        hint: 'Raise the limit with `ulimit -n`.',
        cause,
      });
    default:
      return new BadFileError({
        code: 'file_unreadable',
        message: `${path} cannot be opened: ${messageOf(cause)}`,
        hint: 'Check the path and the disk.',
        cause,
      });
  }
}

/** Turns the system's refusals to write into `ExhaustedError`; everything else, such as a failed read, is passed on. */
export function writingError(path: string, error: unknown): unknown {
  if (!isSystemError(error) || error.syscall === 'read') return error;
  switch (error.code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new ExhaustedError({
        code: 'disk_full',
        message: `${path} cannot be written: ${error.code === 'ENOSPC' ? 'the disk is full' : 'the limit for files or disk use is reached'}`,
        hint: 'Free disk space, or write to another disk.',
        cause: error,
      });
    case 'ELOOP':
      return new ExhaustedError({
        code: 'not_writable',
        message: `${path} cannot be written: there is a link in a circle of links`,
        hint: 'Remove the link, or name another file.',
        cause: error,
      });
    default:
      return new ExhaustedError({
        code: 'not_writable',
        message: `${path} cannot be written: ${error.message}`,
        hint: 'Choose a folder that your user may write to.',
        cause: error,
      });
  }
}
