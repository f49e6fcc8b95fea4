import { type FileHandle, open, stat } from 'node:fs/promises';
import { hex, PageTableError } from '../../bits/index.ts';
import { type ByteSource, checkRange, messageOf } from '../bytes.ts';

/** Node refuses to read more than 2^31 - 1 bytes in one call. */
const MAX_READ = 1 << 30;

/**
 * The bytes of a file, read at positions; of any size. The file is opened at the first read.
 *
 * @param path - a regular file
 * @throws {@link PageTableError} `READ_FAILED` if there is no such file or it is not a regular file
 */
export async function fileBytes(path: string): Promise<ByteSource> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new PageTableError('READ_FAILED', `open: ${path}: ${messageOf(cause)}`, { path }, { cause });
  });
  // Asked before opening, because opening a pipe that nobody writes to never returns.
  if (!found.isFile()) {
    const kind = found.isDirectory() ? 'a directory' : 'a device, pipe or socket';
    throw new PageTableError('READ_FAILED', `open: ${path}: expected a regular file, found ${kind}`, {
      path,
    });
  }
  return new FileBytes(path, found.size);
}

class FileBytes implements ByteSource {
  readonly size: number;
  private readonly path: string;
  private handle: Promise<FileHandle> | undefined;
  private closed = false;

  constructor(path: string, size: number) {
    this.path = path;
    this.size = size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this.size, offset, length);
    try {
      if (this.closed) throw new Error('the file was closed before');
      this.handle ??= open(this.path, 'r');
      return await readFully(await this.handle, offset, length);
    } catch (cause) {
      throw new PageTableError(
        'READ_FAILED',
        `read: ${length} bytes at offset ${hex(offset)} of ${this.path}: ${messageOf(cause)}`,
        { path: this.path, offset, length },
        { cause },
      );
    }
  }

  async close(): Promise<void> {
    const handle = this.handle;
    this.closed = true;
    this.handle = undefined;
    // A file that could not be opened has told its reader so, and there is nothing to close.
    const opened = await handle?.catch(() => undefined);
    await opened?.close();
  }
}

async function readFully(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, MAX_READ), offset + done);
    if (bytesRead === 0) throw new Error(`the file became shorter: only ${done} bytes are left there`);
    done += bytesRead;
  }
  return bytes;
}
