export { fileBytes } from './file.ts';
export { openFile } from './open.ts';
