export {
  ALL_PAGES,
  Cursor,
  type CursorEvent,
  DONE,
  FAULTY,
  MISSING,
  PAGE,
  type PageRange,
  TABLE,
} from './cursor.ts';
export {
  NON_CANONICAL,
  NOT_IN_MEMORY,
  NOT_PRESENT,
  type Path,
  RESERVED,
  type Step,
  tableAddress,
  Walker,
} from './walker.ts';
