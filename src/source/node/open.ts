import type { Machine } from '../../machine/index.ts';
import { type OpenOptions, openImage } from '../open.ts';
import { fileBytes } from './file.ts';

/**
 * Opens a memory image in a file. Nothing stays open if that fails.
 *
 * @param path - a regular file
 * @throws {@link PageTableError} `READ_FAILED` if the file cannot be read, and what {@link openImage} throws
 */
export async function openFile(path: string, options: OpenOptions = {}): Promise<Machine> {
  const bytes = await fileBytes(path);
  try {
    return await openImage(bytes, options);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}
